/*
 * foreign_fds: what others attach to D-Bus messages that take no fds.
 *
 * GDBus accepts fds with any message, and whoever frees the message closes them. To close one can
 * hang for as long as its sender wants (a file of a FUSE of its own), so neither the main loop nor,
 * as far as it can be helped (CLOSER_THREADS_MAX), the thread of the bus may do it: beyond it who
 * comes by the bus waits, and still neither the main loop nor a channel.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gio/gio.h>

/* From now on the connection's calls and signals come without their fds; replies keep theirs. */
void foreign_fds_drop(GDBusConnection *connection);
