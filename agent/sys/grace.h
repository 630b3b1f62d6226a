/*
 * grace: has the kernel end its RCU grace periods at once, for a while.
 *
 * A FIFREEZE waits for one grace period after the other, with the writers already stopped: some 50
 * ms a filesystem in the idle test machine. With the kernel's own setting
 * (/sys/kernel/rcu_expedited) each of them is an interrupt to every busy processor instead,
 * and the freeze takes 2 to 5 ms. Who cannot have these interrupts sets /sys/kernel/rcu_normal,
 * which the kernel puts above it. Waits for nothing.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/error.h"
#include <stdbool.h>
#include <stdint.h>

/* 0: as usual; above: expedited. False: this kernel has no such setting, or it may not be read. */
bool grace_read(const char *sysfs, int32_t *ret_expedited, GError **error);
bool grace_apply(const char *sysfs, int32_t expedited, GError **error);
