/*
 * report: see report.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/report.h"

#include "base/deadline.h"

#include <string.h>

const char *level_name(Level level)
{
    static const char *const NAMES[] = {"crash", "filesystem", "application"};

    return NAMES[level];
}

const char *report_result_name(ReportResult result)
{
    /* An operation still running has not failed; readers see it in guest-quiesce-status. */
    static const char *const NAMES[] = {"ok", "ok", "failed", "cancelled", "lost"};

    return NAMES[result];
}

const char *report_ended_by_name(ReportEndedBy ended_by)
{
    static const char *const NAMES[ENDED_BY_COUNT] = {
        [ENDED_BY_HOST_THAW] = "host-thaw",
        [ENDED_BY_ROLLBACK] = "rollback",
        [ENDED_BY_LIMIT] = "limit",
        [ENDED_BY_SERVICE_DEATH] = "service-death",
        [ENDED_BY_KEEPER_DEATH] = "keeper-death",
        [ENDED_BY_LOCAL_THAW] = "local-thaw",
        [ENDED_BY_STOP] = "stop",
        [ENDED_BY_SUSPEND] = "suspend",
        [ENDED_BY_SHUTDOWN] = "shutdown",
        [ENDED_BY_PARTICIPANT_LOST] = "participant-lost",
    };

    return (unsigned)ended_by < ENDED_BY_COUNT ? NAMES[ended_by] : NULL;
}

const char *report_fs_result_name(ReportFsResult result)
{
    static const char *const NAMES[] = {"skipped", "frozen", "skipped", "failed", "busy"};

    return NAMES[result];
}

static void report_participant_free(ReportParticipant *participant)
{
    for (unsigned i = 0; i < participant->steps->len; i++)
        g_free(g_array_index(participant->steps, ReportStep, i).reason);
    g_array_unref(participant->steps);
    g_free(participant->name);
    g_free(participant);
}

static void report_filesystem_free(ReportFilesystem *filesystem)
{
    g_free(filesystem->mountpoint);
    g_free(filesystem->device);
    g_free(filesystem->type);
    g_free(filesystem->reason);
    g_free(filesystem);
}

Report *report_new(const char *operation, bool local, const char *channel)
{
    Report *report = g_rc_box_new0(Report);

    g_strlcpy(report->operation, operation, sizeof(report->operation));
    report->local = local;
    report->channel = g_strdup(channel);
    report->started_unix_ms = g_get_real_time() / USEC_PER_MSEC;
    report->started_us = deadline_now();
    report->level = LEVEL_APPLICATION;
    report->host_verdict = -1;
    report->prepare_us = report->freeze_us = report->frozen_us = report->thaw_us = -1;
    report->dirty_before_bytes = report->dirty_after_bytes = -1;
    report->participants = g_ptr_array_new_with_free_func((GDestroyNotify)report_participant_free);
    report->filesystems = g_ptr_array_new_with_free_func((GDestroyNotify)report_filesystem_free);
    return report;
}

Report *report_new_stored(const char *operation, const char *json, bool verdict_delivered)
{
    Report *report = report_new(operation, false, NULL);

    report->stored = g_strdup(json);
    report->verdict_delivered = verdict_delivered;
    return report;
}

static void report_clear(Report *report)
{
    g_free(report->stored);
    g_free(report->channel);
    g_free(report->error);
    g_free(report->level_reason);
    g_ptr_array_unref(report->participants);
    g_ptr_array_unref(report->filesystems);
}

Report *report_ref(Report *report)
{
    return g_rc_box_acquire(report);
}

void report_unref(Report *report)
{
    if (report)
        g_rc_box_release_full(report, (GDestroyNotify)report_clear);
}

int64_t report_offset(const Report *report, int64_t monotonic_us)
{
    return MAX(monotonic_us - report->started_us, 0);
}

ReportParticipant *report_add_participant(Report *report, const Participant *participant)
{
    ReportParticipant *entry = g_new0(ReportParticipant, 1);

    entry->name = g_strdup(participant->name);
    entry->kind = participant->kind;
    entry->order = participant->order;
    entry->on_failure = participant->on_failure;
    entry->result = STEP_SKIPPED;
    entry->steps = g_array_new(FALSE, FALSE, sizeof(ReportStep));
    g_ptr_array_add(report->participants, entry);
    return entry;
}

ReportFilesystem *report_add_filesystem(Report *report, const Mount *mount)
{
    ReportFilesystem *entry = g_new0(ReportFilesystem, 1);

    entry->mountpoint = g_strdup(mount->mountpoint);
    entry->device = g_strdup(mount->device);
    entry->type = g_strdup(mount->type);
    entry->major = mount->major;
    entry->minor = mount->minor;
    entry->start_us = entry->presync_us = entry->freeze_us = -1;
    entry->frozen_us = entry->thaw_us = -1;
    g_ptr_array_add(report->filesystems, entry);
    return entry;
}

unsigned report_step_begin(Report *report, ReportParticipant *participant, Verb verb)
{
    ReportStep step = {.verb = verb,
                       .result = STEP_OK,
                       .start_us = report_offset(report, deadline_now()),
                       .duration_us = -1,
                       .exit_code = -1};

    g_array_append_val(participant->steps, step);
    return participant->steps->len - 1;
}

void report_step_end(Report *report, ReportParticipant *participant, unsigned step,
                     const StepOutcome *outcome)
{
    ReportStep *entry = &g_array_index(participant->steps, ReportStep, step);

    entry->result = outcome->result;
    entry->duration_us = report_offset(report, deadline_now()) - entry->start_us;
    entry->exit_code = outcome->exit_code;
    entry->signal = outcome->signal;
    g_free(entry->reason); /* a hold that was lost afterwards ends a second time */
    entry->reason = outcome->reason[0] ? g_strdup(outcome->reason) : NULL;
    /* The first thing that went wrong is what a reader looks for; a later success hides nothing. */
    if (participant->result == STEP_OK || participant->result == STEP_SKIPPED)
        participant->result = outcome->result;
}

void report_fs_reason(ReportFilesystem *filesystem, ReportFsResult result, const char *format, ...)
{
    va_list args;

    filesystem->result = result;
    g_free(filesystem->reason);
    va_start(args, format);
    filesystem->reason = g_strdup_vprintf(format, args);
    va_end(args);
}

void report_lower(Report *report, Level level, const char *format, ...)
{
    va_list args;

    if (level >= report->level)
        return;
    report->level = level;
    g_free(report->level_reason);
    va_start(args, format);
    report->level_reason = g_strdup_vprintf(format, args);
    va_end(args);
}

struct History {
    GQueue reports; /* Report *, newest first */
};

History *history_new(void)
{
    History *history = g_new0(History, 1);

    g_queue_init(&history->reports);
    return history;
}

void history_free(History *history)
{
    if (!history)
        return;
    g_queue_clear_full(&history->reports, (GDestroyNotify)report_unref);
    g_free(history);
}

void history_add(History *history, Report *report)
{
    g_queue_push_head(&history->reports, report_ref(report));
    while (history->reports.length > REPORT_HISTORY)
        report_unref(g_queue_pop_tail(&history->reports));
}

void history_replace(History *history, Report *old, Report *report)
{
    GList *link = g_queue_find(&history->reports, old);

    link->data = report;
    report_unref(old);
}

void history_add_oldest(History *history, Report *report)
{
    if (history->reports.length < REPORT_HISTORY)
        g_queue_push_tail(&history->reports, report);
    else
        report_unref(report);
}

Report *history_find(History *history, const char *operation)
{
    for (GList *link = history->reports.head; link; link = link->next)
        if (strcmp(((Report *)link->data)->operation, operation) == 0)
            return link->data;
    return NULL;
}

Report *history_nth(History *history, unsigned index)
{
    return g_queue_peek_nth(&history->reports, index);
}
