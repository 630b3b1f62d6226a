/*
 * answer_json: the answers of guest-quiesce-freeze and -thaw; see json.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/json.h"

json_t *quiesce_freeze_json(const Coordinator *coordinator, const Answer *answer)
{
    const Report *report = answer->report;
    json_t *object = json_object();

    json_set_text(object, "operation", report->operation);
    (void)json_object_set_new(object, "count", json_integer(answer->count));
    json_set_text(object, "level", level_name(report->level));
    json_set_ms(object, "frozen-limit-ms", coordinator_frozen_limit(coordinator));
    json_set_ms(object, "freeze-ms", MAX(report->freeze_us, 0));
    if (report->rehearsal)
        (void)json_object_set_new(object, "rehearsal", json_true());
    return object;
}

/* Whose last step is not answered yet. */
static json_t *late(const Report *report)
{
    json_t *names = json_array();

    for (unsigned i = 0; report && i < report->participants->len; i++) {
        const ReportParticipant *entry = g_ptr_array_index(report->participants, i);
        const ReportStep *step =
            entry->steps->len > 0 ? &g_array_index(entry->steps, ReportStep, entry->steps->len - 1)
                                  : NULL;
        if (step && step->duration_us < 0)
            (void)json_array_append_new(names, json_string(entry->name));
    }
    return names;
}

json_t *quiesce_thaw_json(const Answer *answer)
{
    const Report *report = answer->report;
    json_t *object = json_object();

    json_set_text(object, "operation", report ? report->operation : NULL);
    (void)json_object_set_new(object, "count", json_integer(answer->count));
    (void)json_object_set_new(object, "held", json_boolean(answer->held));
    json_set_text(object, "level", level_name(report ? report->level : LEVEL_CRASH));
    json_set_text(object, "level-reason",
                  report ? report->level_reason : (answer->text ? answer->text : "was not frozen"));
    json_set_ms(object, "frozen-ms", report ? MAX(report->frozen_us, 0) : 0);
    (void)json_object_set_new(object, "late", late(report));
    return object;
}
