/*
 * hold: the filesystems of one operation: what each of them is in, and which call comes next.
 *
 * Pure state: no call, no lock, no clock, no memory of its own. Workers take jobs from it and give
 * back results, the loop moves it from phase to phase and takes reports out of it; whoever calls
 * holds the pool's lock. Phases only ever go forward:
 *
 *   READY (sync any number of times) ──► FREEZE ──► HELD ──► THAW
 *     └───────────────────────────────────┴──────────────────►┘
 *
 * In THAW no freeze is handed out any more; the worker whose freeze was in the kernel is told to
 * thaw at once when it completes. A report is kept per filesystem and call until it was taken, so a
 * reader that is slow loses nothing and costs no memory.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "keeper/message.h"
#include <stdbool.h>

/* FIFREEZEs and syncfs at once: each mostly waits (grace periods, the disk), so many cost no more
 * processor than few. A worker costs 12 KiB of locked memory; begun while something is frozen it
 * might have to wait for memory, so they are there before. */
#define HOLD_SLOW_MAX 64u
/* Those may be stuck for good: so many workers are left to thaw. */
#define HOLD_THAW_KEPT 4u
/* A level's FITHAWs by few threads: each takes a millisecond, waking a thread costs more. */
#define HOLD_THAW_FEW 4u
/* A FITHAW that failed (not EINVAL) is repeated after this long; told as failed after so many, and
 * repeated at a tenth of the pace from then on, until it succeeds. */
#define HOLD_RETRY_US INT64_C(50000)
#define HOLD_RETRIES  4u
#define HOLD_SOON_US  INT64_C(10000)

typedef enum { HOLD_READY, HOLD_FREEZE, HOLD_HELD, HOLD_THAW } HoldPhase;

typedef enum {
    ENTRY_IDLE,
    ENTRY_FREEZING,
    ENTRY_FROZEN,
    ENTRY_THAWING,
    ENTRY_UNTHAWED, /* FITHAW failed; still frozen, to be repeated */
    ENTRY_THAWED,
    ENTRY_FAILED, /* not frozen by us: failed, foreign */
} HoldEntryState;

typedef enum { JOB_SYNC, JOB_FREEZE, JOB_THAW } HoldJobKind;

typedef struct {
    HoldJobKind kind;
    uint32_t index;
    int fd;
} HoldJob;

typedef struct {
    int32_t error;
    int64_t start_us, duration_us;
} HoldCall;

typedef struct {
    int fd;
    uint32_t rank, flags; /* KEEPER_FS_ */
    uint32_t level;       /* which thaw level took it */
    uint8_t state;        /* HoldEntryState */
    uint8_t failures;     /* of FITHAW */
    uint8_t reports;      /* bit per HoldJobKind: result not taken yet */
    bool syncing;
    int64_t retry_us; /* UNTHAWED: not before */
    HoldCall calls[3];
} HoldEntry;

typedef struct {
    HoldEntry *entries;
    uint32_t *order; /* indexes by rank, then index */
    uint32_t count;
    KeeperLedgerFilesystem *ledger; /* `count` of them */
    HoldPhase phase;
    unsigned slow;   /* workers in SYNC or FREEZE */
    unsigned thaws;  /* workers in THAW */
    unsigned frozen; /* FIFREEZE succeeded */
    unsigned thawed; /* our FITHAW succeeded */
    unsigned synced; /* of this round */
    uint32_t sync_next;
    bool sync_round, sync_told;
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

/* All entries are filled in. Every ledger entry becomes INTENDED. */
void hold_init(Hold *hold, HoldEntry *entries, uint32_t *order, uint32_t count,
               KeeperLedgerFilesystem *ledger);

bool hold_sync(Hold *hold);   /* false: not in READY, or a round is under way */
bool hold_freeze(Hold *hold); /* false: not in READY */
void hold_thaw(Hold *hold, KeeperCause cause, int64_t now_us); /* the first cause stays */
/* Nothing is held: no job is handed out any more and nothing is told. */
void hold_quiet(Hold *hold);
void hold_thaw_again(Hold *hold); /* THAW_DONE is to be told anew */

/* The next call to make, if one may be made now. */
bool hold_take(Hold *hold, int64_t now_us, HoldJob *ret_job);
bool hold_runnable(Hold *hold, int64_t now_us); /* hold_take() would give one */
/* The result of a job. True: `job` became the thaw that the same worker makes at once. */
bool hold_done(Hold *hold, HoldJob *job, int error_number, int64_t start_us, int64_t now_us);

/* When hold_take() or hold_report() may have more without anything having ended; INT64_MAX: never.
 */
int64_t hold_next_us(const Hold *hold, int64_t now_us);
unsigned hold_pending(const Hold *hold); /* frozen, or a FIFREEZE or FITHAW in the kernel */
bool hold_busy(const Hold *hold);        /* a worker is in a call */
/* Thaws that could begin have not for KEEPER_LEVEL_WAIT_US: every worker is stuck. */
bool hold_starved(Hold *hold, int64_t now_us);

/* Until when the first THAW_DONE waits for what is still in the kernel. */
int64_t hold_patience_us(const Hold *hold);

/* hold_report.c: the next message for the service: SYNCED, FROZE, THAWED as they come, then a
 * *_DONE. */
bool hold_report(Hold *hold, int64_t now_us, KeeperMessage *ret_message);
void hold_unreport(Hold *hold, const KeeperMessage *message); /* it could not be sent */
