/*
 * leaving: tells when a connection leaves the bus.
 *
 * By the bus daemon's own signal, with a match rule for that one name: nobody else's coming and
 * going wakes the service. Whoever watches first and then asks the daemon about the name misses
 * nothing.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gio/gio.h>

typedef struct Leaving Leaving;

/* From the main loop, once; may free it. */
typedef void (*LeavingFunc)(gpointer user_data);

Leaving *leaving_new(GDBusConnection *bus, const char *unique_name, LeavingFunc left,
                     gpointer user_data);
void leaving_free(Leaving *leaving); /* NULL is fine */
