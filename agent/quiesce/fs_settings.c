/*
 * fs_settings: the kernel's settings that a freeze changes for the time being.
 *
 *   pre-sync: write-back begins early (gentle)        freezing: grace periods are expedited
 *
 * Each is put into the ledger before it is changed, so that whoever recovers puts it back. Without
 * them a freeze works, too, only slower: what cannot be read or written is left as it is.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/filesystems_internal.h"

#include "sys/grace.h"
#include "sys/ledger_kept.h"
#include "sys/writeback.h"

void fs_stage_gentle_begin(FsStage *stage)
{
    WritebackSettings now, gentle;

    if (!writeback_read(stage->spec.procfs, &now, NULL))
        return;
    ledger_save_writeback(stage->spec.ledger, &now);
    gentle = writeback_gentle(&now);
    stage->gentle = true;
    (void)writeback_apply(stage->spec.procfs, &gentle, NULL);
}

void fs_stage_gentle_end(FsStage *stage)
{
    WritebackSettings before;

    if (!stage->gentle)
        return;
    stage->gentle = false;
    if (ledger_saved_writeback(stage->spec.ledger, &before) &&
        writeback_apply(stage->spec.procfs, &before, NULL))
        ledger_clear_writeback(stage->spec.ledger);
}

void fs_stage_expedite_begin(FsStage *stage)
{
    int32_t before;

    if (!grace_read(stage->spec.sysfs, &before, NULL) || before > 0)
        return;
    ledger_save_grace(stage->spec.ledger, before);
    stage->expedited = true;
    (void)grace_apply(stage->spec.sysfs, 1, NULL);
}

void fs_stage_expedite_end(FsStage *stage)
{
    int32_t before;

    if (!stage->expedited)
        return;
    stage->expedited = false;
    if (ledger_saved_grace(stage->spec.ledger, &before) &&
        grace_apply(stage->spec.sysfs, before, NULL))
        ledger_clear_grace(stage->spec.ledger);
}
