/*
 * probe: one question that may block, to each of many things, without waiting for those that do
 * not answer.
 *
 * The size of every mounted filesystem, the SMART log of every disk: most answer within
 * microseconds, a dead one never. A thread asks one after the other; when it does not get on,
 * another goes on with the rest, PROBE_THREADS_MAX at most. What has not answered by the deadline
 * is left out, and is not asked again before the thread that hangs there comes back. Main loop
 * only.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/deadline.h"

#include <stdbool.h>
#include <stddef.h>

#define PROBE_THREADS_MAX 4u                   /* of one ask */
#define PROBE_STUCK_MAX   16u                  /* of one Probe: offload.h allows 64 to all */
#define PROBE_STALL_US    (15 * USEC_PER_MSEC) /* so long without an answer: another thread */

typedef struct Probe Probe;

/* In a thread. `answer` is zeroed, of the probe's answer size. False: it has none. */
typedef bool (*ProbeFunc)(const char *name, void *answer);
/* `answers[i]` belongs to `names[i]`; NULL: none. Valid during the call; it may free the probe. */
typedef void (*ProbeDone)(const void *const *answers, size_t count, gpointer user_data);

Probe *probe_new(const char *name, ProbeFunc func, size_t answer_size);
/* Drops the callback of an ask under way. Threads that hang are left to themselves. */
void probe_free(Probe *probe);
/* One at a time. `names` are copied; an empty one is not asked. `done` comes once, possibly from
 * within. What is late only, not stuck since an earlier ask, gets its answer of before, if any. */
void probe_ask(Probe *probe, const char *const *names, size_t count, Deadline deadline,
               ProbeDone done, gpointer user_data);
bool probe_asking(const Probe *probe);
