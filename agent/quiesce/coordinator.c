/*
 * coordinator: requests, budgets and the state; see coordinator.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/coordinator_internal.h"

#include "base/text.h"

#include <string.h>

static gboolean reply_budget_over(gpointer user_data);

/* --- texts and answers -------------------------------------------------------------------------
 */

char *coordinator_error_text(const char *name, const char *phase, const char *reason, unsigned more)
{
    g_autofree char *head = g_strdup_printf("quiesce failed: %s: %s: %s", name, phase, reason);

    return coordinator_error_line(head, more);
}

char *coordinator_error_line(const char *head, unsigned more)
{
    g_autofree char *tail = more > 0 ? g_strdup_printf(" (and %u more)", more) : g_strdup("");
    char line[TEXT_LINE_MAX + 1];
    size_t length = text_line(line, sizeof(line) - strlen(tail), head, strlen(head));

    g_strlcpy(line + length, tail, sizeof(line) - length);
    return g_strdup(line);
}

void coordinator_changed(Coordinator *coordinator)
{
    archive_permit(coordinator->archive, coordinator_is_clear(coordinator));
    coordinator->spec.changed(coordinator->spec.user_data);
}

void coordinator_answer_freeze(Coordinator *coordinator, const Answer *answer)
{
    Waiter waiter = coordinator->waiter;

    deadline_source_clear(&coordinator->reply_timer);
    coordinator->waiter = (Waiter){0};
    if (waiter.func)
        waiter.func(answer, waiter.user_data);
}

void coordinator_answer_error(Coordinator *coordinator, const char *text)
{
    Answer answer = {.kind = ANSWER_ERROR, .text = text};

    coordinator_answer_freeze(coordinator, &answer);
}

void coordinator_answer_thaws(Coordinator *coordinator, const Answer *answer)
{
    g_autoptr(GArray) waiters = g_steal_pointer(&coordinator->thaw_waiters);

    coordinator->thaw_waiters = g_array_new(FALSE, FALSE, sizeof(Waiter));
    for (unsigned i = 0; i < waiters->len; i++) {
        const Waiter *waiter = &g_array_index(waiters, Waiter, i);
        /* The verdict goes to the first; what waits behind it joined a thaw that is over. */
        if (i > 0 && answer->kind != ANSWER_OK) {
            Answer later = {.kind = ANSWER_OK};
            waiter->func(&later, waiter->user_data);
            continue;
        }
        if (waiter->as_data && answer->kind == ANSWER_ERROR) {
            Answer data = *answer;
            data.kind = ANSWER_OK;
            waiter->func(&data, waiter->user_data);
            continue;
        }
        waiter->func(answer, waiter->user_data);
    }
}

/* --- the state ---------------------------------------------------------------------------------
 */

void coordinator_roll_back(Coordinator *coordinator)
{
    operation_release(coordinator->operation, true);
}

/* The host's thaw, in FROZEN or LOST. */
static void release_for_thaw(Coordinator *coordinator)
{
    deadline_source_clear(&coordinator->window_timer); /* the verdict is asked for in time */
    if (coordinator->operation && !coordinator->operation->told)
        operation_release(coordinator->operation, false);
    else
        (void)coordinator_event(coordinator, EVENT_RELEASED);
}

/* Who only reports (a lost hold, a loss) acts itself on the returned action. */
static void act(Coordinator *coordinator, MachineAction action)
{
    switch (action) {
    case ACTION_FREEZE:
        operation_freeze(coordinator->operation);
        break;
    case ACTION_ANSWER_FROZEN:
        coordinator_answer_frozen(coordinator);
        break;
    case ACTION_ROLL_BACK:
        coordinator_roll_back(coordinator);
        break;
    case ACTION_RELEASE:
        release_for_thaw(coordinator);
        break;
    case ACTION_FINISH:
        coordinator_finish(coordinator);
        break;
    case ACTION_FORGET:
        coordinator_consume_verdict(coordinator, false);
        break;
    default:
        break;
    }
}

MachineAction coordinator_event(Coordinator *coordinator, MachineEvent event)
{
    MachineStep step = machine_step(coordinator->state, event);
    MachineState before = coordinator->state;

    if (step.action == ACTION_INVALID) {
        log_warning(coordinator->spec.log, "Event %s in state %s is a defect; please report it",
                    machine_event_name(event), machine_state_name(before));
        return ACTION_NONE;
    }
    coordinator->state = step.next;
    if (before != step.next)
        log_debug(coordinator->spec.log, "%s: %s to %s", machine_event_name(event),
                  machine_state_name(before), machine_state_name(step.next));
    act(coordinator, step.action);
    if (before != coordinator->state)
        coordinator_changed(coordinator);
    return step.action;
}

/* --- freeze ------------------------------------------------------------------------------------
 */

char *coordinator_still_running_text(Coordinator *coordinator, const char *phase, bool host_waits)
{
    double waited = (double)(deadline_now() - coordinator->reply_asked_us) / USEC_PER_SEC;
    g_autofree char *reason = NULL;

    if (host_waits)
        reason = g_strdup_printf("still running after %.1f s, ask again", waited);
    else
        reason = g_strdup("nobody waits for the freeze any more");
    return coordinator_error_text(operation_waiting_for(coordinator->operation), phase, reason, 0);
}

static gboolean join_expired(gpointer user_data)
{
    Coordinator *coordinator = user_data;

    deadline_source_clear(&coordinator->join_timer);
    operation_fail(coordinator->operation, "agent", "budget",
                   "prepared, but no freeze request came to use it", 0);
    return G_SOURCE_REMOVE;
}

/* Answers the waiting freeze; preparation goes on for the next one to join. */
void coordinator_ask_again(Coordinator *coordinator, bool cancelled)
{
    g_autofree char *text = coordinator_still_running_text(
        coordinator, cancelled ? "cancelled" : "prepare", !cancelled);
    int64_t wait_us = COORDINATOR_JOIN_US;

    if (!coordinator->operation->prepared)
        wait_us += coordinator->spec.config->quiesce.freeze_budget_us;
    deadline_source_clear(&coordinator->join_timer);
    coordinator->join_timer = deadline_source_new(deadline_in(wait_us), join_expired, coordinator);
    coordinator_answer_error(coordinator, text);
}

/* Something of the operation before is still there; say what. */
static void fail_for_straggler(Coordinator *coordinator)
{
    const char *reason = NULL;

    if (completion_running(coordinator->completion)) {
        operation_fail(coordinator->operation, completion_waiting_for(coordinator->completion),
                       "agent", "still being told the verdict on the snapshot before", 0);
        return;
    }
    if (!coordinator->straggler) {
        (void)coordinator_ready(coordinator, &reason);
        operation_fail(coordinator->operation, "agent", "prepare", reason ? reason : "not ready",
                       0);
        return;
    }
    operation_fail(coordinator->operation, operation_straggling(coordinator->straggler), "agent",
                   "still being released", 0);
}

static gboolean freeze_budget_over(gpointer user_data)
{
    Coordinator *coordinator = user_data;
    g_autofree char *reason =
        g_strdup_printf("prepare and freeze took more than %.1f s",
                        (double)coordinator->spec.config->quiesce.freeze_budget_us / USEC_PER_SEC);

    deadline_source_clear(&coordinator->budget_timer);
    if (coordinator->starting) {
        fail_for_straggler(coordinator);
        return G_SOURCE_REMOVE;
    }
    if (coordinator->operation->prepared && !coordinator->waiter.func)
        return G_SOURCE_REMOVE; /* prepared in time; the join timer watches it */
    operation_fail(coordinator->operation, operation_waiting_for(coordinator->operation), "budget",
                   reason, 0);
    return G_SOURCE_REMOVE;
}

/* Rolling back takes time of the reply budget too. */
Deadline coordinator_freezing_deadline(const Coordinator *coordinator)
{
    int64_t reserve =
        MIN(coordinator->spec.config->quiesce.abort_budget_us, coordinator->reply_budget_us / 2);

    return (Deadline){coordinator->reply_deadline.at_us - reserve};
}

static gboolean freezing_budget_over(gpointer user_data)
{
    Coordinator *coordinator = user_data;
    Operation *operation = coordinator->operation;
    const char *name = operation_waiting_for(operation), *doing = "still freezing";
    g_autofree char *reason = NULL;
    unsigned more = 0;

    deadline_source_clear(&coordinator->reply_timer);
    if (operation->stage && fs_stage_note_stuck(operation->stage))
        doing = fs_stage_failure(operation->stage, &name, &more);
    reason = g_strdup_printf("%s, and the host waits only %.1f s for the answer", doing,
                             (double)coordinator->reply_budget_us / USEC_PER_SEC);
    operation_fail(operation, name, "budget", reason, more);
    return G_SOURCE_REMOVE;
}

static gboolean reply_budget_over(gpointer user_data)
{
    Coordinator *coordinator = user_data;

    deadline_source_clear(&coordinator->reply_timer);
    if (coordinator->starting) {
        fail_for_straggler(coordinator);
        return G_SOURCE_REMOVE;
    }
    if (coordinator->state == STATE_PREPARING) {
        (void)coordinator_event(coordinator, EVENT_DETACH);
        coordinator_ask_again(coordinator, false);
    }
    return G_SOURCE_REMOVE;
}

/* A caller in the machine waits as long as the freeze may take; a host as long as it does. */
static int64_t answer_budget(const Coordinator *coordinator, const FreezeRequest *request)
{
    const Config *config = coordinator->spec.config;
    int64_t budget = coordinator_reply_budget(coordinator);

    if (!request->channel)
        budget = config->quiesce.freeze_budget_us + config->quiesce.abort_budget_us;
    return request->budget_us > 0 ? MIN(budget, request->budget_us) : budget;
}

static void attach_waiter(Coordinator *coordinator, const FreezeRequest *request, AnswerFunc answer,
                          gpointer user_data)
{
    int64_t budget = answer_budget(coordinator, request);

    coordinator->waiter = (Waiter){answer, user_data, false};
    coordinator->reply_asked_us = deadline_now();
    coordinator->reply_budget_us = budget;
    coordinator->reply_deadline = deadline_in(budget);
    deadline_source_clear(&coordinator->join_timer);
    deadline_source_clear(&coordinator->reply_timer);
    coordinator->reply_timer =
        deadline_source_new(coordinator->reply_deadline, reply_budget_over, coordinator);
}

static gboolean keeper_did_not_come(gpointer user_data)
{
    Coordinator *coordinator = user_data;
    const char *reason = NULL;

    deadline_source_clear(&coordinator->keeper_timer);
    if (coordinator->starting && !coordinator_ready(coordinator, &reason))
        operation_fail(coordinator->operation, "agent", "prepare", reason, 0);
    return G_SOURCE_REMOVE;
}

void coordinator_proceed(Coordinator *coordinator)
{
    if (!coordinator->starting || !coordinator->operation || coordinator->straggler ||
        completion_running(coordinator->completion))
        return;
    if (!coordinator_ready(coordinator, NULL)) {
        if (coordinator->keeper_timer)
            return;
        coordinator->keeper_timer = deadline_source_new(deadline_in(COORDINATOR_KEEPER_US),
                                                        keeper_did_not_come, coordinator);
        /* After keepers that died early it waits before the next attempt; now one is wanted. */
        keeper_connect(coordinator->keeper);
        return;
    }
    coordinator->starting = false;
    deadline_source_clear(&coordinator->keeper_timer);
    operation_survey(coordinator->operation);
}

/* A freeze in LOST starts anew: what was lost goes on being released on the side. */
static void set_lost_aside(Coordinator *coordinator)
{
    Operation *before = g_steal_pointer(&coordinator->operation);

    if (coordinator->verdict)
        coordinator_consume_verdict(coordinator, false);
    if (!before)
        return;
    operation_record(before);
    coordinator->straggler = before;
    operation_release(before, true);
    before->told = true;
    deadline_source_clear(&coordinator->release_timer);
}

static void begin_operation(Coordinator *coordinator, const FreezeRequest *request)
{
    coordinator->operation = operation_new(coordinator, request);
    coordinator->budget_timer =
        deadline_source_new(deadline_in(coordinator->spec.config->quiesce.freeze_budget_us),
                            freeze_budget_over, coordinator);
    coordinator->starting = true;
    coordinator_proceed(coordinator);
}

static bool same_request(const Operation *operation, const FreezeRequest *request)
{
    if (operation->report->rehearsal != request->rehearsal ||
        operation->report->local != (request->channel == NULL))
        return false;
    if (!operation->requested || !request->mountpoints)
        return !operation->requested && !request->mountpoints;
    return g_strv_equal((const char *const *)operation->requested,
                        (const char *const *)request->mountpoints);
}

void coordinator_refuse(Coordinator *coordinator, AnswerFunc answer, gpointer user_data)
{
    g_autofree char *text =
        g_strdup_printf("quiesce failed: agent: operation %s in progress",
                        coordinator->operation ? coordinator->operation->report->operation : "");
    Answer refusal = {.kind = ANSWER_ERROR, .text = text};

    answer(&refusal, user_data);
}

/* The verdict of a lost freeze is the host's; only its own thaw or freeze may use it up. */
static bool host_is_owed(const Coordinator *coordinator, const FreezeRequest *request)
{
    bool own = coordinator->operation && coordinator->operation->report->local;

    return !request->channel && coordinator->verdict && !own;
}

void coordinator_freeze(Coordinator *coordinator, const FreezeRequest *request, AnswerFunc answer,
                        gpointer user_data)
{
    if (host_is_owed(coordinator, request)) {
        Answer owed = {.kind = ANSWER_ERROR,
                       .text = "quiesce failed: agent: prepare: the host's last freeze was lost, "
                               "and its thaw has not been told yet"};

        answer(&owed, user_data);
        return;
    }
    if (!coordinator->spec.ledger) {
        g_autofree char *text =
            coordinator_error_text("agent", "prepare", coordinator->spec.ledger_error, 0);
        Answer unable = {.kind = ANSWER_ERROR, .text = text};

        answer(&unable, user_data);
        return;
    }
    if (coordinator->state == STATE_PREPARING &&
        (coordinator->waiter.func || !same_request(coordinator->operation, request))) {
        coordinator_refuse(coordinator, answer, user_data);
        return;
    }
    switch (coordinator_event(coordinator, EVENT_FREEZE)) {
    case ACTION_START:
        set_lost_aside(coordinator);
        attach_waiter(coordinator, request, answer, user_data);
        begin_operation(coordinator, request);
        break;
    case ACTION_JOIN:
        attach_waiter(coordinator, request, answer, user_data);
        operation_rejoin(coordinator->operation);
        break;
    case ACTION_REFUSE_FROZEN: {
        Answer frozen = {.kind = ANSWER_FROZEN};

        if (coordinator->operation && coordinator->operation->report->rehearsal)
            coordinator_refuse(coordinator, answer, user_data);
        else
            answer(&frozen, user_data);
        break;
    }
    default:
        coordinator_refuse(coordinator, answer, user_data);
        break;
    }
}

/* operation.c reports PREPARED through here: too little of the host's patience may be left. */
void coordinator_prepared(Coordinator *coordinator)
{
    Deadline deadline = coordinator_freezing_deadline(coordinator);
    int64_t need = MIN(COORDINATOR_FREEZING_US, coordinator->reply_budget_us / 8);

    if (deadline_passed((Deadline){deadline.at_us - need})) {
        (void)coordinator_event(coordinator, EVENT_DETACH);
        coordinator_ask_again(coordinator, false);
        return;
    }
    deadline_source_clear(&coordinator->reply_timer);
    coordinator->reply_timer = deadline_source_new(deadline, freezing_budget_over, coordinator);
    (void)coordinator_event(coordinator, EVENT_PREPARED);
}
