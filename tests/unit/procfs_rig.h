/*
 * procfs_rig: a folder that looks like /proc with processes in mount namespaces, for tests.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

#define RIG_OWN 1u /* the inode of the agent's own namespace */

void rig_put(const char *procfs, const char *name, const char *text);
void rig_link(const char *procfs, const char *name, const char *target);
/* A process, with "/" or "/jail" as its root. `table` NULL: it has no mount table any more. */
void rig_process(const char *procfs, const char *pid, unsigned inode, const char *root,
                 const char *table);
char *rig_new(const char *own_table);
void rig_remove(const char *path);
void rig_free(char *procfs);
