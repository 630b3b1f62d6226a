/*
 * ledger_layout: what lies in the ledger that the service and the keeper share.
 *
 * The header, then its filesystems, then its participants.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "keeper/limits.h"
#include <stdint.h>

#define KEEPER_LEDGER_MAGIC UINT64_C(0x0172656764656c51)

typedef enum {
    KEEPER_FS_INTENDED = 0,
    KEEPER_FS_IN_FLIGHT, /* FIFREEZE is in the kernel */
    KEEPER_FS_FROZEN,
    KEEPER_FS_THAWED,
    KEEPER_FS_FOREIGN, /* frozen by somebody else (EBUSY): not ours to thaw */
    KEEPER_FS_FAILED,
} KeeperFilesystemState;

typedef struct {
    int64_t frozen_us, thawed_us; /* CLOCK_MONOTONIC, before the state that says so; 0: not */
    uint32_t state;               /* atomic; KeeperFilesystemState */
    uint32_t major, minor, rank;
    char mountpoint[KEEPER_NAME_SIZE];
    char device[KEEPER_NAME_SIZE]; /* this and the type: for the report of a recovery */
    char type[KEEPER_WORD_SIZE];
} KeeperLedgerFilesystem;

typedef struct {
    uint32_t last_verb; /* HOOK_VERB_ bit, 0: not called */
    uint32_t held;      /* called and not released */
    uint32_t kind, verbs;
    uint32_t order, on_failure, result; /* for the report of a recovery */
    uint32_t session_pid;               /* the process that holds, 0: none */
    int64_t session_started_us;         /* CLOCK_BOOTTIME */
    char name[KEEPER_NAME_SIZE];
    char path[KEEPER_NAME_SIZE];
    char user[KEEPER_USER_SIZE]; /* whom it runs as; "": the service's own */
} KeeperLedgerParticipant;

typedef struct {
    uint64_t magic;
    uint32_t version;
    uint32_t active; /* atomic; an operation is laid out and not ended */
    uint32_t n_filesystems, n_participants;
    uint32_t keeper_pid; /* written by the keeper at ARM */
    uint32_t thaw_cause; /* KeeperCause + 1 of the keeper's last thaw of this operation, 0: none */
    int64_t frozen_since_us; /* CLOCK_BOOTTIME */
    uint32_t frozen_limit_s;
    uint32_t writeback_saved;
    int32_t writeback_expire_cs, writeback_period_cs;
    uint32_t grace_saved;
    int32_t grace_expedited;
    char operation[KEEPER_OPERATION_SIZE];
    char channel[KEEPER_WORD_SIZE]; /* that asked for it; "": a local program */
    int64_t started_unix_ms;
    uint32_t ended_by; /* ReportEndedBy, 0: not, or with a verdict */
    uint32_t ended_result, ended_level;
    uint32_t verdict_pending, verdict_told;
    uint32_t verdict_ended_by, verdict_limit_s;
    uint32_t service_pid; /* who holds the lock, for the error of the next one */
    int64_t verdict_held_us, verdict_expires_us;
    char verdict_operation[KEEPER_OPERATION_SIZE];
    char verdict_reason[KEEPER_REASON_SIZE];
} KeeperLedgerHeader;
