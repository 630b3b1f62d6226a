/*
 * hungtask: how long filesystems may stay frozen on a kernel that panics on hung tasks.
 *
 * A process that writes to a frozen filesystem waits in D state, which is what the hung task
 * detector looks for. With kernel.hung_task_panic set, a freeze longer than
 * kernel.hung_task_timeout_secs ends in a reboot.
 *
 * Reads procfs only; does not block.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/deadline.h"
#include "keeper/message.h"

/* Kept free below the timeout: the grace after a pause, the service's own timer 1 s after the
 * keeper's, and the thaw. Of a short timeout, half. */
#define HUNGTASK_MARGIN_US (KEEPER_GRACE_US + 5 * USEC_PER_SEC)

/* INT64_MAX: no limit. `*ret_timeout_us` (may be NULL): the detector's timeout, 0 when there is no
 * limit. `procfs` is "/proc". */
int64_t hungtask_limit(const char *procfs, int64_t *ret_timeout_us);
