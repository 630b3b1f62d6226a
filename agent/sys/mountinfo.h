/*
 * mountinfo: one look through a mountinfo file, for a few questions that need no list of mounts.
 *
 * Lines are read one by one and not kept; a node may have ten thousand of them in each of hundreds
 * of namespaces. Paths are compared as text: no mounted path is touched. The kernel makes a reader
 * wait while somebody mounts, so this is for offload threads.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <stdbool.h>

typedef struct {
    int mount_id;
    unsigned major, minor;
    const char *mountpoint; /* decoded; of this call only */
} MountinfoLine;

/* False: it wants no more lines. */
typedef bool (*MountinfoFunc)(const MountinfoLine *line, void *user_data);

/* Calls `func` with every line of `path` that can be read as one. False: no such file. */
bool mountinfo_each(const char *path, MountinfoFunc func, void *user_data);

/* The filesystem that `file`, an absolute path, lies on: that of the longest mount point which
 * begins it, the last one of equals. False: none. Symbolic links in it are not followed. */
bool mountinfo_of_path(const char *path, const char *file, unsigned *ret_major,
                       unsigned *ret_minor);
