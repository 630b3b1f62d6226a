/*
 * block_address: at which controller and place a block device is; for block_device.c only.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "sys/block_device.h"

/* Fills in the bus and the address, as far as the path in sysfs tells. */
void block_address_find(const char *sysfs, const char *place, BlockDevice *device);
