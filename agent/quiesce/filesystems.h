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
#include "quiesce/report.h"
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

typedef struct FsStage FsStage;

typedef struct {
    void (*opened)(FsStage *stage, gpointer user_data); /* opened and armed */
    void (*synced)(FsStage *stage, gpointer user_data);
    void (*frozen)(FsStage *stage, gpointer user_data); /* everything that must be is frozen */
    /* A step failed; fs_stage_failure() says why. The coordinator rolls back. */
    void (*failed)(FsStage *stage, gpointer user_data);
    /* All thawed, or FS_THAW_WAIT_US passed; fs_stage_pending() are still in the kernel. */
    void (*thawed)(FsStage *stage, gpointer user_data);
    /* After `thawed` with pending ones: now all are. */
    void (*settled)(FsStage *stage, gpointer user_data);
    /* Without the keeper, and something cannot be thawed for UNFREEZE_PATIENT_US. */
    void (*hopeless)(FsStage *stage, gpointer user_data);
    /* The freeze ended by itself: limit, silence, the keeper's death. Thawing has begun. */
    void (*lost)(FsStage *stage, ReportEndedBy ended_by, const char *reason, gpointer user_data);
} FsStageEvents;

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

unsigned fs_stage_frozen(const FsStage *stage); /* frozen right now */
unsigned fs_stage_held(const FsStage *stage);   /* how many were frozen by this operation */
unsigned fs_stage_thawed_count(const FsStage *stage);
unsigned fs_stage_pending(const FsStage *stage);  /* calls stuck in the kernel */
const char *fs_stage_stuck(const FsStage *stage); /* a mount point not thawed yet, for texts */
/* Why the freeze ended although a thaw was asked for at the same moment; NULL: it did not. */
/* Why the keeper thawed by itself, as `cause` says (KeeperCause; -1: none); NULL: it did not. */
const char *fs_stage_cause(int cause, ReportEndedBy *ret_ended_by);
const char *fs_stage_ended(const FsStage *stage, ReportEndedBy *ret_ended_by);
bool fs_stage_foreign_thaw(const FsStage *stage, const char **ret_mountpoint);
/* A FITHAW is under way that has not failed: a little patience may be all it takes. */
bool fs_stage_thaws(const FsStage *stage);
/* What is frozen although a thaw was asked for: NULL, or a mount point, why, and how many more. */
const char *fs_stage_unthawed(const FsStage *stage, const char **ret_reason, unsigned *ret_more);
/* First failure: name (mount point) and reason, and how many more there are. */
const char *fs_stage_failure(const FsStage *stage, const char **ret_name, unsigned *ret_more);
