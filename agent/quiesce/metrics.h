/*
 * metrics: what node exporters ask: how many operations, how they ended, how long they took.
 *
 * Counters over all operations, restarts included (archive.h keeps them). Pure: no time, no fds.
 * Names of participants come from applications, so their number is limited.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "quiesce/report.h"
#include <jansson.h>

#define METRICS_NAMES_MAX 32u /* participants that failed; later ones count as "(others)" */
#define METRICS_NAME_SIZE 64u
#define METRICS_RESULTS   4u /* ok, failed, cancelled, lost */
#define METRICS_PHASES    4u /* prepare, freeze, frozen, thaw */

typedef struct {
    int64_t count, sum_us, max_us;
} MetricsPhase;

typedef struct {
    char name[METRICS_NAME_SIZE];
    int64_t count;
} MetricsName;

typedef struct {
    int64_t results[METRICS_RESULTS];
    int64_t levels[3]; /* by Level, of operations that were held until the thaw */
    MetricsPhase phases[METRICS_PHASES];
    MetricsName names[METRICS_NAMES_MAX]; /* name "": free */
    int64_t other_names;
    int64_t last_unix_ms; /* start of the last operation; 0: none */
    int last_level;
} Metrics;

/* Of an operation that is over; rehearsals do not count. */
void metrics_count(Metrics *metrics, const Report *report);
void metrics_add(Metrics *metrics, const Metrics *other); /* `other` is the older one */
char *metrics_text(const Metrics *metrics);               /* OpenMetrics text, with its "# EOF" */
json_t *metrics_to_json(const Metrics *metrics);
bool metrics_from_json(Metrics *metrics, const json_t *object); /* false: not what was written */
