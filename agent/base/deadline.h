/*
 * deadline: a point on CLOCK_MONOTONIC in microseconds, the one time type of the agent.
 *
 * Every wait carries a Deadline. Intervals are int64_t microseconds and end in `_us`.
 * Nothing here blocks or allocates, deadline_source_new() excepted, which allocates a GSource.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define USEC_PER_MSEC INT64_C(1000)
#define USEC_PER_SEC  INT64_C(1000000)

typedef struct {
    int64_t at_us; /* INT64_MAX: never */
} Deadline;

#define DEADLINE_NEVER ((Deadline){INT64_MAX})

int64_t deadline_now(void); /* CLOCK_MONOTONIC, microseconds */
Deadline deadline_in(int64_t interval_us);
Deadline deadline_earlier(Deadline a, Deadline b);
int64_t deadline_left(Deadline deadline); /* >= 0; INT64_MAX for DEADLINE_NEVER */
bool deadline_passed(Deadline deadline);

/* A source attached to the default context that calls `func` once at `deadline`, unless destroyed
 * before. The caller owns the returned reference and ends it with deadline_source_clear().
 * `func` must return G_SOURCE_REMOVE. */
GSource *deadline_source_new(Deadline deadline, GSourceFunc func,
                             gpointer user_data) G_GNUC_WARN_UNUSED_RESULT;
void deadline_source_clear(GSource **source); /* destroys and drops; NULL is fine */
