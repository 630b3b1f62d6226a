/*
 * hold_state: the operation as a whole: its filesystems, its phase, and how far each phase is.
 *
 * Written by hold.c and hold_report.c only.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "keeper/hold_entry.h"
#include "keeper/message.h"

/* FIFREEZEs, fsyncs and syncfs at once: each mostly waits (grace periods, the disk), so many cost
 * no more processor than few. A worker costs 12 KiB of locked memory; begun while something is
 * frozen it might have to wait for memory, so they are there before. */
#define HOLD_SLOW_MAX 64u
/* Those may be stuck for good: so many workers are left to thaw. */
#define HOLD_THAW_KEPT 4u
/* A level's FITHAWs by few threads: each takes a millisecond, waking a thread costs more. */
#define HOLD_THAW_FEW 4u

typedef enum { HOLD_READY, HOLD_FREEZE, HOLD_HELD, HOLD_THAW } HoldPhase;

typedef struct {
    HoldEntry *entries;
    uint32_t *order; /* indexes by rank, then index */
    uint32_t count;
    KeeperLedgerFilesystem *ledger; /* `count` of them */
    HoldPhase phase;
    unsigned slow;   /* workers in COMMIT, SYNC or FREEZE */
    unsigned thaws;  /* workers in THAW */
    unsigned frozen; /* FIFREEZE succeeded */
    unsigned thawed; /* our FITHAW succeeded */
    unsigned synced; /* of this round */
    uint32_t sync_next;
    bool sync_round, sync_told;
    bool commit_round;    /* the round is one of commits, the journals' only */
    uint32_t freeze_next; /* into order */
    uint32_t freeze_rank;
    unsigned freezing;
    bool freeze_stopped, freeze_told;
    int32_t freeze_error; /* the first */
    uint32_t thaw_left;   /* order[0 .. thaw_left - 1] not looked at yet */
    uint32_t thaw_rank, level;
    unsigned level_busy, level_size;
    bool level_late;
    int64_t level_start_us, thaw_start_us, frozen_us, thawed_us;
    int64_t progress_us; /* when a thaw last began or ended */
    unsigned unthawed;
    KeeperCause cause;
    bool thaw_told, settled_told;
    uint32_t report_next;
} Hold;
