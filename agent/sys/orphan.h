/*
 * orphan: a process that a predecessor of this service started and that is not our child.
 *
 * Watched through a pidfd until it ends; who is late gets SIGTERM and at the deadline SIGKILL, with
 * its process group, which it leads. Runs on the main loop, waits for nothing.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/deadline.h"
#include <stdbool.h>
#include <sys/types.h>

#define ORPHAN_TERM_US (1 * USEC_PER_SEC) /* SIGTERM so long before the deadline, or half-way */

typedef struct Orphan Orphan;

/* Once, from the main loop; the orphan may be freed in it. `killed`: it did not end by itself. */
typedef void (*OrphanGone)(bool killed, gpointer user_data);

/* NULL: there is no such process any more. `started_us` (CLOCK_BOOTTIME) tells it from another one
 * that got its number. */
Orphan *orphan_watch(pid_t pid, int64_t started_us, Deadline deadline, OrphanGone gone,
                     gpointer user_data);
void orphan_free(Orphan *orphan); /* leaves the process alone; NULL is fine */
