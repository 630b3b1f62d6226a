/*
 * limits: the sizes and times that the service and the keeper agree on.
 *
 * A change of a size is one of the ledger's layout, and so of the version.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#define KEEPER_VERSION          3u
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
