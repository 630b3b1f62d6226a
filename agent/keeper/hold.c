/*
 * hold: see hold.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "keeper/hold.h"

#include <errno.h>
#include <string.h>

/* A plain store is enough to survive SIGKILL; atomic because the service reads it meanwhile. */
static void record(Hold *hold, uint32_t index, KeeperFilesystemState state)
{
    __atomic_store_n(&hold->ledger[index].state, (uint32_t)state, __ATOMIC_RELEASE);
}

/* Insertion: the service sends them nearly sorted, and this is before anything is frozen. */
static void sort_by_rank(Hold *hold)
{
    for (uint32_t i = 0; i < hold->count; i++) {
        uint32_t at = i;

        while (at > 0 && hold->entries[hold->order[at - 1]].rank > hold->entries[i].rank) {
            hold->order[at] = hold->order[at - 1];
            at--;
        }
        hold->order[at] = i;
    }
}

void hold_init(Hold *hold, HoldEntry *entries, uint32_t *order, uint32_t count,
               KeeperLedgerFilesystem *ledger)
{
    *hold = (Hold){.entries = entries, .order = order, .count = count, .ledger = ledger};
    hold->sync_told = hold->freeze_told = hold->thaw_told = hold->settled_told = true;
    hold->sync_next = hold->freeze_next = count;
    sort_by_rank(hold);
    for (uint32_t i = 0; i < count; i++)
        record(hold, i, KEEPER_FS_INTENDED);
}

static void begin_sync_round(Hold *hold, bool commit)
{
    hold->sync_round = true;
    hold->commit_round = commit;
    hold->sync_told = false;
    hold->sync_next = 0;
    hold->synced = 0;
}

bool hold_commit(Hold *hold)
{
    if (hold->phase != HOLD_READY || hold->sync_round)
        return false;
    begin_sync_round(hold, true);
    return true;
}

bool hold_sync(Hold *hold)
{
    if (hold->phase != HOLD_READY || (hold->sync_round && !hold->commit_round))
        return false;
    begin_sync_round(hold, false);
    return true;
}

/* Syncs that were not begun are dropped, those in the kernel end by themselves, untold. */
static void end_sync_round(Hold *hold)
{
    hold->sync_round = false;
    hold->sync_told = true;
    hold->sync_next = hold->count;
}

bool hold_freeze(Hold *hold)
{
    if (hold->phase != HOLD_READY)
        return false;
    end_sync_round(hold);
    hold->phase = HOLD_FREEZE;
    hold->freeze_next = 0;
    hold->freeze_told = false;
    return true;
}

void hold_thaw(Hold *hold, KeeperCause cause, int64_t now_us)
{
    if (hold->phase == HOLD_THAW)
        return;
    end_sync_round(hold);
    if (hold->phase == HOLD_FREEZE)
        hold->freeze_told = true;
    hold->phase = HOLD_THAW;
    hold->cause = cause;
    hold->thaw_left = hold->count;
    hold->thaw_start_us = hold->progress_us = now_us;
    hold->thaw_told = hold->settled_told = false;
}

void hold_quiet(Hold *hold)
{
    hold_thaw(hold, KEEPER_CAUSE_REQUEST, 0);
    hold->thaw_told = hold->settled_told = true;
}

void hold_thaw_again(Hold *hold)
{
    if (hold->thaw_told)
        hold->thaw_told = hold->settled_told = false;
}

unsigned hold_pending(const Hold *hold)
{
    unsigned pending = 0;

    for (uint32_t i = 0; i < hold->count; i++) {
        uint8_t state = hold->entries[i].state;

        pending += state == ENTRY_FREEZING || state == ENTRY_FROZEN || state == ENTRY_THAWING ||
                   state == ENTRY_UNTHAWED;
    }
    return pending;
}

bool hold_busy(const Hold *hold)
{
    return hold->slow > 0 || hold->thaws > 0;
}

/* --- jobs --------------------------------------------------------------------------------------
 */

static void set_job(Hold *hold, HoldJob *job, HoldJobKind kind, uint32_t index)
{
    if (job)
        *job = (HoldJob){kind, index, hold->entries[index].fd};
}

static void finish_call(Hold *hold, uint32_t index, HoldJobKind kind, int error_number,
                        int64_t start_us, int64_t now_us)
{
    HoldEntry *entry = &hold->entries[index];

    entry->calls[kind] = (HoldCall){error_number, start_us, now_us - start_us};
    entry->reports |= (uint8_t)(1u << kind);
}

/* A type that has no freeze is no failure: it was synced, and there is no better for it. */
static void freeze_failed(Hold *hold, uint32_t index, int error_number)
{
    HoldEntry *entry = &hold->entries[index];

    entry->state = ENTRY_FAILED;
    if (hold->freeze_error == 0 && error_number != EOPNOTSUPP)
        hold->freeze_error = error_number;
    record(hold, index, error_number == EBUSY ? KEEPER_FS_FOREIGN : KEEPER_FS_FAILED);
    if (!(entry->flags & KEEPER_FS_MAY_FAIL) && error_number != EOPNOTSUPP)
        hold->freeze_stopped = true;
}

static void freeze_maybe_over(Hold *hold)
{
    if (hold->phase == HOLD_FREEZE && hold->freezing == 0 &&
        (hold->freeze_stopped || hold->freeze_next == hold->count))
        hold->phase = HOLD_HELD;
}

/* Skips what is not to be frozen. An entry whose own syncfs or fsync has not returned must not be
 * frozen: the FIFREEZE would wait for it with the writers already blocked. */
static bool next_to_freeze(Hold *hold, int64_t now_us)
{
    while (hold->freeze_next < hold->count && !hold->freeze_stopped) {
        uint32_t index = hold->order[hold->freeze_next];
        HoldEntry *entry = &hold->entries[index];

        if (hold->freezing > 0 && entry->rank != hold->freeze_rank)
            return false;
        if (!(entry->flags & KEEPER_FS_SYNC_ONLY) && !entry->syncing)
            return true;
        hold->freeze_next++;
        if (!(entry->flags & KEEPER_FS_SYNC_ONLY)) {
            finish_call(hold, index, JOB_FREEZE, ETIMEDOUT, now_us, now_us);
            freeze_failed(hold, index, ETIMEDOUT);
        }
    }
    freeze_maybe_over(hold);
    return false;
}

static bool take_freeze(Hold *hold, int64_t now_us, HoldJob *job)
{
    HoldEntry *entry;

    if (!next_to_freeze(hold, now_us) || hold->slow >= HOLD_SLOW_MAX)
        return false;
    set_job(hold, job, JOB_FREEZE, hold->order[hold->freeze_next]);
    if (!job)
        return true;
    entry = &hold->entries[job->index];
    hold->freeze_next++;
    hold->freeze_rank = entry->rank;
    hold->freezing++;
    hold->slow++;
    entry->state = ENTRY_FREEZING;
    record(hold, job->index, KEEPER_FS_IN_FLIGHT);
    return true;
}

static bool is_of_round(const Hold *hold, const HoldEntry *entry)
{
    return !entry->syncing && (!hold->commit_round || (entry->flags & KEEPER_FS_JOURNAL));
}

static bool take_sync(Hold *hold, HoldJob *job)
{
    while (hold->sync_next < hold->count && !is_of_round(hold, &hold->entries[hold->sync_next]))
        hold->sync_next++;
    if (hold->sync_next == hold->count || hold->slow >= HOLD_SLOW_MAX)
        return false;
    set_job(hold, job, hold->commit_round ? JOB_COMMIT : JOB_SYNC, hold->sync_next);
    if (!job)
        return true;
    hold->entries[hold->sync_next++].syncing = true;
    hold->slow++;
    return true;
}

/* Opens the next level, down the ranks, when this one is over or late. */
static bool next_to_thaw(Hold *hold, int64_t now_us)
{
    while (hold->thaw_left > 0) {
        const HoldEntry *entry = &hold->entries[hold->order[hold->thaw_left - 1]];

        if (entry->state != ENTRY_FROZEN) {
            hold->thaw_left--;
            continue;
        }
        if (hold->level > 0 && hold->level_busy > 0 &&
            now_us >= hold->level_start_us + KEEPER_LEVEL_WAIT_US)
            hold->level_late = true;
        if (hold->level == 0 || entry->rank != hold->thaw_rank) {
            if (hold->level_busy > 0 && !hold->level_late)
                return false;
            hold->level++;
            hold->thaw_rank = entry->rank;
            hold->level_start_us = now_us;
            hold->level_busy = hold->level_size = 0;
            hold->level_late = false;
            for (uint32_t i = hold->thaw_left;
                 i > 0 && hold->entries[hold->order[i - 1]].rank == entry->rank; i--)
                hold->level_size++;
        }
        return true;
    }
    return false;
}

static unsigned level_threads(const Hold *hold)
{
    unsigned few = (hold->level_size + 1) / 2;

    if (hold->level_late)
        return UINT32_MAX;
    if (few < 2)
        return 2;
    return few > HOLD_THAW_FEW ? HOLD_THAW_FEW + hold->level_size / 16 : few;
}

static bool begin_thaw(Hold *hold, int64_t now_us, HoldJob *job, uint32_t index)
{
    set_job(hold, job, JOB_THAW, index);
    if (!job)
        return true;
    hold->progress_us = now_us;
    hold->entries[index].state = ENTRY_THAWING;
    hold->thaws++;
    return true;
}

static bool take_thaw_again(Hold *hold, int64_t now_us, HoldJob *job)
{
    for (uint32_t i = hold->count; hold->unthawed > 0 && i > 0; i--) {
        HoldEntry *entry = &hold->entries[hold->order[i - 1]];

        if (entry->state != ENTRY_UNTHAWED || entry->retry_us > now_us)
            continue;
        hold->unthawed -= job != NULL;
        entry->level = 0;
        return begin_thaw(hold, now_us, job, hold->order[i - 1]);
    }
    return false;
}

static bool take_thaw(Hold *hold, int64_t now_us, HoldJob *job)
{
    uint32_t index;

    if (!next_to_thaw(hold, now_us) || hold->level_busy >= level_threads(hold))
        return take_thaw_again(hold, now_us, job);
    index = hold->order[hold->thaw_left - 1];
    if (job) {
        hold->thaw_left--;
        hold->level_busy++;
        hold->entries[index].level = hold->level;
    }
    return begin_thaw(hold, now_us, job, index);
}

bool hold_take(Hold *hold, int64_t now_us, HoldJob *ret_job)
{
    switch (hold->phase) {
    case HOLD_READY:
        return take_sync(hold, ret_job);
    case HOLD_FREEZE:
        return take_freeze(hold, now_us, ret_job);
    case HOLD_THAW:
        return take_thaw(hold, now_us, ret_job);
    case HOLD_HELD:
        break;
    }
    return false;
}

bool hold_runnable(Hold *hold, int64_t now_us)
{
    return hold_take(hold, now_us, NULL);
}

bool hold_starved(Hold *hold, int64_t now_us)
{
    return hold->phase == HOLD_THAW && hold_runnable(hold, now_us) &&
           (hold->level_late || now_us >= hold->progress_us + KEEPER_LEVEL_WAIT_US);
}

static void sync_done(Hold *hold, uint32_t index, int error_number)
{
    hold->slow--;
    hold->entries[index].syncing = false;
    hold->synced += hold->sync_round && error_number == 0;
}

/* A round of syncs that came meanwhile has passed it by: the same worker syncs it at once. */
static bool commit_done(Hold *hold, HoldJob *job)
{
    if (hold->sync_round && !hold->commit_round && job->index < hold->sync_next) {
        job->kind = JOB_SYNC;
        return true;
    }
    hold->slow--;
    hold->entries[job->index].syncing = false;
    return false;
}

static bool freeze_done(Hold *hold, HoldJob *job, int error_number, int64_t now_us)
{
    HoldEntry *entry = &hold->entries[job->index];

    hold->slow--;
    hold->freezing--;
    if (error_number) {
        freeze_failed(hold, job->index, error_number);
        freeze_maybe_over(hold);
        return false;
    }
    if (hold->frozen++ == 0)
        hold->frozen_us = now_us;
    entry->state = ENTRY_FROZEN;
    hold->ledger[job->index].frozen_us = now_us;
    record(hold, job->index, KEEPER_FS_FROZEN);
    if (hold->phase != HOLD_THAW) {
        freeze_maybe_over(hold);
        return false;
    }
    entry->level = 0;
    return begin_thaw(hold, now_us, job, job->index);
}

static void thaw_done(Hold *hold, uint32_t index, int error_number, int64_t now_us)
{
    HoldEntry *entry = &hold->entries[index];

    hold->thaws--;
    hold->progress_us = now_us;
    if (entry->level == hold->level && entry->level > 0)
        hold->level_busy--;
    if (error_number && error_number != EINVAL) {
        bool tell = ++entry->failures == HOLD_RETRIES;

        entry->state = ENTRY_UNTHAWED;
        entry->retry_us = now_us + (entry->failures < HOLD_RETRIES ? 1 : 10) * HOLD_RETRY_US;
        hold->unthawed++;
        if (entry->failures > HOLD_RETRIES)
            entry->failures = HOLD_RETRIES + 1;
        if (!tell)
            entry->reports &= (uint8_t) ~(1u << JOB_THAW);
        return;
    }
    hold->thawed += error_number == 0;
    hold->thawed_us = now_us;
    entry->state = ENTRY_THAWED;
    hold->ledger[index].thawed_us = now_us;
    record(hold, index, KEEPER_FS_THAWED);
}

bool hold_done(Hold *hold, HoldJob *job, int error_number, int64_t start_us, int64_t now_us)
{
    if (job->kind != JOB_COMMIT)
        finish_call(hold, job->index, job->kind, error_number, start_us, now_us);
    switch (job->kind) {
    case JOB_COMMIT:
        return commit_done(hold, job);
    case JOB_SYNC:
        sync_done(hold, job->index, error_number);
        break;
    case JOB_FREEZE:
        return freeze_done(hold, job, error_number, now_us);
    case JOB_THAW:
        thaw_done(hold, job->index, error_number, now_us);
        break;
    }
    return false;
}

int64_t hold_patience_us(const Hold *hold)
{
    int64_t since = hold->thaw_start_us;

    if (hold->level > 0 && hold->level_start_us > since)
        since = hold->level_start_us;
    return since + KEEPER_LEVEL_WAIT_US;
}

int64_t hold_next_us(const Hold *hold, int64_t now_us)
{
    int64_t next = INT64_MAX;

    if (hold->phase != HOLD_THAW)
        return INT64_MAX;
    if (hold->thaws > 0 && hold->thaw_left > 0) {
        next = hold->progress_us + KEEPER_LEVEL_WAIT_US;
        if (hold->level_busy > 0 && hold->level_start_us + KEEPER_LEVEL_WAIT_US < next)
            next = hold->level_start_us + KEEPER_LEVEL_WAIT_US;
    }
    if (!hold->thaw_told && hold_patience_us(hold) < next)
        next = hold_patience_us(hold);
    for (uint32_t i = 0; hold->unthawed > 0 && i < hold->count; i++) {
        const HoldEntry *entry = &hold->entries[i];

        if (entry->state == ENTRY_UNTHAWED && entry->retry_us < next)
            next = entry->retry_us;
    }
    /* What is due and still there waits for a free worker: looked at again soon, without spinning.
     */
    return next <= now_us ? now_us + HOLD_SOON_US : next;
}
