/*
 * mount_kind: what can be done with a filesystem, by its type: tables, and nothing else.
 *
 * Pure; nothing is opened. Shared by mounts.c and its test.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "sys/mounts.h"

/* `read_only` is the superblock's flag, not the mount's: a read-only bind mount does not keep
 * others from writing. `major` is mountinfo's; 0 means that no block device carries it.
 * `*ret_reason` is static, NULL with MOUNT_FREEZE. */
MountAction mount_kind(const char *type, bool read_only, unsigned major, const char **ret_reason);
/* Types whose superblock has an invented device number although block devices carry it. */
bool mount_kind_hides_device(const char *type);
/* Types of which every system and container has many, and nobody misses one in a list. */
bool mount_kind_is_noise(const char *type);
/* On no device of their own, but what is written to them ends up on another filesystem. */
bool mount_kind_passes_on(const char *type);
/* By a network server or a program, which may never answer. */
bool mount_kind_is_served(const char *type);
