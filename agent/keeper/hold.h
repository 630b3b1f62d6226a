/*
 * hold: the filesystems of one operation: what each of them is in, and which call comes next.
 *
 * Pure state: no call, no lock, no clock, no memory of its own. Workers take jobs from it and give
 * back results, the loop moves it from phase to phase and takes reports out of it; whoever calls
 * holds the pool's lock. Phases only ever go forward:
 *
 *   READY (syncs, commits) ──► FREEZE ──► HELD ──► THAW
 *     └───────────────────────────────────┴──────────────────►┘
 *
 * In THAW no freeze is handed out any more; the worker whose freeze was in the kernel is told to
 * thaw at once when it completes. A report is kept per filesystem and call until it was taken, so a
 * reader that is slow loses nothing and costs no memory.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "keeper/hold_state.h"

/* All entries are filled in. Every ledger entry becomes INTENDED. */
void hold_init(Hold *hold, HoldEntry *entries, uint32_t *order, uint32_t count,
               KeeperLedgerFilesystem *ledger);

bool hold_commit(Hold *hold); /* false: not in READY, or a round is under way */
bool hold_sync(Hold *hold);   /* the same, but takes the place of a round of commits */
bool hold_freeze(Hold *hold); /* false: not in READY */
void hold_thaw(Hold *hold, KeeperCause cause, int64_t now_us); /* the first cause stays */
/* Nothing is held: no job is handed out any more and nothing is told. */
void hold_quiet(Hold *hold);
void hold_thaw_again(Hold *hold); /* THAW_DONE is to be told anew */

/* The next call to make, if one may be made now. */
bool hold_take(Hold *hold, int64_t now_us, HoldJob *ret_job);
bool hold_runnable(Hold *hold, int64_t now_us); /* hold_take() would give one */
/* The result of a job. True: `job` became the thaw or sync that the same worker makes at once. */
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
