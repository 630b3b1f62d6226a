/*
 * nvme_smart: the health log of an NVMe disk (NVM Express Base Specification, log page 02h).
 *
 * The disk's controller is asked, which may take seconds: only in threads that may be given up, see
 * probe.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NVME_SMART_SIZE 512u

/* As the disk gives it: little-endian. */
typedef struct {
    uint8_t bytes[NVME_SMART_SIZE];
} NvmeSmart;

/* A ProbeFunc: `node` is "/dev/nvme0n1", `answer` an NvmeSmart. */
bool nvme_smart_ask(const char *node, void *answer);
/* The number of `size` bytes, 8 at most, at `offset`. */
uint64_t nvme_smart_number(const NvmeSmart *smart, size_t offset, size_t size);
