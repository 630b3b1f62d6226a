/*
 * memory_blocks: the blocks of memory that may be taken off and on, from sysfs.
 *
 * The kernel makes a reader wait while it takes one off: for offload threads.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    uint64_t index;
    bool online;
    bool can_offline;
} MemoryBlock;

/* MemoryBlock, by index; empty where the kernel has none of them to show. */
GArray *memory_blocks_list(const char *sysfs, GError **error) G_GNUC_WARN_UNUSED_RESULT;
bool memory_blocks_size(const char *sysfs, uint64_t *ret_bytes, GError **error);
