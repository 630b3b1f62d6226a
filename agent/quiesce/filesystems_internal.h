/*
 * filesystems_internal: what filesystems.c (life of the stage), fs_keeper.c (its talk with the
 * keeper, and rescue without it), fs_presync.c (write-back before), and fs_suspects.c (what
 * holds up a freeze) share.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "quiesce/filesystems_item.h"
#include "quiesce/filesystems_progress.h"
#include "quiesce/presync.h"
#include "quiesce/unfreeze.h"
#include "sys/suspects.h"

/* The look for what holds up a freeze begins so long before the freeze is given up, or at half
 * time: it takes some 20 ms, and seconds where everything is slow. One that is cut short must still
 * get here. */
#define FS_SUSPECTS_US       (2 * USEC_PER_SEC)
#define FS_SUSPECTS_SPARE_US (200 * USEC_PER_MSEC)

struct FsStage {
    FsStageSpec spec;
    FsStageEvents events;
    gpointer user_data;
    FsState state;
    GPtrArray *items; /* FsItem *; index is the ledger's and the keeper's */
    unsigned opening;
    bool armed;  /* ARM was sent */
    bool stored; /* the service manager answered, or will not */
    bool synced; /* nothing more to be synced; events.synced once `stored`, too */
    Presync presync;
    bool committing; /* journals; gentle write-back begins after it, or a moment */
    bool gentle;     /* write-back settings are changed */
    bool expedited;  /* that of the grace periods is */
    Deadline presync_deadline;
    int64_t sync_started_us, freeze_started_us;
    Deadline freeze_given_up; /* by the stage or by others */
    Offload *looking;         /* for suspects */
    Suspects *suspects;       /* NULL: not looked for, or not found in time; by item index */
    GSource *timer;           /* commit, sample, stuck or thaw wait, by state */
    bool thaw_told;
    unsigned pending;
    char *failure_name, *failure_reason;
    unsigned failures;
    ReportEndedBy ended_by; /* the keeper thawed by itself while our thaw was on its way */
    const char *ended_reason;
    bool keeper_gone;
    Unfreeze *unfreeze; /* thaws without the keeper */
};

void fs_stage_fail(FsStage *stage, const char *name, const char *format, ...) G_GNUC_PRINTF(3, 4);
void fs_stage_timer(FsStage *stage, int64_t delay_us, GSourceFunc func);
void fs_stage_maybe_synced(FsStage *stage);    /* events.synced when all before a freeze is done */
int64_t fs_stage_dirty(const FsStage *stage);  /* bytes dirty and under write-back; 0: not known */
void fs_stage_report_failed(FsStage *stage);   /* events.failed for the step under way */
bool fs_stage_has_journal(const Mount *mount); /* which can be committed without its data */
void fs_stage_committed(FsStage *stage);
void fs_stage_sync_done(FsStage *stage);
void fs_stage_presync_end(FsStage *stage);
void fs_stage_expedite_end(FsStage *stage);
void fs_stage_suspects_look(FsStage *stage, Deadline deadline);
void fs_stage_suspects_end(FsStage *stage);
void fs_stage_thaw_over(FsStage *stage);
void fs_stage_rescue(FsStage *stage);
