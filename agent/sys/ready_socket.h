/*
 * ready_socket: hears one child say READY=1, as sd_notify(3) and systemd-notify(1) do.
 *
 * A datagram socket of its own for each child, in the runtime directory, removed when freed. What
 * counts is a datagram from a process of the child's process group that still exists when it is
 * read (systemd-notify waits for that); a stranger's is passed over. fds that come along are closed
 * at once, which is what sd_notify_barrier(3) waits for. Runs on the main loop at low priority, few
 * datagrams a turn: whoever floods it holds up nobody.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/error.h"
#include <stdbool.h>
#include <sys/types.h>

/* A message is some "NAME=value" lines; a longer datagram is passed over. */
#define READY_SOCKET_BYTES_MAX ((size_t)4096)
/* Datagrams of the child itself; a status a second for the longest freeze is less. */
#define READY_SOCKET_MESSAGES_MAX 1024u

typedef struct ReadySocket ReadySocket;

/* Once, from the main loop. `ready` false: the child sent READY_SOCKET_MESSAGES_MAX datagrams and
 * no READY=1. After so many the socket is closed in any case. The socket may be freed in it. */
typedef void (*ReadyFunc)(bool ready, gpointer user_data);

/* `anybody`: whoever can reach the directory may send (a child that does not run as we do); else
 * only who could write a file of ours. Nothing is read before ready_socket_listen(). */
ReadySocket *ready_socket_new(const char *directory, bool anybody,
                              GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ready_socket_free(ReadySocket *socket);              /* NULL is fine */
const char *ready_socket_path(const ReadySocket *socket); /* for $NOTIFY_SOCKET */
void ready_socket_listen(ReadySocket *socket, pid_t group, ReadyFunc func, gpointer user_data);
/* Removes what a predecessor that died left in the directory. */
void ready_socket_clean(const char *directory);
