/*
 * fs_presync: write-back before the freeze, while the writers go on.
 *
 *   commit of the journals ──► gentle write-back by the kernel ──► rounds of syncfs
 *
 * A journal that commits by itself (ext4: every 5 s) while the write-back fills the disk's queue
 * waits there behind the data, and every writer to a block of that commit waits with it: 0.3 to 0.8
 * s with 64 MiB at 40 MB/s, measured. Committed right before, with the queue empty, it takes some
 * milliseconds, and the next one is 5 s away, which is longer than most write-back. When that pays
 * no more is presync.h's to say.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/filesystems_internal.h"
#include "quiesce/settings.h"

#include "sys/writeback.h"

int64_t fs_stage_dirty(const FsStage *stage)
{
    WritebackLoad load;

    if (!writeback_load(stage->spec.procfs, &load, NULL))
        return 0;
    return (int64_t)(load.dirty_bytes + load.writeback_bytes);
}

void fs_stage_presync_end(FsStage *stage)
{
    stage->committing = false;
    if (stage->gentle)
        stage->gentle = settings_gentle_end(stage->spec.ledger, stage->spec.procfs);
}

static void sync_round(FsStage *stage)
{
    stage->sync_started_us = deadline_now();
    if (!keeper_sync(stage->spec.keeper)) {
        fs_stage_fail(stage, "keeper", "%s", keeper_unready_reason(stage->spec.keeper));
        fs_stage_report_failed(stage);
    }
}

static gboolean gentle_sample(gpointer user_data)
{
    FsStage *stage = user_data;

    deadline_source_clear(&stage->timer);
    if (stage->state != FS_SYNCING)
        return G_SOURCE_REMOVE;
    if (!deadline_passed(stage->presync_deadline) &&
        presync_gentle(&stage->presync, fs_stage_dirty(stage), deadline_now())) {
        /* The kernel has no event for "less is dirty"; this ends after seconds. */
        fs_stage_timer(stage, PRESYNC_SAMPLE_US, gentle_sample);
        return G_SOURCE_REMOVE;
    }
    sync_round(stage);
    return G_SOURCE_REMOVE;
}

static void gentle_begin(FsStage *stage)
{
    stage->committing = false;
    stage->gentle = settings_gentle(stage->spec.ledger, stage->spec.procfs);
    fs_stage_timer(stage, PRESYNC_SAMPLE_US, gentle_sample);
}

static gboolean commit_is_late(gpointer user_data)
{
    FsStage *stage = user_data;

    deadline_source_clear(&stage->timer);
    if (stage->state == FS_SYNCING && stage->committing)
        gentle_begin(stage);
    return G_SOURCE_REMOVE;
}

void fs_stage_committed(FsStage *stage)
{
    if (stage->state == FS_SYNCING && stage->committing)
        gentle_begin(stage);
}

/* Seen with Linux 6.1; where fsync of a directory commits nothing it costs nothing, and the stalls
 * stay. Not ext3: without delayed allocation a commit writes the data, all at once. */
bool fs_stage_has_journal(const Mount *mount)
{
    return g_str_equal(mount->type, "ext4");
}

static bool any_journal(const FsStage *stage)
{
    for (unsigned i = 0; i < stage->items->len; i++) {
        const FsItem *item = g_ptr_array_index(stage->items, i);

        if (item->fd >= 0 && fs_stage_has_journal(item->mount))
            return true;
    }
    return false;
}

void fs_stage_presync(FsStage *stage, Deadline deadline)
{
    int64_t dirty = fs_stage_dirty(stage);

    stage->state = FS_SYNCING;
    stage->synced = false;
    stage->presync_deadline = deadline;
    presync_init(&stage->presync);
    if (stage->spec.report->dirty_before_bytes < 0)
        stage->spec.report->dirty_before_bytes = dirty;
    if (!stage->spec.pre_sync || dirty <= PRESYNC_SMALL_BYTES) {
        sync_round(stage);
    } else if (any_journal(stage) && keeper_commit(stage->spec.keeper)) {
        stage->committing = true;
        fs_stage_timer(stage, PRESYNC_COMMIT_US, commit_is_late);
    } else {
        gentle_begin(stage);
    }
}

void fs_stage_sync_done(FsStage *stage)
{
    int64_t took = deadline_now() - stage->sync_started_us;

    if (stage->state != FS_SYNCING)
        return;
    if (stage->failures > 0) {
        fs_stage_report_failed(stage);
        return;
    }
    if (stage->spec.pre_sync && !deadline_passed(stage->presync_deadline) &&
        presync_round(&stage->presync, took, fs_stage_dirty(stage))) {
        sync_round(stage);
        return;
    }
    stage->synced = true;
    fs_stage_maybe_synced(stage);
}
