/*
 * fdstore: leaves fds with the service manager for the next start of the service: those of an
 * operation's filesystems, in case both processes die and no path can be opened any more, and those
 * of the ports when a new program takes over (renew.h).
 *
 * By systemd's notification protocol (FDSTORE=1, BARRIER=1). Filesystems that their device number
 * tells apart have one name and few messages, as a hundred messages take the manager a fifth of a
 * second; the others and ports have one name an fd: kind and index (in the ledger, or of the
 * channel). PID 1 may be blocked while / is frozen, so nothing here waits for
 * it: messages that do not fit its socket are sent when it takes them, and the confirmation comes
 * as an event.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/deadline.h"

#include <sys/types.h>

typedef struct FdStore FdStore;

/* `stored`: the manager has all of them. False: there is none, or it did not say so in time. */
typedef void (*FdStoreDone)(bool stored, gpointer user_data);

/* What a store is for; the names differ, so that neither touches the other's. */
typedef enum { FDSTORE_HOLDS, FDSTORE_PORTS } FdStoreKind;

/* `socket_address`: NOTIFY_SOCKET's value; NULL: no manager. */
FdStore *fdstore_new(const char *socket_address, FdStoreKind kind);
void fdstore_free(FdStore *store); /* what is stored stays stored */

/* Stores fds[i] as index i, or in the group when fstat() says devices[i] of it (`devices` NULL:
 * none); -1 is left out. `fds` are borrowed for the call. `done` comes once, not from within the
 * call, and replaces the one of a call before. */
void fdstore_put(FdStore *store, const int *fds, const dev_t *devices, unsigned count,
                 Deadline deadline, FdStoreDone done, gpointer user_data);
void fdstore_cancel(FdStore *store); /* `done` does not come any more; NULL is fine */
/* Of what was put or found: the group, and the indexes 0 .. count - 1. NULL is fine. */
void fdstore_remove(FdStore *store, unsigned count);
/* The start before left this: an index, or -1 for the group. */
void fdstore_found(FdStore *store, int index);

/* Whether `name` (of sd_listen_fds_with_names()) is one of these and not a socket. */
bool fdstore_index(const char *name, FdStoreKind kind, unsigned *ret_index);
bool fdstore_is_group(const char *name); /* of FDSTORE_HOLDS */
