/*
 * filesystems: the filesystems of one operation, from open to thaw, through the keeper.
 *
 *   opening ──► arming ──► ready ──► syncing ──► ready ──► freezing ──► frozen ──► thawing ──► over
 *
 * Owns the fds (the keeper has duplicates) and writes every filesystem's part of the report. Each
 * step is asked for by the coordinator and ends in exactly one event; thaw may be asked for in
 * every state and also ends steps under way (their events do not come then). When the keeper is
 * lost while something may be frozen the stage thaws by its own fds. Never blocks.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/deadline.h"
#include "base/log.h"
#include "quiesce/filesystems_events.h"
#include "sys/fdstore.h"
#include "sys/keeper.h"
#include "sys/ledger.h"

/* A FIFREEZE still in the kernel after this long is taken for stuck: completed ones are thawed,
 * which frees most of them (loop order, fanotify listeners). */
#define FS_STUCK_US (5 * USEC_PER_SEC)
/* Thaw is over for the participants' sake after this long, whatever is pending. */
#define FS_THAW_WAIT_US (2 * USEC_PER_SEC)
/* One open may take this long: a dead device costs no more. */
#define FS_OPEN_US (3 * USEC_PER_SEC)
/* The service manager takes the fds within this, or the freeze goes on without: PID 1 may hang, and
 * the keeper and this process hold them anyway. */
#define FS_STORE_US (1 * USEC_PER_SEC)

typedef struct {
    Log *log;
    Keeper *keeper;
    Ledger *ledger;
    FdStore *store;
    const char *procfs, *sysfs;
    Report *report;
    GPtrArray *mounts; /* Mount *: to be frozen, synced or reported as skipped; borrowed */
    bool skip_errors;
    bool pre_sync;
    bool check_mount_id; /* false: tests with invented mount tables */
} FsStageSpec;

FsStage *fs_stage_new(const FsStageSpec *spec, const FsStageEvents *events, gpointer user_data);
void fs_stage_free(FsStage *stage); /* closes the fds; only when nothing is frozen */

unsigned fs_stage_count(const FsStage *stage); /* those to be frozen */
/* For ledger_begin(): fills `specs` (fs_stage_ledger_count() of them). */
unsigned fs_stage_ledger_count(const FsStage *stage);
void fs_stage_ledger_specs(const FsStage *stage, LedgerFilesystemSpec *specs);

void fs_stage_open(FsStage *stage);
void fs_stage_presync(FsStage *stage, Deadline deadline);
/* `give_up`: the caller ends the freeze then; what holds it up is looked for in time before. */
void fs_stage_freeze(FsStage *stage, int64_t limit_us, Deadline give_up);
/* While freezing: enters every FIFREEZE that has not returned as a failure, with what holds it up.
 * False: there is none. */
bool fs_stage_note_stuck(FsStage *stage);
void fs_stage_thaw(FsStage *stage);

void fs_stage_message(FsStage *stage, const KeeperMessage *message);
void fs_stage_keeper_lost(FsStage *stage, const char *reason);
