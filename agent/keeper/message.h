/*
 * message: what the service and the keeper say to each other, and the ledger they share.
 *
 * The one header both sides include; plain C11. The keeper's socket is SOCK_SEQPACKET, one struct a
 * packet, native byte order (both run on the same kernel; `version` fences mixed packages). fds
 * travel as SCM_RIGHTS with the message that names them.
 *
 *   service                                keeper
 *   HELLO                         ───►     first, or everything else is refused
 *                                 ◄───     HELLO (version; pid; count, pending: what it still
 *                                          holds for a service before this one); may be asked again
 *   ARM (+ ledger fd), then n × FILESYSTEM (+ fd)  ───►
 *                                 ◄───     ARMED (workers wait, memory is locked)
 *   SYNC, any number of times     ───►
 *                                 ◄───     n × SYNCED, SYNC_DONE
 *   FREEZE (limit), once an ARM   ───►
 *                                 ◄───     m × FROZE, FREEZE_DONE (error: the first one)
 *   BEAT every KEEPER_BEAT_US     ───►     (any message counts as one)
 *                                 ◄───     BEAT, the same back
 *   THAW                          ───►     also during SYNC and FREEZE
 *                                 ◄───     m × THAWED, THAW_DONE (cause)
 *   DISARM                        ───►     thaws what is held, closes fds, ends workers
 *                                 ◄───     DISARMED
 *
 * FREEZE goes up the ranks, one rank in parallel. It stops after the first error on a filesystem
 * without KEEPER_FS_MAY_FAIL, and what is frozen then stays so until THAW. EOPNOTSUPP (a type that
 * has no freeze) stops nothing. One whose own syncfs has not returned is not frozen: ETIMEDOUT.
 *
 * THAW goes down the ranks and cannot be undone: after it a new ARM is needed. It ends SYNC and
 * FREEZE under way, whose *_DONE does not come then. THAW_DONE comes by itself, with its cause,
 * when the limit passed, the service was silent while something was held, or the keeper is stopped;
 * a THAW after that is answered with the true cause, which is not REQUEST. THAWED with EINVAL means
 * that somebody else thawed it. A FITHAW that fails otherwise is told as such after some tries and
 * tried on; THAWED comes again when it succeeded.
 *
 * THAW_DONE waits at most KEEPER_LEVEL_WAIT_US for calls in the kernel: `count` says how many were
 * thawed, `pending` how many are stuck. A FIFREEZE that was stuck is thawed as soon as it completes
 * (FROZE, THAWED). When none is left THAW_DONE comes once more with pending 0.
 *
 * After DISARM, and after a service that ended, an ARM is not answered until every call of the
 * operation before returned; HELLO always is. When the socket's other end is closed all is thawed,
 * and what was not read yet is not obeyed.
 *
 * REFUSED has the request's type in `cause` and why in `error`: ENXIO not armed, EBUSY, EALREADY
 * (FREEZE twice or after THAW), EPROTO (no HELLO, versions differ), EMSGSIZE, EINVAL, ERANGE,
 * E2BIG, EBADF, EEXIST. A refused FILESYSTEM ends its ARM; the rest of them goes by in silence.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <stdint.h>

#define KEEPER_VERSION          2u
#define KEEPER_FILESYSTEMS_MAX  4096u
#define KEEPER_PARTICIPANTS_MAX 1024u
#define KEEPER_OPERATION_SIZE   40u  /* a UUID and its NUL */
#define KEEPER_NAME_SIZE        256u /* mount points, names and paths in the ledger; cut if longer */
#define KEEPER_REASON_SIZE      160u
#define KEEPER_WORD_SIZE        40u      /* a channel, a filesystem's type */
#define KEEPER_USER_SIZE        64u      /* User= of a hook; a longer one is refused */
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
    KEEPER_REFUSED,
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
    uint32_t type;       /* KeeperMessageType */
    uint32_t version;    /* HELLO */
    uint32_t index;      /* FILESYSTEM, SYNCED, FROZE, THAWED */
    uint32_t count;      /* ARM: filesystems to follow; *_DONE: how many succeeded */
    uint32_t rank;       /* FILESYSTEM */
    uint32_t flags;      /* FILESYSTEM */
    uint32_t cause;      /* THAW_DONE: KeeperCause; REFUSED: KeeperMessageType */
    uint32_t pending;    /* THAW_DONE: not thawed yet, calls in the kernel included */
    int32_t error;       /* errno; 0: success. THAWED: EINVAL means that somebody else thawed it */
    uint32_t pid;        /* HELLO: the keeper's process */
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
