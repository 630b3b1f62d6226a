/*
 * daemon: a process in the background with a pid file, for systems without a service manager.
 *
 * The process that was started waits until the one in the background says that it serves, so that
 * its exit status tells the truth. Blocks for that: at start only, before there is a main loop or
 * a thread. The pid file is locked while the process lives, and removed at its end.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/error.h"
#include <stdbool.h>

/* Opening ports takes milliseconds; on a machine that boots, some seconds. */
#define DAEMON_START_SECONDS 30u

typedef struct Daemon Daemon;

/* Returns in the new process only; the old one ends, with status 0 once daemon_ready() was called,
 * with 1 if that process ends before. On error the new process is to say so and to end. */
Daemon *daemon_new(const char *pidfile, GError **error);
void daemon_ready(Daemon *daemon);
void daemon_free(Daemon *daemon); /* removes the pid file; NULL is fine */

/* Standard error, and with it what is logged, goes to the end of a file. Two steps, so that what
 * goes wrong in between is still told to whoever started the agent. */
int daemon_open_log(const char *path, GError **error); /* -1: error */
void daemon_use_log(int fd);                           /* takes it over */
