/*
 * operation: one operation, from the request until nothing of it is left to be released.
 *
 * Its report holds the facts; here is what is needed while it goes on. Made and freed by
 * operation_life.c, written by the coordinator's files only.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "quiesce/coordinator_requests.h"
#include "quiesce/filesystems_progress.h"
#include "quiesce/sequence.h"
#include "quiesce/unfreeze.h"

typedef struct {
    ReportParticipant *entry;
    unsigned step;   /* of the call under way */
    bool called;     /* got prepare or freeze: is owed a thaw or abort */
    bool failed;     /* got abort instead of thaw, no further verb before */
    bool held;       /* its freeze (or prepare, when it wants no freeze) succeeded */
    bool letting_go; /* thaw or abort was called */
    bool released;
} Member;

typedef struct {
    Coordinator *owner;
    Report *report;
    char **requested;   /* mount points asked for; NULL: all */
    char **mountpoints; /* being frozen */
    int64_t limit_us;
    int level_wanted;
    Survey *survey;
    Offload *surveying;
    GPtrArray *participants; /* Participant *, owned; same index as members and the ledger */
    Member *members;
    Sequence *sequence;
    FsStage *stage;
    Unfreeze *unfreeze; /* instead of a stage, in recovery */
    GSource *unfreeze_wait;
    bool opened, syncing, members_prepared, sync_is_fresh, prepared;
    bool laid_out;      /* in the ledger */
    bool frozen;        /* HELD was reached */
    bool empty;         /* nothing holds: answered 0 */
    bool releasing;     /* release began */
    bool abort;         /* release by abort instead of thaw */
    bool stage_thawed;  /* as far as participants wait for it */
    bool stage_settled; /* nothing is pending in the kernel */
    bool members_released;
    int64_t freezing_us, frozen_us, release_us; /* CLOCK_MONOTONIC; 0: not yet */
    char *error;                                /* of the freeze, ready for the host */
    unsigned error_more;
    GSource *settle; /* operation_settle() under way; never from within a callback of a part */
    bool told;       /* EVENT_RELEASED was sent for it */
    bool recorded;   /* is in the history */
} Operation;
