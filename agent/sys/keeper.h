/*
 * keeper: the service's end of the keeper's socket.
 *
 * Connects to the keeper's socket, or starts the keeper program with a socket pair when there is no
 * socket (no systemd). Messages are queued and sent without waiting; heartbeats go out by a timer
 * while armed, and a keeper that leaves KEEPER_TICKS_MAX of them unanswered counts as dead. When
 * the keeper dies while something may be frozen, `lost` is called at once; the owner then thaws by
 * its own fds (keeper_rescue.h).
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/deadline.h"
#include "base/error.h"
#include "keeper/message.h"
#include <stdbool.h>

#define KEEPER_QUEUE_MAX                                                                           \
    8192u /* messages waiting for a keeper that does not read; then it is lost */

typedef struct Keeper Keeper;

typedef struct {
    void (*ready)(Keeper *keeper, gpointer user_data); /* HELLO was exchanged */
    /* The connection ended or is useless; `reason` for people. Reconnecting goes on by itself. */
    void (*lost)(Keeper *keeper, const char *reason, gpointer user_data);
    /* ARMED, COMMIT, SYNCED, SYNC_DONE, FROZE, FREEZE_DONE, THAWED, THAW_DONE, DISARMED, REFUSED.
     */
    void (*message)(Keeper *keeper, const KeeperMessage *message, gpointer user_data);
} KeeperEvents;

typedef struct {
    int fd; /* borrowed; sent over */
    uint32_t rank;
    uint32_t flags; /* KEEPER_FS_ */
} KeeperFilesystem;

/* `socket_path`: connected to when it exists. `program`: started otherwise; NULL: never. */
Keeper *keeper_new(const char *socket_path, const char *program, const KeeperEvents *events,
                   gpointer user_data);
void keeper_free(Keeper *keeper); /* closes the socket: the keeper thaws what it holds */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Keeper, keeper_free)

/* Begins to connect; on failure tries again when the socket appears (inotify) or, for a program
 * that died, after a growing delay of 100 ms to 10 s. */
void keeper_connect(Keeper *keeper);
bool keeper_is_ready(const Keeper *keeper);
const char *keeper_unready_reason(const Keeper *keeper); /* NULL when ready */

/* False only when not ready. Answers come through `message`. */
bool keeper_arm(Keeper *keeper, int ledger_fd, const KeeperFilesystem *filesystems, unsigned count);
bool keeper_commit(Keeper *keeper);
bool keeper_sync(Keeper *keeper);
bool keeper_freeze(Keeper *keeper, int64_t limit_us);
bool keeper_thaw(Keeper *keeper);
bool keeper_disarm(Keeper *keeper);

/* No thread of a keeper before this connection is left that a FIFREEZE could still complete in. One
 * that hung was killed when it was given up. */
bool keeper_others_gone(Keeper *keeper);
uint32_t keeper_pid(const Keeper *keeper); /* of the one connected to; 0: none is ready */
/* The connected keeper has no call of an earlier service in the kernel any more. False also when it
 * is not ready or did not say yet; it is asked anew by this, and killed when it does not answer for
 * KEEPER_TICKS_MAX beats: it could freeze something yet. */
bool keeper_is_idle(Keeper *keeper);
