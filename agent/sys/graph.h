/*
 * graph: the order in which filesystems are frozen, from the kernel's own storage graph.
 *
 * Reads sysfs (`sysfs`/dev/block/MAJ:MIN: slaves, partition parents, loop/backing_file). What sits
 * on a loop, dm, md or other stacked device is ranked before the filesystem that carries it; a
 * loop file is carried by the filesystem its path lies on (longest mount point prefix). Root goes
 * last among equals. Independent ones share a rank. A cycle or a missing entry ranks as if
 * independent and is not an error: the freeze's own time limits guard the rest.
 *
 * Reading sysfs does not wait for disks; still run it off the main loop (offload.h) for many.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "sys/mounts.h"

#define GRAPH_DEPTH_MAX 32u /* devices stacked on each other; deeper is not looked at */

/* Sets rank and carriers of every Mount. `sysfs` is "/sys". The carriers of a filesystem are what
 * its device sits on directly (btrfs: its devices); for a loop device, the filesystem of its file.
 * Skipped filesystems pass the order on (a loop file on an overlay) but take no rank of their own.
 */
void graph_rank(GPtrArray *mounts, const char *sysfs);
