/*
 * fs_suspects: names what holds up a FIFREEZE that does not return; see filesystems.h.
 *
 * What is frozen is to be thawed at once when the freeze is given up, so the look begins a little
 * before that and what it found by then is told. Its thread reads procfs and may be left behind.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/filesystems_internal.h"

static gpointer look(gpointer input)
{
    return suspects_find(input);
}

static void input_free(gpointer input)
{
    suspects_input_free(input);
}

static void found_free(gpointer suspects)
{
    suspects_free(suspects);
}

static void looked(gpointer result, bool timed_out, gpointer user_data)
{
    FsStage *stage = user_data;

    (void)timed_out;
    stage->looking = NULL;
    stage->suspects = result;
}

void fs_stage_suspects_look(FsStage *stage, Deadline deadline)
{
    Deadline end = {deadline.at_us - FS_SUSPECTS_SPARE_US};
    SuspectsInput *input =
        suspects_input_new(stage->spec.procfs, stage->spec.sysfs, SUSPECTS_STUCK, end);

    for (unsigned i = 0; i < stage->items->len; i++) {
        const FsItem *item = g_ptr_array_index(stage->items, i);

        suspects_input_add(input, item->mount->major, item->mount->minor, item->frozen);
    }
    stage->looking =
        offload_run("suspects", look, input, input_free, found_free, deadline, looked, stage, NULL);
}

void fs_stage_suspects_end(FsStage *stage)
{
    if (stage->looking)
        offload_cancel(g_steal_pointer(&stage->looking));
    g_clear_pointer(&stage->suspects, suspects_free);
}

static const char *mountpoint_of(unsigned filesystem, gpointer user_data)
{
    const FsStage *stage = user_data;

    return ((FsItem *)g_ptr_array_index(stage->items, filesystem))->mount->mountpoint;
}

bool fs_stage_note_stuck(FsStage *stage)
{
    double waited = (double)(deadline_now() - stage->freeze_started_us) / USEC_PER_SEC;
    bool stuck = false;

    for (unsigned i = 0; stage->state == FS_FREEZING && i < stage->items->len; i++) {
        FsItem *item = g_ptr_array_index(stage->items, i);
        const KeeperLedgerFilesystem *entry = ledger_filesystem(stage->spec.ledger, i);
        g_autofree char *held_up = NULL;

        if (!entry || entry->state != KEEPER_FS_IN_FLIGHT)
            continue;
        if (stage->suspects)
            held_up = suspects_text(stage->suspects, i, mountpoint_of, stage);
        report_fs_reason(item->entry, FS_FAILED, "FIFREEZE still in the kernel after %.1f s%s%s",
                         waited, held_up ? ", " : "", held_up ? held_up : "");
        fs_stage_fail(stage, item->mount->mountpoint, "%s", item->entry->reason);
        stuck = true;
    }
    return stuck;
}
