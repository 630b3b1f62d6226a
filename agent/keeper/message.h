/*
 * message: what the service and the keeper say to each other, and the ledger they share.
 *
 * The one header both sides include; plain C11. How a message looks is in packet.h, the ledger in
 * ledger_layout.h.
 *
 *   service                                keeper
 *   HELLO                         ───►     first, or everything else is refused
 *                                 ◄───     HELLO (version; pid; count, pending: what it still
 *                                          holds for a service before this one); may be asked again
 *   ARM (+ ledger fd), then n × FILESYSTEM (+ fd)  ───►
 *                                 ◄───     ARMED (workers wait, memory is locked)
 *   COMMIT                        ───►     also any number of times, before a SYNC
 *                                 ◄───     COMMIT, the same back, when all returned
 *   SYNC, any number of times     ───►
 *                                 ◄───     n × SYNCED, SYNC_DONE
 *   FREEZE (limit), once an ARM   ───►
 *                                 ◄───     m × FROZE, FREEZE_DONE (error: the first one)
 *   BEAT every KEEPER_BEAT_US     ───►     (any message counts as one)
 *                                 ◄───     BEAT, the same back
 *   THAW                          ───►     also during COMMIT, SYNC and FREEZE
 *                                 ◄───     m × THAWED, THAW_DONE (cause)
 *   DISARM                        ───►     thaws what is held, closes fds, ends workers
 *                                 ◄───     DISARMED
 *
 * COMMIT has the journals of KEEPER_FS_JOURNAL filesystems committed, without the data that has no
 * place on the disk yet. Whether that worked is not told: SYNC tells it. A SYNC takes its place,
 * and it does not come back then.
 *
 * FREEZE goes up the ranks, one rank in parallel. It stops after the first error on a filesystem
 * without KEEPER_FS_MAY_FAIL, and what is frozen then stays so until THAW. EOPNOTSUPP (a type that
 * has no freeze) stops nothing. One whose own syncfs or fsync has not returned is not frozen.
 *
 * THAW goes down the ranks and cannot be undone: after it a new ARM is needed. It ends what is
 * under way, whose answer does not come then. THAW_DONE comes by itself, with its cause,
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
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "keeper/ledger_layout.h"
#include "keeper/limits.h"
#include "keeper/packet.h"
