/*
 * reach: opens a filesystem where it is mounted: in the agent's mount namespace or another one,
 * mounted over or not, and wherever it went since the list was made.
 *
 * Everything here blocks for as long as the paths on the way do, so it runs in the threads of
 * offload_open() only. Container paths are hostile: no symlink and no magic link is followed, what
 * is found counts only if it is the mount of the list, and nothing but a directory or regular file
 * is ever opened.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "sys/mounts.h"

typedef struct {
    const char *path;      /* as the namespace sees it */
    int mount_id;          /* -1: not known; then it is looked for by device */
    unsigned major, minor; /* of mountinfo. Both 0: whatever is at the path, and nothing else */
    Namespace where;       /* inode 0: the agent's own */
    bool hidden;           /* mounted over */
    const char *procfs;    /* NULL: /proc */
} ReachPlace;

/* Of a listed filesystem; strings are borrowed. `exact` false: for tests with invented tables. */
ReachPlace reach_place(const Mount *mount, const char *procfs, bool exact);
ReachPlace *reach_place_copy(const ReachPlace *place);
void reach_place_free(ReachPlace *place);

/* An fd (O_RDONLY|O_NONBLOCK|O_CLOEXEC|O_NOCTTY|O_NOATIME) or a negative errno. ENODEV: it is
 * mounted nowhere any more; EACCES: nowhere that could be looked at; EBUSY: mounted over by what
 * cannot be moved aside. If the mount is gone or covered since it was listed, any other mount of
 * the same superblock will do. With both device numbers 0: EXDEV if another mount is at the path.
 */
int reach_open(const ReachPlace *place);
