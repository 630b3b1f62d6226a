/*
 * report_json: guest-quiesce-report; see json.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/coordinator_internal.h"
#include "quiesce/json.h"

#include <string.h>

bool json_append_within(json_t *array, json_t *item, size_t *budget)
{
    size_t size = json_dumpb(item, NULL, 0, 0) + 2;

    if (size > *budget) {
        json_decref(item);
        return false;
    }
    *budget -= size;
    return json_array_append_new(array, item) == 0;
}

void json_set_text(json_t *object, const char *key, const char *text)
{
    g_autofree char *valid = text ? g_utf8_make_valid(text, -1) : NULL;

    if (valid)
        (void)json_object_set_new(object, key, json_string(valid));
}

void json_set_ms(json_t *object, const char *key, int64_t us)
{
    if (us >= 0)
        (void)json_object_set_new(object, key, json_integer((us + 500) / USEC_PER_MSEC));
}

static void set_bool(json_t *object, const char *key, bool value)
{
    (void)json_object_set_new(object, key, json_boolean(value));
}

static json_t *step_json(ParticipantKind kind, const ReportStep *step)
{
    json_t *object = json_object();

    json_set_text(object, "verb", participant_step_name(kind, step->verb));
    json_set_text(object, "result", step_result_name(step->result));
    json_set_ms(object, "start-ms", step->start_us);
    json_set_ms(object, "duration-ms", MAX(step->duration_us, 0));
    if (step->exit_code >= 0)
        (void)json_object_set_new(object, "exit-code", json_integer(step->exit_code));
    if (step->signal > 0)
        (void)json_object_set_new(object, "signal", json_integer(step->signal));
    json_set_text(object, "reason", step->reason);
    return object;
}

static json_t *participant_json(const ReportParticipant *participant)
{
    json_t *object = json_object();
    json_t *steps = json_array();

    json_set_text(object, "name", participant->name);
    json_set_text(object, "kind", participant_kind_name(participant->kind));
    (void)json_object_set_new(object, "order", json_integer(participant->order));
    json_set_text(object, "on-failure",
                  participant->on_failure == ON_FAILURE_ABORT ? "abort" : "degrade");
    json_set_text(object, "result", step_result_name(participant->result));
    for (unsigned i = 0; i < participant->steps->len; i++)
        (void)json_array_append_new(
            steps, step_json(participant->kind, &g_array_index(participant->steps, ReportStep, i)));
    (void)json_object_set_new(object, "steps", steps);
    return object;
}

static json_t *filesystem_json(const ReportFilesystem *filesystem)
{
    json_t *object = json_object();

    json_set_text(object, "mountpoint", filesystem->mountpoint);
    json_set_text(object, "device", filesystem->device);
    (void)json_object_set_new(object, "major", json_integer(filesystem->major));
    (void)json_object_set_new(object, "minor", json_integer(filesystem->minor));
    json_set_text(object, "type", filesystem->type);
    json_set_text(object, "result", report_fs_result_name(filesystem->result));
    json_set_ms(object, "start-ms", MAX(filesystem->start_us, 0));
    json_set_ms(object, "presync-ms", MAX(filesystem->presync_us, 0));
    json_set_ms(object, "freeze-ms", MAX(filesystem->freeze_us, 0));
    json_set_ms(object, "frozen-ms", MAX(filesystem->frozen_us, 0));
    json_set_ms(object, "thaw-ms", MAX(filesystem->thaw_us, 0));
    json_set_text(object, "reason", filesystem->reason);
    return object;
}

static void set_times(json_t *object, const Report *report)
{
    json_set_ms(object, "prepare-ms", MAX(report->prepare_us, 0));
    json_set_ms(object, "freeze-ms", MAX(report->freeze_us, 0));
    json_set_ms(object, "frozen-ms", MAX(report->frozen_us, 0));
    json_set_ms(object, "thaw-ms", MAX(report->thaw_us, 0));
    json_set_ms(object, "paused-ms", report->paused_us);
    (void)json_object_set_new(object, "dirty-before-bytes",
                              json_integer(MAX(report->dirty_before_bytes, 0)));
    (void)json_object_set_new(object, "dirty-after-bytes",
                              json_integer(MAX(report->dirty_after_bytes, 0)));
}

/* What an earlier start wrote, as it stands. */
static json_t *stored_json(const char *text, size_t *budget, bool *truncated)
{
    size_t length = strlen(text);

    if (length > *budget) {
        *truncated = true;
        return NULL;
    }
    *budget -= length;
    return json_loads(text, JSON_REJECT_DUPLICATES, NULL);
}

static json_t *report_json(const Report *report, size_t *budget, bool *truncated)
{
    json_t *object = json_object();
    json_t *participants = json_array();
    json_t *filesystems = json_array();

    json_set_text(object, "operation", report->operation);
    json_set_text(object, "origin", report->local ? "local" : "host");
    json_set_text(object, "channel", report->channel ? report->channel : "local");
    if (report->rehearsal)
        set_bool(object, "rehearsal", true);
    (void)json_object_set_new(object, "started-unix-ms", json_integer(report->started_unix_ms));
    json_set_text(object, "result", report_result_name(report->result));
    json_set_text(object, "error", report->error);
    json_set_text(object, "ended-by", report_ended_by_name(report->ended_by));
    json_set_text(object, "level", level_name(report->level));
    json_set_text(object, "level-reason", report->level_reason);
    set_bool(object, "verdict-delivered", report->verdict_delivered);
    if (report->host_verdict >= 0)
        json_set_text(object, "host-verdict", report->host_verdict ? "success" : "failure");
    set_times(object, report);
    *budget -= MIN(*budget, json_dumpb(object, NULL, 0, 0));
    for (unsigned i = 0; i < report->participants->len && !*truncated; i++)
        *truncated = !json_append_within(
            participants, participant_json(g_ptr_array_index(report->participants, i)), budget);
    for (unsigned i = 0; i < report->filesystems->len && !*truncated; i++)
        *truncated = !json_append_within(
            filesystems, filesystem_json(g_ptr_array_index(report->filesystems, i)), budget);
    (void)json_object_set_new(object, "participants", participants);
    (void)json_object_set_new(object, "filesystems", filesystems);
    return object;
}

json_t *quiesce_one_report_json(const Report *report, size_t *budget, bool *truncated)
{
    json_t *object = NULL;

    if (!report->stored)
        return report_json(report, budget, truncated);
    object = stored_json(report->stored, budget, truncated);
    set_bool(object, "verdict-delivered", report->verdict_delivered);
    return object;
}

json_t *quiesce_report_json(Coordinator *coordinator, const char *operation, unsigned limit)
{
    json_t *object = json_object();
    json_t *operations = json_array();
    size_t budget = QUIESCE_JSON_MAX - 4096;
    bool truncated = false;

    for (unsigned i = 0; !truncated && i < (operation ? 1 : limit); i++) {
        const Report *report = operation ? history_find(coordinator->history, operation)
                                         : history_nth(coordinator->history, i);
        if (!report)
            break;
        (void)json_array_append_new(operations,
                                    quiesce_one_report_json(report, &budget, &truncated));
    }
    (void)json_object_set_new(object, "operations", operations);
    set_bool(object, "truncated", truncated);
    return object;
}
