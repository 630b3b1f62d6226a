/*
 * processors: the logical processors, and whether each is online, from sysfs.
 *
 * The kernel makes a reader wait while it takes a processor on or off: for offload threads.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    int64_t id;
    bool online;
    bool can_offline;
} Processor;

/* Processor, by number; errors have the stock agent's texts. */
GArray *processors_list(const char *sysfs, GError **error) G_GNUC_WARN_UNUSED_RESULT;
