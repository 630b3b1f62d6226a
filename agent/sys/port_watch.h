/*
 * port_watch: tells when a path that could not be opened is worth another try.
 *
 * Follows the path component by component, symbolic links included, and watches with inotify the
 * place where it ends: the first name that is missing, every link on the way, the node itself.
 * Each watch is set before the name is looked at, so that nothing can come unnoticed in between;
 * whoever sets up the watch first and then tries to open misses nothing either. Costs nothing
 * while nothing happens. A change of any kind ends its usefulness: make a new one.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/error.h"
#include <stdbool.h>

typedef struct PortWatch PortWatch;

/* Called from the default main context; may free the watch. */
typedef void (*PortWatchFunc)(gpointer user_data);

PortWatch *port_watch_new(const char *path, PortWatchFunc changed, gpointer user_data,
                          GError **error) G_GNUC_WARN_UNUSED_RESULT;
void port_watch_free(PortWatch *watch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PortWatch, port_watch_free)

/* From now on also when whoever has the node open closes it. The kernel tells so just before the
 * driver lets go of the device: the first try may be too early. */
bool port_watch_closings(PortWatch *watch, GError **error);
