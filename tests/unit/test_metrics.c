/*
 * Tests of quiesce/metrics: what is counted, the text, and what is kept over restarts.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/metrics.h"

#include <string.h>

/* Of an operation with participants "a" (ok) and `failed`. */
static void count(Metrics *metrics, ReportResult result, Level level, const char *failed)
{
    Participant participant = {.name = (char *)"a"};
    Report *report = report_new("1f3a", false, "default");
    StepOutcome outcome = {.result = STEP_OK, .exit_code = 0};
    ReportParticipant *entry;

    report->result = result;
    report->level = level;
    report->started_unix_ms = 1790000000123;
    report->prepare_us = 1500000;
    report->freeze_us = 20000;
    entry = report_add_participant(report, &participant);
    report_step_end(report, entry, report_step_begin(report, entry, VERB_FREEZE), &outcome);
    if (failed) {
        participant.name = (char *)failed;
        outcome.result = STEP_LOST;
        entry = report_add_participant(report, &participant);
        report_step_end(report, entry, report_step_begin(report, entry, VERB_FREEZE), &outcome);
    }
    metrics_count(metrics, report);
    report_unref(report);
}

static void assert_line(const Metrics *metrics, const char *line)
{
    g_autofree char *text = metrics_text(metrics);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    if (!g_strv_contains((const char *const *)lines, line))
        g_error("no line %s in\n%s", line, text);
}

static void test_counts(void)
{
    Metrics metrics = {0};
    g_autofree char *text = metrics_text(&metrics);

    g_assert_true(g_str_has_suffix(text, "\n# EOF\n"));
    g_assert_null(strstr(text, "last_operation"));
    count(&metrics, REPORT_OK, LEVEL_APPLICATION, NULL);
    count(&metrics, REPORT_OK, LEVEL_FILESYSTEM, "db \"x\\y\"");
    count(&metrics, REPORT_LOST, LEVEL_CRASH, "db \"x\\y\"");
    assert_line(&metrics, "# TYPE quiesced_operations counter");
    assert_line(&metrics, "quiesced_operations_total{result=\"ok\"} 2");
    assert_line(&metrics, "quiesced_operations_total{result=\"lost\"} 1");
    assert_line(&metrics, "quiesced_operations_total{result=\"failed\"} 0");
    assert_line(&metrics, "quiesced_levels_total{level=\"application\"} 1");
    assert_line(&metrics, "quiesced_levels_total{level=\"crash\"} 0"); /* was not held */
    assert_line(&metrics, "quiesced_phase_seconds_count{phase=\"prepare\"} 3");
    assert_line(&metrics, "quiesced_phase_seconds_sum{phase=\"prepare\"} 4.500000");
    assert_line(&metrics, "quiesced_phase_longest_seconds{phase=\"freeze\"} 0.020000");
    assert_line(&metrics, "quiesced_phase_seconds_count{phase=\"thaw\"} 0");
    assert_line(&metrics,
                "quiesced_participant_failures_total{participant=\"db \\\"x\\\\y\\\"\"} 2");
    assert_line(&metrics, "quiesced_last_operation_timestamp_seconds 1790000000.123000");
    assert_line(&metrics, "quiesced_last_operation_level 0");
}

static void test_rehearsal(void)
{
    Metrics metrics = {0};
    Report *report = report_new("1f3a", true, NULL);

    report->rehearsal = true;
    report->result = REPORT_OK;
    metrics_count(&metrics, report);
    report_unref(report);
    assert_line(&metrics, "quiesced_operations_total{result=\"ok\"} 0");
}

/* Names are invented by applications: a database that holds the counters must not fill up. */
static void test_names_limit(void)
{
    Metrics metrics = {0};
    g_autofree char *text = NULL;

    for (unsigned i = 0; i < METRICS_NAMES_MAX + 3; i++) {
        g_autofree char *name = g_strdup_printf("app%u", i);
        count(&metrics, REPORT_OK, LEVEL_FILESYSTEM, name);
    }
    count(&metrics, REPORT_OK, LEVEL_FILESYSTEM, "app31");
    assert_line(&metrics, "quiesced_participant_failures_total{participant=\"app31\"} 2");
    assert_line(&metrics, "quiesced_participant_failures_total{participant=\"(others)\"} 3");
    text = metrics_text(&metrics);
    g_assert_null(strstr(text, "app32"));
}

static void test_kept(void)
{
    Metrics metrics = {0}, read = {0}, sum = {0};
    json_t *object;
    g_autofree char *before = NULL, *after = NULL;

    for (unsigned i = 0; i < METRICS_NAMES_MAX + 3; i++) {
        g_autofree char *name = g_strdup_printf("app%u", i);
        count(&metrics, REPORT_OK, LEVEL_FILESYSTEM, name);
    }
    object = metrics_to_json(&metrics);
    g_assert_true(metrics_from_json(&read, object));
    json_decref(object);
    metrics_add(&sum, &read);
    before = metrics_text(&metrics);
    after = metrics_text(&sum);
    g_assert_cmpstr(before, ==, after);
    metrics_add(&sum, &read);
    assert_line(&sum, "quiesced_operations_total{result=\"ok\"} 70");
}

static void test_damaged(void)
{
    static const char *const BAD[] = {
        "{}",
        "[]",
        "{\"numbers\":[1,2],\"names\":[]}",
        "{\"numbers\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,7],\"names\":[]}",
        "{\"numbers\":[-1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0],\"names\":[]}",
        "{\"numbers\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0],\"names\":[[1]]}",
        "{\"numbers\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0],\"names\":[[\"\",1]]}",
        "{\"numbers\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]}",
    };
    Metrics metrics;

    for (unsigned i = 0; i < G_N_ELEMENTS(BAD); i++) {
        json_t *object = json_loads(BAD[i], 0, NULL);

        g_assert_nonnull(object);
        g_assert_false(metrics_from_json(&metrics, object));
        json_decref(object);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/metrics/counts", test_counts);
    g_test_add_func("/metrics/rehearsals_do_not_count", test_rehearsal);
    g_test_add_func("/metrics/names_are_limited", test_names_limit);
    g_test_add_func("/metrics/kept", test_kept);
    g_test_add_func("/metrics/damaged", test_damaged);
    return g_test_run();
}
