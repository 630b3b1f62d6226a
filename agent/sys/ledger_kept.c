/*
 * ledger_kept: what the ledger keeps beyond an operation; see ledger_kept.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/ledger_kept.h"

#include "sys/ledger_internal.h"

#include <string.h>
#include <time.h>

static int64_t boottime_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * G_USEC_PER_SEC + now.tv_nsec / 1000;
}

/* --- the last operation ------------------------------------------------------------------------
 */

void ledger_set_origin(Ledger *ledger, const char *channel, int64_t started_unix_ms)
{
    ledger_copy_text(ledger->header->channel, sizeof ledger->header->channel, channel);
    ledger->header->started_unix_ms = started_unix_ms;
}

void ledger_set_ended(Ledger *ledger, uint32_t result, uint32_t ended_by, uint32_t level)
{
    ledger->header->ended_result = result;
    ledger->header->ended_level = level;
    ledger_store(&ledger->header->ended_by, ended_by);
}

void ledger_last(const Ledger *ledger, LedgerOperation *ret_operation)
{
    const KeeperLedgerHeader *header = ledger->header;

    *ret_operation = (LedgerOperation){
        .operation = header->operation,
        .channel = header->channel[0] ? header->channel : NULL,
        .started_unix_ms = header->started_unix_ms,
        .ended_by = ledger_load(&header->ended_by),
        .result = header->ended_result,
        .level = header->ended_level,
        .thaw_cause = (int)ledger_load(&header->thaw_cause) - 1,
        .n_filesystems = header->n_filesystems,
        .n_participants = header->n_participants,
    };
}

bool ledger_is_unused(const Ledger *ledger)
{
    return ledger->header->operation[0] == '\0';
}

/* --- settings and the verdict ------------------------------------------------------------------
 */

void ledger_save_writeback(Ledger *ledger, const WritebackSettings *settings)
{
    /* A second save would save what was already changed. */
    if (ledger_load(&ledger->header->writeback_saved))
        return;
    ledger->header->writeback_expire_cs = settings->expire_cs;
    ledger->header->writeback_period_cs = settings->period_cs;
    ledger_store(&ledger->header->writeback_saved, 1);
}

bool ledger_saved_writeback(const Ledger *ledger, WritebackSettings *ret_settings)
{
    if (!ledger_load(&ledger->header->writeback_saved))
        return false;
    *ret_settings = (WritebackSettings){.expire_cs = ledger->header->writeback_expire_cs,
                                        .period_cs = ledger->header->writeback_period_cs};
    return true;
}

void ledger_clear_writeback(Ledger *ledger)
{
    ledger_store(&ledger->header->writeback_saved, 0);
}

void ledger_save_grace(Ledger *ledger, int32_t expedited)
{
    if (ledger_load(&ledger->header->grace_saved))
        return;
    ledger->header->grace_expedited = expedited;
    ledger_store(&ledger->header->grace_saved, 1);
}

bool ledger_saved_grace(const Ledger *ledger, int32_t *ret_expedited)
{
    *ret_expedited = ledger->header->grace_expedited;
    return ledger_load(&ledger->header->grace_saved) != 0;
}

void ledger_clear_grace(Ledger *ledger)
{
    ledger_store(&ledger->header->grace_saved, 0);
}

void ledger_set_verdict(Ledger *ledger, const LedgerVerdict *verdict)
{
    KeeperLedgerHeader *header = ledger->header;

    ledger_store(&header->verdict_pending, 0);
    ledger_store(&header->verdict_told, 0);
    header->verdict_ended_by = verdict->ended_by;
    header->verdict_limit_s = verdict->limit_s;
    header->verdict_held_us = verdict->held_us;
    header->verdict_expires_us = verdict->expires_us;
    ledger_copy_text(header->verdict_operation, sizeof header->verdict_operation,
                     verdict->operation);
    ledger_copy_text(header->verdict_reason, sizeof header->verdict_reason, verdict->reason);
    ledger_store(&header->verdict_pending, 1);
}

static void read_verdict(const KeeperLedgerHeader *header, LedgerVerdict *ret_verdict)
{
    *ret_verdict = (LedgerVerdict){
        .ended_by = header->verdict_ended_by,
        .limit_s = header->verdict_limit_s,
        .held_us = header->verdict_held_us,
        .expires_us = header->verdict_expires_us,
        .told = ledger_load(&header->verdict_told) != 0,
    };
    ledger_copy_text(ret_verdict->operation, sizeof ret_verdict->operation,
                     header->verdict_operation);
    ledger_copy_text(ret_verdict->reason, sizeof ret_verdict->reason, header->verdict_reason);
}

bool ledger_verdict(const Ledger *ledger, LedgerVerdict *ret_verdict)
{
    const KeeperLedgerHeader *header = ledger->header;

    if (!ledger_load(&header->verdict_pending) || boottime_us() >= header->verdict_expires_us)
        return false;
    read_verdict(header, ret_verdict);
    return true;
}

bool ledger_last_verdict(const Ledger *ledger, LedgerVerdict *ret_verdict)
{
    const KeeperLedgerHeader *header = ledger->header;

    if (!header->operation[0] || strcmp(header->verdict_operation, header->operation) != 0)
        return false;
    read_verdict(header, ret_verdict);
    return true;
}

void ledger_clear_verdict(Ledger *ledger, bool told)
{
    ledger_store(&ledger->header->verdict_told, told);
    ledger_store(&ledger->header->verdict_pending, 0);
}
