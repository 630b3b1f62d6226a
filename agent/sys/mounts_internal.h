/*
 * mounts_internal: what mounts.c and mounts_foreign.c share. Nobody else includes it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "sys/mount_table.h"
#include "sys/mounts.h"

typedef struct {
    const MountsOptions *options;
    GPtrArray *tables;     /* MountTable *; all strings are theirs */
    GPtrArray *groups;     /* GPtrArray of MountLine *, one a superblock */
    GHashTable *by_device; /* -> group */
    unsigned own;          /* so many of the groups, from the first, are of the own namespace */
    GHashTable *own_names; /* mount points that are seen there */
    GArray *namespaces;    /* Namespace; the others; not changed once lines point into it */
    char *unseen;          /* the first thing that could not be looked at; NULL: none */
    unsigned unseen_more;
} MountsListing;

/* Device numbers of the kernel have 32 bits. */
#define MOUNTS_DEVICE_KEY(number) GSIZE_TO_POINTER((gsize)(number))

void mounts_gather(MountsListing *listing, MountLine *line);
/* What the agent's own namespace has not. Failures end up in `unseen`. */
void mounts_gather_foreign(MountsListing *listing);
