/*
 * mount_entry: one filesystem, which is one superblock, with everything that is known of it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "sys/namespaces.h"
#include <stdbool.h>

typedef enum {
    MOUNT_FREEZE,    /* a local, writable, block-backed filesystem that can be frozen */
    MOUNT_SYNC_ONLY, /* its type cannot be frozen (vfat): synced, does not lower the level */
    MOUNT_SKIP,      /* pseudo, network, FUSE, read-only, overlay: nothing to do */
    MOUNT_EXCLUDED,  /* by configuration: synced, does not lower the level */
} MountAction;

typedef struct {
    char *mountpoint;       /* decoded; the mount to open: not over-mounted, whole, shortest path */
    GPtrArray *mountpoints; /* every mount point of this superblock, char *; those it can be named
                             * by first: not mounted over, nor taken in the agent's namespace */
    unsigned visible;       /* how many of them, from the first, it can be named by */
    Namespace where;        /* of `mountpoint`; inode 0: the agent's own */
    int mount_id;           /* of `mountpoint`, to be compared after the open */
    char *device;           /* mountinfo source, for people */
    char *type;
    unsigned major, minor;
    MountAction action;
    bool hidden;         /* every mount point is mounted over: reached in a copy of the namespace */
    const char *reason;  /* static text; NULL for MOUNT_FREEZE */
    unsigned rank;       /* order of freezing, equal ranks in parallel (graph.h); 0 first */
    GPtrArray *carriers; /* "MAJ:MIN" strings of filesystems or devices that carry it */
    char *upper;         /* overlay: the directory its changes go to; NULL otherwise */
    bool carries_swap;   /* graph.h: a swap file lies on it */
    const char *unfit;   /* graph.h: to be frozen, but the agent would hang; static text, or NULL */
} Mount;

/* By any of its mount points that are not mounted over. */
bool mount_has_mountpoint(const Mount *mount, const char *mountpoint);
