/*
 * coordinator_thaw: requests that end a freeze: thaw, detach, stop, and the thaw of somebody in the
 * machine.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/coordinator_internal.h"

#include <string.h>

static bool thaw_names_other(const Coordinator *coordinator, const char *operation)
{
    const char *now = coordinator->operation ? coordinator->operation->report->operation
                                             : coordinator->verdict_data.operation;

    return operation && (coordinator->operation || coordinator->verdict) &&
           strcmp(operation, now) != 0;
}

void coordinator_thaw(Coordinator *coordinator, const char *operation, bool verdict_as_data,
                      AnswerFunc answer, gpointer user_data)
{
    Waiter waiter = {answer, user_data, verdict_as_data};
    Answer thawed = {.kind = ANSWER_OK};

    if (thaw_names_other(coordinator, operation)) {
        coordinator_refuse(coordinator, answer, user_data);
        return;
    }
    if (coordinator->thaw_waiters->len >= COORDINATOR_WAITERS_MAX) {
        Answer full = {.kind = ANSWER_ERROR,
                       .text = "quiesce failed: agent: too many thaws are waiting already"};
        answer(&full, user_data);
        return;
    }
    if (coordinator->state == STATE_THAWED) {
        /* A thaw before this one may have left something frozen; it stays true until it is not. */
        g_autofree char *unthawed = coordinator_unthawed_text(coordinator->straggler);

        (void)coordinator_event(coordinator, EVENT_THAW);
        if (unthawed)
            thawed = (Answer){.kind = ANSWER_ERROR, .text = unthawed};
        answer(&thawed, user_data);
        return;
    }
    coordinator_verify_holds(coordinator); /* a loss may not have been seen yet */
    if (coordinator->operation && !coordinator->operation->error &&
        (coordinator->state == STATE_PREPARING || coordinator->state == STATE_FREEZING)) {
        coordinator->operation->error =
            coordinator_error_text(operation_waiting_for(coordinator->operation), "cancelled",
                                   coordinator->operation->report->local ? "a thaw was asked for"
                                                                         : "the host asked to thaw",
                                   0);
        coordinator->operation->report->result = REPORT_CANCELLED;
    }
    g_array_append_val(coordinator->thaw_waiters, waiter);
    (void)coordinator_event(coordinator, EVENT_THAW);
}

static void answer_nobody(const Answer *answer, gpointer user_data)
{
    (void)answer;
    (void)user_data;
}

static void forget_waiter(Coordinator *coordinator, gpointer user_data)
{
    if (coordinator->waiter.user_data == user_data && coordinator->waiter.func)
        coordinator->waiter = (Waiter){0};
    for (unsigned i = coordinator->thaw_waiters->len; i > 0; i--)
        if (g_array_index(coordinator->thaw_waiters, Waiter, i - 1).user_data == user_data)
            g_array_remove_index(coordinator->thaw_waiters, i - 1);
}

void coordinator_detach(Coordinator *coordinator, gpointer user_data, bool gone)
{
    bool waits = coordinator->waiter.func && coordinator->waiter.user_data == user_data;
    MachineState state = coordinator->state;

    if (gone && (!waits || !coordinator->spec.config->quiesce.disconnect_cancels)) {
        forget_waiter(coordinator, user_data);
        /* Scripts pipe one line and leave: the freeze goes on, its answer goes nowhere. */
        if (waits)
            coordinator->waiter = (Waiter){answer_nobody, NULL, false};
        return;
    }
    if (!waits)
        return;
    if (gone)
        forget_waiter(coordinator, user_data);
    if (state == STATE_ABORTING)
        return; /* its error comes as soon as all is undone */
    if (state == STATE_FREEZING && !coordinator->operation->error) {
        coordinator->operation->error =
            coordinator_still_running_text(coordinator, "cancelled", false);
        coordinator->operation->report->result = REPORT_CANCELLED;
    }
    (void)coordinator_event(coordinator, EVENT_DETACH);
    if (state == STATE_PREPARING)
        coordinator_ask_again(coordinator, true);
}

void coordinator_stop(Coordinator *coordinator, ReportEndedBy ended_by, const char *reason,
                      void (*done)(gpointer user_data), gpointer user_data)
{
    const CoordinatorStop stop = {done, user_data};

    if (!coordinator->operation) {
        done(user_data);
        return;
    }
    if (!coordinator->stops)
        coordinator->stops = g_array_new(FALSE, FALSE, sizeof(CoordinatorStop));
    g_array_append_val(coordinator->stops, stop);
    coordinator_lose(coordinator, ended_by, reason);
}

/* --- in the machine ----------------------------------------------------------------------------
 */

/* Nothing is under way; what became of the operation that is asked for? */
static void answer_over(Coordinator *coordinator, const char *operation, AnswerFunc answer,
                        gpointer user_data)
{
    Answer over = {.kind = ANSWER_OK};

    if (operation)
        over.report = history_find(coordinator->history, operation);
    if (over.report && over.report->stored) /* of an earlier start: only its JSON is there */
        over.report = NULL;
    answer(&over, user_data);
}

void coordinator_answer_local(Coordinator *coordinator, Operation *operation)
{
    g_autoptr(GArray) waiters = g_steal_pointer(&coordinator->local_waiters);
    Answer ended = {.kind = ANSWER_OK, .report = operation->report};

    coordinator->local_waiters = g_array_new(FALSE, FALSE, sizeof(Waiter));
    ended.count = operation->stage ? fs_stage_thawed_count(operation->stage) : 0;
    for (unsigned i = 0; i < waiters->len; i++) {
        const Waiter *waiter = &g_array_index(waiters, Waiter, i);

        waiter->func(&ended, waiter->user_data);
    }
}

/* No host waits for the verdict of a freeze that was not its own; the history keeps it for whoever
 * asks for the operation. */
void coordinator_forget_local_loss(Coordinator *coordinator, Operation *operation)
{
    if (!operation->report->local || coordinator->state != STATE_LOST ||
        coordinator->operation != operation)
        return;
    if (!coordinator->straggler) {
        coordinator->straggler = operation;
        coordinator->operation = NULL;
    }
    g_clear_pointer(&coordinator->verdict_report, report_unref);
    (void)coordinator_event(coordinator, EVENT_EXPIRE);
}

/* The host's freeze is taken from it; whoever did it is answered when all is released. */
static void thaw_of_host(Coordinator *coordinator, uid_t uid, AnswerFunc answer, gpointer user_data)
{
    Waiter waiter = {answer, user_data, true};
    g_autofree char *reason = g_strdup_printf("thawed by user %u in the machine", (unsigned)uid);

    g_array_append_val(coordinator->local_waiters, waiter);
    coordinator_lose(coordinator, ENDED_BY_LOCAL_THAW, reason);
}

void coordinator_thaw_local(Coordinator *coordinator, const char *operation, uid_t uid,
                            AnswerFunc answer, gpointer user_data)
{
    Operation *now = coordinator->operation;

    if (thaw_names_other(coordinator, operation)) {
        coordinator_refuse(coordinator, answer, user_data);
        return;
    }
    if (!now || now->told) {
        answer_over(coordinator, operation, answer, user_data);
        return;
    }
    if (coordinator->local_waiters->len >= COORDINATOR_WAITERS_MAX) {
        Answer full = {.kind = ANSWER_ERROR,
                       .text = "quiesce failed: agent: too many thaws are waiting already"};
        answer(&full, user_data);
        return;
    }
    if (!now->report->local) {
        thaw_of_host(coordinator, uid, answer, user_data);
        return;
    }
    if (coordinator->state == STATE_FROZEN)
        now->report->ended_by = ENDED_BY_LOCAL_THAW;
    coordinator_thaw(coordinator, operation, true, answer, user_data);
}
