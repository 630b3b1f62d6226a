/*
 * release: everything that ends a hold: thaw, roll back, loss, and the verdict about it.
 *
 * A release runs on its own from operation_release() until nothing is left: filesystems first, by
 * the keeper or without it, then participants in reverse order. The state moves on when it is done
 * or when its budget is over; what is left then is a straggler, and a new operation waits for it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/coordinator_internal.h"
#include "quiesce/events.h"

#include "sys/process.h"

#include <sys/prctl.h>
#include <time.h>

/* SIGTERM, SIGKILL, and a little for the reaping. */
#define RELEASE_CORPSE_US (PROCESS_KILL_DELAY_US + 200 * USEC_PER_MSEC)

int64_t coordinator_boottime_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * USEC_PER_SEC + now.tv_nsec / 1000;
}

/* --- participants ------------------------------------------------------------------------------
 */

/* One reverse sequence; whoever failed on the way in gets abort even when the rest is thawed. */
static bool release_begin(unsigned index, Verb *verb, gpointer user_data)
{
    Operation *operation = user_data;
    Member *member = &operation->members[index];
    Participant *participant = g_ptr_array_index(operation->participants, index);
    Ledger *ledger = operation->owner->spec.ledger;

    if (!member->called || member->released)
        return false;
    *verb = operation->abort || member->failed ? VERB_ABORT : VERB_THAW;
    if (!participant_wants(participant, *verb)) {
        member->released = true;
        ledger_participant_released(ledger, index);
        return false;
    }
    member->letting_go = true;
    member->step = report_step_begin(operation->report, member->entry, *verb);
    ledger_participant_called(ledger, index, 1u << *verb);
    return true;
}

static bool release_answered(unsigned index, Verb verb, const StepOutcome *outcome,
                             gpointer user_data)
{
    Operation *operation = user_data;
    Participant *participant = g_ptr_array_index(operation->participants, index);
    Member *member = &operation->members[index];
    StepOutcome told = *outcome;

    if (operation->told && told.result == STEP_OK)
        told.result = STEP_LATE;
    report_step_end(operation->report, member->entry, member->step, &told);
    ledger_participant_result(operation->owner->spec.ledger, index, member->entry->result);
    member->released = true;
    ledger_participant_released(operation->owner->spec.ledger, index);
    if (outcome->result != STEP_OK)
        event_participant(operation->owner->spec.log, operation->report, participant->name,
                          verb_name(verb), outcome->reason);
    return true;
}

static void release_sequence_done(Sequence *sequence, gpointer user_data);

static void start_release_sequence(Operation *operation)
{
    static const SequenceEvents EVENTS = {release_begin, release_answered, release_sequence_done};
    SequenceSpec spec = {
        .participants = operation->participants,
        .verb = VERB_THAW,
        .descending = true,
        .context = {.operation = operation->report->operation,
                    .mountpoints = (const char *const *)operation->mountpoints,
                    .rehearsal = operation->report->rehearsal,
                    .timeout_default_us =
                        operation->owner->spec.config->quiesce.participant_timeout_us},
        .deadline = DEADLINE_NEVER, /* each participant's own timeout ends it */
    };

    operation->sequence = sequence_start(&spec, &EVENTS, operation);
}

static void release_sequence_done(Sequence *sequence, gpointer user_data)
{
    Operation *operation = user_data;

    operation->sequence = NULL;
    sequence_free(sequence);
    operation_settle(operation);
}

static bool members_left(const Operation *operation)
{
    for (unsigned i = 0; operation->members && i < operation->participants->len; i++)
        if (operation->members[i].called && !operation->members[i].released)
            return true;
    return false;
}

static bool somebody_busy(Operation *operation)
{
    for (unsigned i = 0; i < operation->participants->len; i++) {
        Participant *participant = g_ptr_array_index(operation->participants, i);
        if (participant->ops->busy(participant))
            return true;
    }
    return false;
}

/* --- the release as a whole --------------------------------------------------------------------
 */

/* Everything is gone: the ledger is closed, the operation freed. */
static void operation_gone(Operation *operation)
{
    Coordinator *coordinator = operation->owner;

    if (operation->laid_out)
        ledger_end(coordinator->spec.ledger);
    coordinator_drop_stored(coordinator);
    (void)prctl(PR_SET_DUMPABLE, 1);
    if (coordinator->straggler == operation)
        coordinator->straggler = NULL;
    if (coordinator->operation == operation)
        coordinator->operation = NULL;
    if (operation->recorded) {
        metrics_count(&coordinator->metrics, operation->report);
        archive_touch(coordinator->archive);
    }
    if (operation->frozen && operation->members && !operation->report->rehearsal)
        coordinator_keep_for_verdict(coordinator, operation);
    operation_free(operation);
    coordinator_proceed(coordinator);
    coordinator_changed(coordinator);
}

static void tell_released(Operation *operation)
{
    Coordinator *coordinator = operation->owner;
    g_autoptr(GArray) stops = NULL;

    deadline_source_clear(&coordinator->release_timer);
    if (!operation->told) {
        operation->told = true;
        if (operation->report->thaw_us < 0)
            operation->report->thaw_us = deadline_now() - operation->release_us;
        if (coordinator->operation == operation)
            (void)coordinator_event(coordinator, EVENT_RELEASED);
        coordinator_answer_local(coordinator, operation);
        coordinator_forget_local_loss(coordinator, operation);
    }
    stops = g_steal_pointer(&coordinator->stops); /* also asked for after it was told */
    for (unsigned i = 0; stops && i < stops->len; i++) {
        const CoordinatorStop *stop = &g_array_index(stops, CoordinatorStop, i);

        stop->done(stop->user_data);
    }
}

static void settled_participant(Participant *participant, gpointer user_data)
{
    (void)participant;
    operation_settle(user_data);
}

/* The host's thaw is not answered with an error for a FITHAW that is merely slow. */
static bool is_worth_waiting(const Operation *operation)
{
    return !operation->abort && !operation->told && !operation->stage_settled && operation->stage &&
           operation->owner->release_timer && fs_stage_thaws(operation->stage);
}

static gboolean settle_now(gpointer user_data)
{
    Operation *operation = user_data;

    deadline_source_clear(&operation->settle);
    if (operation->sequence || operation->surveying || !operation->stage_thawed)
        return G_SOURCE_REMOVE;
    /* A hook whose freeze is being killed must be gone before it is called with abort, so that the
     * two cannot run at once; a corpse that does not go (D state) is not waited for. */
    if (members_left(operation)) {
        Deadline patience = {operation->release_us + RELEASE_CORPSE_US};

        if (somebody_busy(operation) && !deadline_passed(patience))
            operation->settle = deadline_source_new(patience, settle_now, operation);
        else
            start_release_sequence(operation);
        return G_SOURCE_REMOVE;
    }
    if (is_worth_waiting(operation))
        return G_SOURCE_REMOVE; /* called again by stage_settled; else the budget ends it */
    tell_released(operation);
    if (!operation->stage_settled || somebody_busy(operation)) {
        coordinator_changed(operation->owner);
        return G_SOURCE_REMOVE; /* called again by stage_settled and settled_participant */
    }
    operation_gone(operation);
    return G_SOURCE_REMOVE;
}

bool coordinator_leaves_the_rest(Coordinator *coordinator)
{
    Operation *operation = coordinator->operation ? coordinator->operation : coordinator->straggler;

    return operation && operation->unfreeze && unfreeze_is_unreachable(operation->unfreeze) &&
           operation->told && !operation->sequence && !members_left(operation) &&
           !somebody_busy(operation);
}

void operation_settle(Operation *operation)
{
    if (!operation->releasing)
        return;
    deadline_source_clear(&operation->settle);
    operation->settle = deadline_source_new(deadline_in(0), settle_now, operation);
}

void operation_stage_thawed(Operation *operation)
{
    operation->stage_thawed = true;
    operation->stage_settled = fs_stage_pending(operation->stage) == 0;
    if (operation->frozen && operation->report->frozen_us < 0)
        operation->report->frozen_us = deadline_now() - operation->frozen_us;
    log_release(operation->owner->spec.log);
    operation_settle(operation);
}

void operation_stage_settled(Operation *operation)
{
    operation->stage_settled = true;
    operation_settle(operation);
}

static gboolean release_budget_over(gpointer user_data)
{
    Coordinator *coordinator = user_data;

    deadline_source_clear(&coordinator->release_timer);
    if (coordinator->operation)
        tell_released(coordinator->operation);
    return G_SOURCE_REMOVE;
}

void operation_release(Operation *operation, bool abort)
{
    Coordinator *coordinator = operation->owner;
    const Config *config = coordinator->spec.config;
    Deadline deadline =
        deadline_in(abort ? config->quiesce.abort_budget_us : config->quiesce.thaw_budget_us);

    deadline_source_clear(&coordinator->budget_timer);
    deadline_source_clear(&coordinator->join_timer);
    deadline_source_clear(&coordinator->limit_timer);
    deadline_source_clear(&coordinator->reply_timer); /* the release timer answers in time */
    if (operation == coordinator->operation)
        coordinator->starting = false;
    deadline_source_clear(&coordinator->keeper_timer);
    if (abort && coordinator->waiter.func)
        deadline = deadline_earlier(deadline, coordinator->reply_deadline);
    deadline_source_clear(&coordinator->release_timer);
    coordinator->release_timer = deadline_source_new(deadline, release_budget_over, coordinator);
    if (operation->releasing)
        return;
    operation->releasing = true;
    operation->abort = abort;
    operation->release_us = deadline_now();
    if (operation->surveying)
        survey_cancel(g_steal_pointer(&operation->surveying));
    for (unsigned i = 0; i < operation->participants->len; i++) {
        Participant *participant = g_ptr_array_index(operation->participants, i);
        participant->settled = settled_participant;
        participant->settled_data = operation;
    }
    if (operation->sequence)
        sequence_cancel(operation->sequence);
    if (operation->stage)
        fs_stage_thaw(operation->stage);
    else if (!coordinator->recovering)
        operation->stage_thawed = operation->stage_settled = true;
    operation_settle(operation);
}

/* --- loss and verdict --------------------------------------------------------------------------
 */

char *coordinator_verdict_text(const Coordinator *coordinator)
{
    const LedgerVerdict *verdict = &coordinator->verdict_data;

    return g_strdup_printf("fsfreeze is limited up to %u seconds: not held until thaw: %s after "
                           "%.1f s",
                           verdict->limit_s, verdict->reason,
                           (double)verdict->held_us / USEC_PER_SEC);
}

/* In the report that the history has of it now: one that was read may have taken the place. */
static void note_told(Coordinator *coordinator, bool told)
{
    Report *report = coordinator->verdict_report;
    Report *kept = report ? history_find(coordinator->history, report->operation) : NULL;

    if (report)
        report->verdict_delivered = told;
    if (!kept)
        return;
    kept->verdict_delivered = told;
    archive_touch(coordinator->archive);
}

void coordinator_consume_verdict(Coordinator *coordinator, bool told)
{
    coordinator->verdict = false;
    ledger_clear_verdict(coordinator->spec.ledger, told);
    deadline_source_clear(&coordinator->window_timer);
    note_told(coordinator, told);
    g_clear_pointer(&coordinator->verdict_report, report_unref);
}

static gboolean window_ended(gpointer user_data)
{
    Coordinator *coordinator = user_data;

    deadline_source_clear(&coordinator->window_timer);
    (void)coordinator_event(coordinator, EVENT_EXPIRE);
    return G_SOURCE_REMOVE;
}

void coordinator_watch_window(Coordinator *coordinator)
{
    int64_t left = coordinator->verdict_data.expires_us - coordinator_boottime_us();

    deadline_source_clear(&coordinator->window_timer);
    coordinator->window_timer = deadline_source_new(deadline_in(left), window_ended, coordinator);
}

void coordinator_note_loss(Coordinator *coordinator, ReportEndedBy ended_by, const char *reason)
{
    Operation *operation = coordinator->operation;
    LedgerVerdict *verdict = &coordinator->verdict_data;
    int64_t window_us = coordinator->spec.config->quiesce.lost_window_us;
    g_autofree char *text = NULL;

    *verdict = (LedgerVerdict){
        .ended_by = ended_by,
        .limit_s = (uint32_t)((operation->limit_us + USEC_PER_SEC - 1) / USEC_PER_SEC),
        .held_us = deadline_now() - operation->frozen_us,
        .expires_us = coordinator_boottime_us() + window_us,
    };
    /* Filesystems stay frozen then, up to the limit; the window begins when they are not. */
    if (ended_by == ENDED_BY_PARTICIPANT_LOST)
        verdict->expires_us += operation->limit_us;
    g_strlcpy(verdict->operation, operation->report->operation, sizeof(verdict->operation));
    g_strlcpy(verdict->reason, reason, sizeof(verdict->reason));
    if (!operation->report->local)
        ledger_set_verdict(coordinator->spec.ledger, verdict);
    ledger_set_frozen_since(coordinator->spec.ledger, 0, 0);
    coordinator->verdict = true;
    g_clear_pointer(&coordinator->verdict_report, report_unref);
    coordinator->verdict_report = report_ref(operation->report);
    operation->report->result = REPORT_LOST;
    operation->report->ended_by = ended_by;
    if (ended_by != ENDED_BY_PARTICIPANT_LOST)
        report_lower(operation->report, LEVEL_CRASH, "not held until thaw: %s", reason);
    coordinator_watch_window(coordinator);
    text = g_strdup_printf(
        "The freeze %s was not held until the host's thaw: %s after %.1f s; the snapshot taken "
        "meanwhile is only %s-consistent, take it again",
        operation->report->operation, reason, (double)verdict->held_us / USEC_PER_SEC,
        level_name(operation->report->level));
    event_operation(coordinator->spec.log, LOG_ERROR, EVENT_ID_LOST, operation->report, reason,
                    text);
}

/* Entered for every end but the host's thaw; the machine decides what it means. */
void coordinator_lose(Coordinator *coordinator, ReportEndedBy ended_by, const char *reason)
{
    Operation *operation = coordinator->operation;
    MachineAction action = ACTION_NONE;

    if (operation && !operation->error && coordinator->state != STATE_FROZEN &&
        coordinator->state != STATE_LOST)
        operation->error = coordinator_error_text("agent", "cancelled", reason, 0);
    action = coordinator_event(coordinator, EVENT_LOSE);
    if (action != ACTION_LOSE || !operation)
        return;
    if (!coordinator->verdict)
        coordinator_note_loss(coordinator, ended_by, reason);
    else /* a participant's loss is the verdict; now the filesystems go too */
        report_lower(operation->report, LEVEL_CRASH, "not held until thaw: %s", reason);
    operation_record(operation);
    operation_release(operation, true);
    coordinator_changed(coordinator);
}
