/*
 * operation: what is held for the service, from its ARM to the end of the last worker's call.
 *
 * Called by loop.c and serve.c, on the main thread. Functions that return int return an errno
 * value; the others cannot fail.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "keeper/server.h"

/* They take over `fd`. */
int operation_arm(Server *server, uint32_t count, int ledger_fd);
int operation_filesystem(Server *server, const KeeperMessage *message, int fd);
/* A round, begun by hold_sync() or hold_commit(). */
int operation_sync(Server *server, bool (*begin)(Hold *));
int operation_freeze(Server *server, int64_t limit_us);
void operation_thaw(Server *server, KeeperCause cause);
void operation_thaw_if_held(Server *server, KeeperCause cause); /* limit, silence */
void operation_end(Server *server, KeeperCause cause);          /* releases, then forgets */
unsigned operation_pending(Server *server);
void operation_step(Server *server); /* goes on after anything happened */
int64_t operation_next_us(Server *server);
