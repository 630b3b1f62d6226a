/*
 * notify: tells systemd what the service does (sd_notify), without ever waiting for PID 1.
 *
 * PID 1 can sit in D state while / is frozen; its notify socket then fills up. The socket here is
 * non-blocking. READY=1, STOPPING=1 and the newest status are tried again a second later when they
 * did not fit; a WATCHDOG=1 is dropped, the next one follows. Every function takes NULL.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/error.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

typedef struct Notify Notify;

/* The address NOTIFY_SOCKET names; false: none that can be used here. */
bool notify_address(const char *text, struct sockaddr_un *ret_address, socklen_t *ret_length);

Notify *notify_new(const char *socket_address); /* NOTIFY_SOCKET's value; NULL: does nothing */
void notify_free(Notify *notify);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Notify, notify_free)

void notify_ready(Notify *notify);
void notify_stopping(Notify *notify);
void notify_status(Notify *notify, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* Starts WATCHDOG=1 from the main loop at half of `interval_us` (WATCHDOG_USEC); 0: no watchdog. */
void notify_watchdog(Notify *notify, uint64_t interval_us);
