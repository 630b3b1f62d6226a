/*
 * metrics: see metrics.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/metrics.h"

#include "base/deadline.h"
#include "base/text.h"
#include <string.h>

static const char *const RESULTS[METRICS_RESULTS] = {"ok", "failed", "cancelled", "lost"};
static const char *const PHASES[METRICS_PHASES] = {"prepare", "freeze", "frozen", "thaw"};

static void count_name(Metrics *metrics, const char *name, int64_t count)
{
    char clean[METRICS_NAME_SIZE];

    text_line(clean, sizeof clean, name, (size_t)-1);
    for (unsigned i = 0; i < METRICS_NAMES_MAX; i++) {
        MetricsName *entry = &metrics->names[i];

        if (entry->name[0] && strcmp(entry->name, clean) != 0)
            continue;
        g_strlcpy(entry->name, clean, sizeof entry->name);
        entry->count += count;
        return;
    }
    metrics->other_names += count;
}

static void count_phase(MetricsPhase *phase, int64_t us)
{
    if (us < 0)
        return;
    phase->count++;
    phase->sum_us += us;
    phase->max_us = MAX(phase->max_us, us);
}

void metrics_count(Metrics *metrics, const Report *report)
{
    const int64_t phases[METRICS_PHASES] = {report->prepare_us, report->freeze_us,
                                            report->frozen_us, report->thaw_us};

    if (report->rehearsal)
        return;
    for (unsigned i = 0; i < METRICS_RESULTS; i++)
        metrics->results[i] += strcmp(report_result_name(report->result), RESULTS[i]) == 0;
    if (report->result == REPORT_OK)
        metrics->levels[report->level]++;
    for (unsigned i = 0; i < METRICS_PHASES; i++)
        count_phase(&metrics->phases[i], phases[i]);
    for (unsigned i = 0; i < report->participants->len; i++) {
        const ReportParticipant *entry = g_ptr_array_index(report->participants, i);

        if (entry->result != STEP_OK && entry->result != STEP_SKIPPED &&
            entry->result != STEP_CANCELLED)
            count_name(metrics, entry->name, 1);
    }
    metrics->last_unix_ms = report->started_unix_ms;
    metrics->last_level = report->level;
}

void metrics_add(Metrics *metrics, const Metrics *other)
{
    for (unsigned i = 0; i < METRICS_RESULTS; i++)
        metrics->results[i] += other->results[i];
    for (unsigned i = 0; i < G_N_ELEMENTS(metrics->levels); i++)
        metrics->levels[i] += other->levels[i];
    for (unsigned i = 0; i < METRICS_PHASES; i++) {
        metrics->phases[i].count += other->phases[i].count;
        metrics->phases[i].sum_us += other->phases[i].sum_us;
        metrics->phases[i].max_us = MAX(metrics->phases[i].max_us, other->phases[i].max_us);
    }
    for (unsigned i = 0; i < METRICS_NAMES_MAX && other->names[i].name[0]; i++)
        count_name(metrics, other->names[i].name, other->names[i].count);
    metrics->other_names += other->other_names;
    if (metrics->last_unix_ms == 0) {
        metrics->last_unix_ms = other->last_unix_ms;
        metrics->last_level = other->last_level;
    }
}

/* --- text --------------------------------------------------------------------------------------
 */

static void head(GString *text, const char *name, const char *type, const char *help)
{
    g_string_append_printf(text, "# TYPE quiesced_%s %s\n# HELP quiesced_%s %s\n", name, type, name,
                           help);
}

static void append_label(GString *text, const char *value)
{
    for (; *value; value++) {
        if (*value == '"' || *value == '\\')
            g_string_append_c(text, '\\');
        g_string_append_c(text, *value);
    }
}

/* Seconds with a point, whatever the locale. */
static void append_seconds(GString *text, int64_t us)
{
    g_string_append_printf(text, "%" G_GINT64_FORMAT ".%06d\n", us / USEC_PER_SEC,
                           (int)(us % USEC_PER_SEC));
}

static void append_names(GString *text, const Metrics *metrics)
{
    head(text, "participant_failures", "counter",
         "Operations in which the participant failed, was refused, late or lost its hold.");
    for (unsigned i = 0; i < METRICS_NAMES_MAX && metrics->names[i].name[0]; i++) {
        g_string_append(text, "quiesced_participant_failures_total{participant=\"");
        append_label(text, metrics->names[i].name);
        g_string_append_printf(text, "\"} %" G_GINT64_FORMAT "\n", metrics->names[i].count);
    }
    if (metrics->other_names > 0)
        g_string_append_printf(text,
                               "quiesced_participant_failures_total{participant=\"(others)\"} "
                               "%" G_GINT64_FORMAT "\n",
                               metrics->other_names);
}

static void append_phases(GString *text, const Metrics *metrics)
{
    head(text, "phase_seconds", "summary", "Durations of the phases of an operation.");
    for (unsigned i = 0; i < METRICS_PHASES; i++) {
        g_string_append_printf(text,
                               "quiesced_phase_seconds_count{phase=\"%s\"} %" G_GINT64_FORMAT
                               "\nquiesced_phase_seconds_sum{phase=\"%s\"} ",
                               PHASES[i], metrics->phases[i].count, PHASES[i]);
        append_seconds(text, metrics->phases[i].sum_us);
    }
    head(text, "phase_longest_seconds", "gauge", "The longest that a phase ever took.");
    for (unsigned i = 0; i < METRICS_PHASES; i++) {
        g_string_append_printf(text, "quiesced_phase_longest_seconds{phase=\"%s\"} ", PHASES[i]);
        append_seconds(text, metrics->phases[i].max_us);
    }
}

char *metrics_text(const Metrics *metrics)
{
    GString *text = g_string_new(NULL);

    head(text, "operations", "counter", "Operations by how they ended.");
    for (unsigned i = 0; i < METRICS_RESULTS; i++)
        g_string_append_printf(text,
                               "quiesced_operations_total{result=\"%s\"} %" G_GINT64_FORMAT "\n",
                               RESULTS[i], metrics->results[i]);
    head(text, "levels", "counter", "Operations held until the thaw, by level of consistency.");
    for (unsigned i = 0; i < G_N_ELEMENTS(metrics->levels); i++)
        g_string_append_printf(text, "quiesced_levels_total{level=\"%s\"} %" G_GINT64_FORMAT "\n",
                               level_name((Level)i), metrics->levels[i]);
    append_phases(text, metrics);
    append_names(text, metrics);
    if (metrics->last_unix_ms > 0) {
        head(text, "last_operation_timestamp_seconds", "gauge", "Start of the last operation.");
        g_string_append(text, "quiesced_last_operation_timestamp_seconds ");
        append_seconds(text, metrics->last_unix_ms * USEC_PER_MSEC);
        head(text, "last_operation_level", "gauge",
             "Level of the last operation: 0 crash, 1 filesystem, 2 application.");
        g_string_append_printf(text, "quiesced_last_operation_level %d\n", metrics->last_level);
    }
    g_string_append(text, "# EOF\n");
    return g_string_free(text, FALSE);
}

/* --- JSON --------------------------------------------------------------------------------------
 */

static void put(json_t *array, int64_t value)
{
    (void)json_array_append_new(array, json_integer(value));
}

json_t *metrics_to_json(const Metrics *metrics)
{
    json_t *object = json_object(), *numbers = json_array(), *names = json_array();

    for (unsigned i = 0; i < METRICS_RESULTS; i++)
        put(numbers, metrics->results[i]);
    for (unsigned i = 0; i < G_N_ELEMENTS(metrics->levels); i++)
        put(numbers, metrics->levels[i]);
    for (unsigned i = 0; i < METRICS_PHASES; i++) {
        put(numbers, metrics->phases[i].count);
        put(numbers, metrics->phases[i].sum_us);
        put(numbers, metrics->phases[i].max_us);
    }
    put(numbers, metrics->other_names);
    put(numbers, metrics->last_unix_ms);
    put(numbers, metrics->last_level);
    for (unsigned i = 0; i < METRICS_NAMES_MAX && metrics->names[i].name[0]; i++)
        (void)json_array_append_new(
            names, json_pack("[sI]", metrics->names[i].name, (json_int_t)metrics->names[i].count));
    (void)json_object_set_new(object, "numbers", numbers);
    (void)json_object_set_new(object, "names", names);
    return object;
}

/* The next number, -1: there is none that could have been written. */
static int64_t take(const json_t *array, size_t *position)
{
    const json_t *value = json_array_get(array, (*position)++);

    return json_is_integer(value) ? json_integer_value(value) : -1;
}

static bool take_names(Metrics *metrics, const json_t *names)
{
    if (!json_is_array(names) || json_array_size(names) > METRICS_NAMES_MAX)
        return false;
    for (size_t i = 0; i < json_array_size(names); i++) {
        const json_t *pair = json_array_get(names, i);
        const char *name = json_string_value(json_array_get(pair, 0));
        int64_t count = json_integer_value(json_array_get(pair, 1));

        if (!name || !*name || count < 0)
            return false;
        count_name(metrics, name, count);
    }
    return true;
}

bool metrics_from_json(Metrics *metrics, const json_t *object)
{
    const json_t *numbers = json_object_get(object, "numbers");
    size_t position = 0;
    int64_t lowest = 0;
#define TAKE(target) (target = take(numbers, &position), lowest = MIN(lowest, (int64_t)(target)))

    *metrics = (Metrics){0};
    for (unsigned i = 0; i < METRICS_RESULTS; i++)
        TAKE(metrics->results[i]);
    for (unsigned i = 0; i < G_N_ELEMENTS(metrics->levels); i++)
        TAKE(metrics->levels[i]);
    for (unsigned i = 0; i < METRICS_PHASES; i++) {
        TAKE(metrics->phases[i].count);
        TAKE(metrics->phases[i].sum_us);
        TAKE(metrics->phases[i].max_us);
    }
    TAKE(metrics->other_names);
    TAKE(metrics->last_unix_ms);
    metrics->last_level = (int)take(numbers, &position);
#undef TAKE
    return lowest >= 0 && metrics->last_level >= LEVEL_CRASH &&
           metrics->last_level <= LEVEL_APPLICATION &&
           take_names(metrics, json_object_get(object, "names"));
}
