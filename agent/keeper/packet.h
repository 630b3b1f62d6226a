/*
 * packet: the one struct that goes over the keeper's socket, in both directions.
 *
 * The socket is SOCK_SEQPACKET, one struct a packet, native byte order (both run on the same
 * kernel; `version` fences mixed packages). fds travel as SCM_RIGHTS with the message that names
 * them.
 *
 * REFUSED has the request's type in `cause` and why in `error`: ENXIO not armed, EBUSY, EALREADY
 * (FREEZE twice or after THAW), EPROTO (no HELLO, versions differ), EMSGSIZE, EINVAL, ERANGE,
 * E2BIG, EBADF, EEXIST. A refused FILESYSTEM ends its ARM; the rest of them goes by in silence.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <stdint.h>

typedef enum {
    KEEPER_HELLO = 1,
    KEEPER_ARM,
    KEEPER_FILESYSTEM,
    KEEPER_ARMED,
    KEEPER_COMMIT,
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
#define KEEPER_FS_JOURNAL   (1u << 2) /* fsync of its root commits its journal (ext4) */

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
