/*
 * ledger_kept: what the ledger keeps beyond an operation: how the last one ended, settings changed
 * for the time being, and the verdict that the host is to be told; see ledger.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "sys/ledger.h"
#include "sys/writeback.h"

/* Who asked, and when: for the report of whoever recovers. NULL: a local program. */
void ledger_set_origin(Ledger *ledger, const char *channel, int64_t started_unix_ms);
/* It ended, without a verdict to tell: ReportResult, ReportEndedBy, Level of
 * quiesce/report_outcome.h. */
void ledger_set_ended(Ledger *ledger, uint32_t result, uint32_t ended_by, uint32_t level);

/* The last operation, ended or not: its tables stay until the next one is laid out. */
typedef struct {
    const char *operation; /* "": there was none */
    const char *channel;   /* NULL: a local program */
    int64_t started_unix_ms;
    uint32_t ended_by; /* 0: it did not end, or with a verdict */
    uint32_t result, level;
    int thaw_cause; /* KeeperCause of the keeper's last thaw, -1: none */
    unsigned n_filesystems, n_participants;
} LedgerOperation;

void ledger_last(const Ledger *ledger, LedgerOperation *ret_operation);
bool ledger_is_unused(const Ledger *ledger); /* new, as after the loss of another: no operation */

/* Write-back settings changed for the time being; written before they are changed. */
void ledger_save_writeback(Ledger *ledger, const WritebackSettings *settings);
bool ledger_saved_writeback(const Ledger *ledger, WritebackSettings *ret_settings);
void ledger_clear_writeback(Ledger *ledger);
/* The same of sys/grace.h. */
void ledger_save_grace(Ledger *ledger, int32_t expedited);
bool ledger_saved_grace(const Ledger *ledger, int32_t *ret_expedited);
void ledger_clear_grace(Ledger *ledger);

/* The freeze ended in any way but the host's thaw; the host's next thaw is to be told once. Times
 * are CLOCK_BOOTTIME microseconds. */
typedef struct {
    char operation[KEEPER_OPERATION_SIZE];
    char reason[KEEPER_REASON_SIZE];
    uint32_t ended_by;  /* ReportEndedBy of quiesce/report_outcome.h */
    uint32_t limit_s;   /* "limited up to N seconds" */
    int64_t held_us;    /* how long it was frozen */
    int64_t expires_us; /* end of lost-window */
    bool told;          /* the host was told */
} LedgerVerdict;

void ledger_set_verdict(Ledger *ledger, const LedgerVerdict *verdict);
bool ledger_verdict(const Ledger *ledger, LedgerVerdict *ret_verdict); /* false: none or expired */
void ledger_clear_verdict(Ledger *ledger, bool told);
/* Of the last operation, told or not; false: it was not lost. */
bool ledger_last_verdict(const Ledger *ledger, LedgerVerdict *ret_verdict);
