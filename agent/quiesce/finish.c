/*
 * finish: the moments at which somebody is answered: held, thawed, rolled back.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/coordinator_internal.h"
#include "quiesce/events.h"

static gboolean limit_passed(gpointer user_data);

static void watch_limit(Coordinator *coordinator, int64_t limit_us)
{
    coordinator->limit_at_us = deadline_now() + limit_us;
    coordinator->limit_timer =
        deadline_source_new((Deadline){coordinator->limit_at_us}, limit_passed, coordinator);
}

static gboolean limit_passed(gpointer user_data)
{
    Coordinator *coordinator = user_data;
    int64_t late_us = deadline_now() - coordinator->limit_at_us;

    deadline_source_clear(&coordinator->limit_timer);
    if (late_us > KEEPER_LATE_US && !coordinator->limit_extended) {
        /* The VM was paused or the clock jumped: the host's thaw may be on its way. */
        coordinator->limit_extended = true;
        coordinator->operation->report->paused_us += late_us;
        watch_limit(coordinator, COORDINATOR_GRACE_US);
        return G_SOURCE_REMOVE;
    }
    coordinator_lose(coordinator, ENDED_BY_LIMIT, "the frozen limit passed");
    return G_SOURCE_REMOVE;
}

void coordinator_answer_frozen(Coordinator *coordinator)
{
    Operation *operation = coordinator->operation;
    Report *report = operation->report;
    Answer answer = {.kind = ANSWER_OK, .report = report, .held = true};
    g_autofree char *text = NULL;

    operation->frozen = true;
    operation->frozen_us = deadline_now();
    report->freeze_us = operation->frozen_us - operation->freezing_us;
    answer.count = operation_count(operation);
    deadline_source_clear(&coordinator->budget_timer);
    if (!report->local) /* to whom no verdict is owed */
        ledger_set_frozen_since(coordinator->spec.ledger, coordinator_boottime_us(),
                                (uint32_t)(operation->limit_us / USEC_PER_SEC));
    /* The keeper's own timer is first; this one is for a keeper that does not do its duty. */
    coordinator->limit_extended = false;
    watch_limit(coordinator, operation->limit_us + USEC_PER_SEC);
    text = g_strdup_printf("Frozen: %u held, level %s, operation %s", answer.count,
                           level_name(report->level), report->operation);
    event_operation(coordinator->spec.log, LOG_NOTICE, EVENT_ID_FROZE, report, report->level_reason,
                    text);
    coordinator_answer_freeze(coordinator, &answer);
}

/* The thaw came, but the freeze had ended before: somebody else thawed, or the limit was first. */
static void note_late_loss(Coordinator *coordinator, Operation *operation)
{
    ReportEndedBy ended_by = ENDED_BY_LOCAL_THAW;
    const char *mountpoint = NULL;
    g_autofree char *reason = NULL;

    if (coordinator->verdict || !operation->frozen || !operation->stage)
        return;
    if (fs_stage_ended(operation->stage, &ended_by))
        reason = g_strdup(fs_stage_ended(operation->stage, &ended_by));
    else if (fs_stage_foreign_thaw(operation->stage, &mountpoint))
        reason = g_strdup_printf("%s was thawed by somebody else", mountpoint);
    if (!reason)
        return;
    coordinator->operation = operation;
    coordinator_note_loss(coordinator, mountpoint ? ENDED_BY_LOCAL_THAW : ended_by, reason);
}

char *coordinator_unthawed_text(const Operation *operation)
{
    const char *reason = NULL, *mountpoint = NULL;
    g_autofree char *text = NULL;
    unsigned more = 0;

    if (operation && operation->stage)
        mountpoint = fs_stage_unthawed(operation->stage, &reason, &more);
    if (!mountpoint)
        return NULL;
    text = g_strdup_printf("not thawed yet, is tried on: %s", reason);
    return coordinator_error_text(mountpoint, "filesystem", text, more);
}

static void finish_thaw(Coordinator *coordinator, Operation *operation)
{
    Report *report = operation->report;
    Answer answer = {.kind = ANSWER_OK, .report = report};
    g_autofree char *text = NULL, *said = NULL;

    note_late_loss(coordinator, operation);
    answer.count = MAX(operation->stage ? fs_stage_thawed_count(operation->stage) : 0,
                       operation_count(operation) ? 1 : 0);
    answer.held = !coordinator->verdict;
    if (coordinator->verdict && coordinator->thaw_waiters->len == 0)
        return; /* whoever asked has left: the verdict is for the next one */
    if (coordinator->verdict) {
        text = coordinator_verdict_text(coordinator);
        answer.kind = ANSWER_ERROR;
        answer.text = text;
        coordinator_consume_verdict(coordinator, true);
    } else if ((text = coordinator_unthawed_text(operation))) {
        answer.kind = ANSWER_ERROR;
        answer.text = text;
        report->result = REPORT_FAILED;
        report->ended_by = ENDED_BY_HOST_THAW;
        report->error = g_strdup(text);
        log_error(coordinator->spec.log, "%s", text);
    } else if (report->result == REPORT_RUNNING) {
        report->result = REPORT_OK;
        if (report->ended_by == ENDED_BY_NOTHING)
            report->ended_by = ENDED_BY_HOST_THAW;
        ledger_set_ended(coordinator->spec.ledger, report->result, report->ended_by, report->level);
    }
    report->verdict_delivered = true;
    ledger_set_frozen_since(coordinator->spec.ledger, 0, 0); /* the host knows how it ended */
    said = g_strdup_printf("Thawed after %.3f s, level %s, operation %s",
                           (double)MAX(report->frozen_us, 0) / USEC_PER_SEC,
                           level_name(report->level), report->operation);
    event_operation(coordinator->spec.log, LOG_NOTICE, EVENT_ID_THAWED, report,
                    report->level_reason, said);
    coordinator_answer_thaws(coordinator, &answer);
}

static void finish_abort(Coordinator *coordinator, Operation *operation)
{
    Report *report = operation->report;
    Answer thawed = {.kind = ANSWER_OK, .report = report};

    report->ended_by = ENDED_BY_ROLLBACK;
    if (operation->empty) {
        Answer nothing = {.kind = ANSWER_OK, .report = report};
        report->result = REPORT_OK;
        coordinator_answer_freeze(coordinator, &nothing);
    } else {
        if (report->result == REPORT_RUNNING)
            report->result = REPORT_FAILED;
        if (!operation->error)
            operation->error = coordinator_error_text("agent", "cancelled", "thawed", 0);
        if (operation->error_more > 0) {
            g_autofree char *first = g_steal_pointer(&operation->error);

            operation->error = coordinator_error_line(first, operation->error_more);
        }
        report_lower(report, LEVEL_CRASH, "%s", operation->error);
        report->error = g_strdup(operation->error);
        if (operation->laid_out)
            ledger_set_ended(coordinator->spec.ledger, report->result, ENDED_BY_ROLLBACK,
                             LEVEL_CRASH);
        event_operation(coordinator->spec.log, LOG_ERROR, EVENT_ID_FAILED, report, operation->error,
                        operation->error);
        coordinator_answer_error(coordinator, operation->error);
    }
    coordinator_answer_thaws(coordinator, &thawed);
}

/* The release is done, or past its budget: answer, and keep what is left as the straggler. */
void coordinator_finish(Coordinator *coordinator)
{
    Operation *operation = coordinator->operation;

    bool unheard = false;

    coordinator->operation = NULL;
    if (operation) {
        /* With a straggler this one never began: it has nothing to release and frees itself. */
        if (!coordinator->straggler)
            coordinator->straggler = operation;
        operation_record(operation);
        if (operation->abort && !operation->frozen)
            finish_abort(coordinator, operation);
        else
            finish_thaw(coordinator, operation);
        if (coordinator->operation == operation)
            coordinator->operation = NULL;
        unheard = coordinator->verdict;
    } else if (coordinator->verdict && coordinator->thaw_waiters->len == 0) {
        unheard = true;
    } else if (coordinator->verdict) {
        g_autofree char *text = coordinator_verdict_text(coordinator);
        Answer answer = {.kind = ANSWER_ERROR, .text = text};

        coordinator_consume_verdict(coordinator, true);
        coordinator_answer_thaws(coordinator, &answer);
    } else {
        Answer answer = {.kind = ANSWER_OK};
        coordinator_answer_thaws(coordinator, &answer);
    }
    if (!unheard)
        return;
    (void)coordinator_event(coordinator, EVENT_RECOVER); /* back to LOST */
    coordinator_watch_window(coordinator);
}
