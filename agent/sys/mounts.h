/*
 * mounts: the filesystems of this system, one entry per superblock, with the reason for each that
 * is not to be frozen.
 *
 * Reads mount tables and touches no mounted path: a dead NFS server cannot stall it. Filesystems
 * are told apart by mountinfo's major:minor (btrfs subvolumes and bind mounts share it; st_dev and
 * f_fsid differ per subvolume). What the agent's own namespace has is opened and named there; other
 * mount namespaces add what only they have. Takes its time with many: for offload threads.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/error.h"
#include "sys/mount_entry.h"
#include <stdbool.h>
#include <stdint.h>

/* Lines of one mount table. More of the agent's own is an error; more of another namespace's leaves
 * that one out. */
#define MOUNTS_MAX 65536u
/* The tables of all other namespaces together, which containers fill: read within a second. */
#define MOUNTS_FOREIGN_BYTES_MAX ((size_t)64 << 20)

typedef struct {
    const char *mountinfo; /* "/proc/self/mountinfo" */
    /* Globs matched against every mount point, device and type; `*` matches `/` too. NULL: all. */
    const char *const *include;
    /* The same, and wins over include; but a bind mount of a part names the whole filesystem only
     * if that is mounted nowhere: a volume of one pod must not exclude the node's root. */
    const char *const *exclude;
    const char *procfs; /* "/proc"; NULL: no other mount namespaces */
    bool overlays;      /* also those of other namespaces, as loop files may lie on them */
} MountsOptions;

/* Mount * elements, owned by the array, in mountinfo order (ranks are 0 until graph_rank()), what
 * only other namespaces have after the own. `*ret_unseen` (may be NULL): which of those could not
 * be looked at and why, one line to be freed, or NULL: all were. */
GPtrArray *mounts_list(const MountsOptions *options, char **ret_unseen,
                       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* True if each of `mountpoints` is a visible mount point of some Mount (trailing slashes aside).
 * Else
 * `*ret_unknown` names those that are not, separated by ", ". */
bool mounts_find_unknown(GPtrArray *mounts, const char *const *mountpoints, char **ret_unknown);
