/*
 * hotplug: takes processors and blocks of memory on and off, through sysfs.
 *
 * The kernel may take seconds, and moves what runs or lies there: for offload threads.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* Texts are those of the stock agent. One that is so already is fine. */
bool hotplug_processor(const char *sysfs, int64_t id, bool online, GError **error);

typedef enum {
    HOTPLUG_SUCCESS,
    HOTPLUG_NOT_FOUND,
    HOTPLUG_NOT_SUPPORTED,
    HOTPLUG_FAILED
} HotplugEnd;

/* `*ret_errno` is 0 for success. */
HotplugEnd hotplug_memory(const char *sysfs, int64_t index, bool online, int *ret_errno);
