/*
 * message: what the service and the keeper say to each other, and the ledger they share.
 *
 * The one header both sides include; plain C11. The keeper's socket is SOCK_SEQPACKET, one struct a
 * packet, native byte order (both run on the same kernel; `version` fences mixed packages). fds
 * travel as SCM_RIGHTS with the message that names them.
 *
 *   service                                keeper
 *   HELLO                         ───►
 *                                 ◄───     HELLO (version, state)
 *   ARM (+ ledger fd) , then n × FILESYSTEM (+ fd)  ───►
 *                                 ◄───     ARMED (workers wait, memory is locked)
 *   SYNC                          ───►
 *                                 ◄───     n × SYNCED, SYNC_DONE
 *   FREEZE (limit)                ───►
 *                                 ◄───     m × FROZE, FREEZE_DONE (m ≤ n: stops at the first error
 *                                          on a filesystem without KEEPER_FS_MAY_FAIL)
 *   BEAT every KEEPER_BEAT_US     ───►     (any message counts as one)
 *   THAW                          ───►     also during SYNC and FREEZE
 *                                 ◄───     m × THAWED, THAW_DONE (cause)
 *   DISARM                        ───►     closes fds, ends workers
 *                                 ◄───     DISARMED
 *
 * THAW_DONE comes by itself, with its cause, when the limit passed or the service was silent. A
 * FIFREEZE that is stuck when THAW is asked for is reported THAWED when it completed and was
 * thawed; THAW_DONE does not wait for it: `count` says how many were thawed, `pending` how many are
 * stuck. When the last of those is thawed THAW_DONE comes once more with pending 0.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <stdint.h>

#define KEEPER_VERSION          1u
#define KEEPER_FILESYSTEMS_MAX  4096u
#define KEEPER_PARTICIPANTS_MAX 1024u
#define KEEPER_OPERATION_SIZE   40u  /* a UUID and its NUL */
#define KEEPER_NAME_SIZE        256u /* mount points, names and paths in the ledger; cut if longer */
#define KEEPER_REASON_SIZE      160u
#define KEEPER_BEAT_US          500000   /* the service's heartbeat while armed */
#define KEEPER_TICKS_MAX        10u      /* keeper ticks of 500 ms without a message: hung */
#define KEEPER_GRACE_US         10000000 /* for the host's thaw when the limit fired late */
#define KEEPER_LATE_US          1000000 /* later than this: the VM was paused or the clock jumped */
#define KEEPER_LEVEL_WAIT_US    250000  /* a FITHAW late by this does not hold up the next level */

typedef enum {
    KEEPER_HELLO = 1,
    KEEPER_ARM,
    KEEPER_FILESYSTEM,
    KEEPER_ARMED,
    KEEPER_SYNC,
    KEEPER_SYNCED,
    KEEPER_SYNC_DONE,
    KEEPER_FREEZE,
    KEEPER_FROZE,
    KEEPER_FREEZE_DONE,
    KEEPER_BEAT,
    KEEPER_THAW,
    KEEPER_THAWED,
    KEEPER_THAW_DONE,
    KEEPER_DISARM,
    KEEPER_DISARMED,
    KEEPER_REFUSED, /* the request could not be served in this state; `error` says why (errno) */
} KeeperMessageType;

typedef enum {
    KEEPER_CAUSE_REQUEST, /* THAW */
    KEEPER_CAUSE_LIMIT,   /* frozen limit passed */
    KEEPER_CAUSE_SILENCE, /* KEEPER_TICKS_MAX ticks without a message */
    KEEPER_CAUSE_EOF,     /* the service's end of the socket was closed (only in the ledger) */
    KEEPER_CAUSE_STOP,    /* the keeper got SIGTERM */
} KeeperCause;

#define KEEPER_FS_MAY_FAIL  (1u << 0) /* on-error=skip: an error does not stop the freeze */
#define KEEPER_FS_SYNC_ONLY (1u << 1) /* synced, never frozen (vfat, excluded) */

typedef struct {
    uint32_t type;    /* KeeperMessageType */
    uint32_t version; /* HELLO */
    uint32_t index;   /* FILESYSTEM, SYNCED, FROZE, THAWED */
    uint32_t count;   /* ARM: filesystems to follow; *_DONE: how many succeeded */
    uint32_t rank;    /* FILESYSTEM */
    uint32_t flags;   /* FILESYSTEM */
    uint32_t cause;   /* THAW_DONE: KeeperCause */
    uint32_t pending; /* THAW_DONE, FREEZE_DONE: calls still in the kernel */
    int32_t error;    /* errno; 0: success. THAWED: EINVAL means that somebody else thawed it */
    uint32_t reserved;
    int64_t start_us;    /* CLOCK_MONOTONIC */
    int64_t duration_us; /* of the call; THAW_DONE: how long it was frozen */
    int64_t limit_us;    /* FREEZE: frozen limit, from now */
} KeeperMessage;

/* The ledger: header, then filesystems, then participants. */
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
    uint32_t state; /* atomic; KeeperFilesystemState */
    uint32_t major, minor, rank;
    char mountpoint[KEEPER_NAME_SIZE];
} KeeperLedgerFilesystem;

typedef struct {
    uint32_t last_verb; /* HOOK_VERB_ bit, 0: not called */
    uint32_t held;      /* called and not released */
    uint32_t kind, verbs;
    char name[KEEPER_NAME_SIZE];
    char path[KEEPER_NAME_SIZE];
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
    char operation[KEEPER_OPERATION_SIZE];
    uint32_t verdict_pending;
    uint32_t verdict_ended_by, verdict_limit_s;
    uint32_t service_pid; /* who holds the lock, for the error of the next one */
    int64_t verdict_held_us, verdict_expires_us;
    char verdict_operation[KEEPER_OPERATION_SIZE];
    char verdict_reason[KEEPER_REASON_SIZE];
} KeeperLedgerHeader;
