/*
 * graph: the order in which filesystems are frozen, from the kernel's own storage graph.
 *
 * Reads sysfs (`sysfs`/dev/block/MAJ:MIN: slaves, partition parents, loop/backing_file). What sits
 * on a loop, dm, md or other stacked device is ranked before the filesystem that carries it. A loop
 * file is carried by the filesystem its loop device says it is on; where that is none of the list
 * (btrfs gives every subvolume a number of its own) by the one its path lies on (longest mount
 * point prefix). Root goes last among equals, and filesystems with swap files with it. Independent
 * ones share a rank. A cycle or a missing entry ranks as if independent and is not an error: the
 * freeze's own time limits guard the rest.
 *
 * Reading sysfs does not wait for disks; still run it off the main loop (offload.h) for many. Loop
 * devices are asked about their files, but none whose path is on a network filesystem or FUSE.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "sys/mounts.h"
#include <sys/types.h>

#define GRAPH_DEPTH_MAX 32u /* devices stacked on each other; deeper is not looked at */

/* The device number a loop device's file is on; 0: not known. `name` is the device's: "loop0". */
typedef dev_t (*GraphLoopFunc)(const char *name);

typedef struct {
    const char *sysfs;             /* "/sys" */
    GraphLoopFunc loop;            /* graph_loop_device(); NULL: go by the paths */
    const char *const *swap_files; /* NULL: none */
    const char *state;             /* what the agent writes to while frozen; NULL: nothing */
} GraphOptions;

/* Sets rank, carriers, carries_swap and unfit of every Mount. The carriers of a filesystem are what
 * its device sits on directly (btrfs: its devices); for a loop device, the filesystem of its file.
 * Skipped filesystems pass the order on (a loop file on an overlay) but take no rank of their own.
 * Unfit is what `state` lies on, and whatever carries that. */
void graph_rank(GPtrArray *mounts, const GraphOptions *options);

bool graph_has_loops(const char *sysfs); /* a loop device is in use */
dev_t graph_loop_device(const char *name);
/* Absolute paths; new, NULL-terminated, possibly empty. `procfs`/swaps without partitions. */
char **graph_swap_files(const char *procfs);
