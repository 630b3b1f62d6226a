/*
 * mounts: the filesystems of this system, one entry per superblock, with the reason for each that
 * is not to be frozen.
 *
 * Reads mountinfo through libmount and touches no mounted path: a dead NFS server cannot stall it.
 * Filesystems are told apart by mountinfo's major:minor (btrfs subvolumes and bind mounts share
 * it; st_dev and f_fsid differ per subvolume).
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/error.h"
#include <stdbool.h>
#include <stdint.h>

#define MOUNTS_MAX 65536u /* mountinfo lines read; a node with more is reported as an error */

typedef enum {
    MOUNT_FREEZE,    /* a local, writable, block-backed filesystem that can be frozen */
    MOUNT_SYNC_ONLY, /* its type cannot be frozen (vfat): synced, does not lower the level */
    MOUNT_SKIP,      /* pseudo, network, FUSE, read-only, overlay: nothing to do */
    MOUNT_EXCLUDED,  /* by configuration: synced, does not lower the level */
} MountAction;

typedef struct {
    char *mountpoint;       /* decoded; the mount to open: not over-mounted, whole, shortest path */
    GPtrArray *mountpoints; /* every mount point of this superblock, char *, `mountpoint` first,
                             * those mounted over last */
    unsigned visible;       /* how many of them, from the first, are not mounted over */
    int mount_id;           /* of `mountpoint`, to be compared after the open */
    char *device;           /* mountinfo source, for people */
    char *type;
    unsigned major, minor;
    MountAction action;
    bool hidden; /* every mount point is mounted over: it cannot be opened from here (any action) */
    const char *reason; /* static text; NULL for MOUNT_FREEZE */
    unsigned rank;      /* order of freezing, equal ranks in parallel (graph.h); 0 first */
    GPtrArray
        *carriers; /* "MAJ:MIN" strings of filesystems or devices that carry it; may be empty */
    char *upper;   /* overlay: the directory its changes go to; NULL otherwise */
} Mount;

typedef struct {
    const char *mountinfo; /* "/proc/self/mountinfo" */
    /* Globs matched against every mount point, device and type; `*` matches `/` too. NULL: all. */
    const char *const *include;
    /* The same, and wins over include; but a bind mount of a part names the whole filesystem only
     * if that is mounted nowhere: a volume of one pod must not exclude the node's root. */
    const char *const *exclude;
} MountsOptions;

/* Mount * elements, owned by the array, in mountinfo order (ranks are 0 until graph_rank()). */
GPtrArray *mounts_list(const MountsOptions *options, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* True if each of `mountpoints` is a visible mount point of some Mount (trailing slashes aside).
 * Else
 * `*ret_unknown` names those that are not, separated by ", ". */
bool mounts_find_unknown(GPtrArray *mounts, const char *const *mountpoints, char **ret_unknown);
/* By any of its mount points that are not mounted over. */
bool mount_has_mountpoint(const Mount *mount, const char *mountpoint);
