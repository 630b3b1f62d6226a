/*
 * notify_rig: a service manager's notification socket, for the tests of what is sent to it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

/* The manager's end; `text` is a path or '@' and an abstract name. */
int notify_rig_bind(const char *text);
/* The next datagram or NULL. `ret_fd` gets the fd that came with it, -1 for none; it may be NULL
 * where none can come. */
char *notify_rig_receive(int fd, int *ret_fd);
/* The same with up to NOTIFY_RIG_FDS of them. */
#define NOTIFY_RIG_FDS 253
char *notify_rig_receive_fds(int fd, int *ret_fds, unsigned *ret_count);
/* The manager reads nothing any more and its queue is full. */
void notify_rig_fill(const char *path);
/* Reads what notify_rig_fill() sent. */
void notify_rig_drain(int fd);
