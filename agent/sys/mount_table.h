/*
 * mount_table: one mount table, parsed, and which of its mounts a path leads to.
 *
 * libmount only parses here: no cache and no canonicalization, so no mounted path is looked at. All
 * is linear in the length of the table, as a node may have tens of thousands of mounts. For
 * mounts*.c and reach_copy.c.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/error.h"
#include "sys/namespaces.h"
#include <sys/types.h>

#define MOUNT_TABLE_BYTES_MAX ((size_t)64 << 20) /* 1 KiB a line for MOUNTS_MAX lines */

/* Where a mount sits: a path on its parent mount. */
typedef struct {
    int parent;
    const char *path;
    size_t length;
} MountSeat;

/* One line of mountinfo; strings are the table's, decoded. */
typedef struct {
    MountSeat seat;
    int id;
    dev_t device_number;
    const char *root, *target, *source, *type, *options; /* `options` are the superblock's */
    bool whole;             /* the filesystem's root, not a bind mount of a part */
    bool shared;            /* what is mounted or unmounted on it happens to others, too */
    bool visible;           /* not mounted over: its path leads to it */
    const Namespace *where; /* NULL: the agent's own namespace; set by others */
} MountLine;

typedef struct MountTable MountTable;

/* The whole of a mountinfo file. `name` is for errors. */
GString *mount_table_read(int fd, const char *name, GError **error);
/* A line that is none, or more lines than MOUNTS_MAX, is an error. */
MountTable *mount_table_parse(const GString *text, const char *name, GError **error);
void mount_table_free(MountTable *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MountTable, mount_table_free)
GArray *mount_table_lines(MountTable *table); /* MountLine, in the table's order; stays in place */
