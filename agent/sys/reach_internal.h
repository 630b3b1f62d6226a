/*
 * reach_internal: what reach.c, reach_path.c and reach_copy.c share. Nobody else includes it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "sys/reach.h"
#include <sys/types.h>

const char *reach_procfs(const ReachPlace *place);

/* The mount and file a path leads to, opened O_PATH. `root`: the folder "/" means; -1: this
 * thread's. A negative errno. */
int reach_look_up(int root, const char *path);
/* EXDEV unless it is of mount `mount_id` (-1: any), EOPNOTSUPP for what is not to be opened. */
int reach_check(int place, int mount_id, mode_t *ret_mode);
int reach_mount_id(int place); /* a negative errno */
/* The open itself. `proc`: an fd of /proc. */
int reach_open_found(int place, mode_t mode, int proc);

int reach_path(const ReachPlace *place); /* where the path leads to */
int reach_copy(const ReachPlace *place); /* in a copy of the namespace, what covers it taken away */
