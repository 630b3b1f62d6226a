/*
 * complete: see completion.h.
 *
 * The host is answered when its verdict is noted; the calls go on by themselves, and a new
 * operation waits for them as it does for stragglers.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/coordinator_internal.h"

#include <string.h>

struct Completion {
    Coordinator *owner;
    Report *report;
    GPtrArray *participants; /* Participant *, owned */
    Member *members;
    char **mountpoints;
    Sequence *sequence; /* while they are called */
    GSource *expiry;
};

void completion_free(Completion *completion)
{
    if (!completion)
        return;
    deadline_source_clear(&completion->expiry);
    /* Participants first: their calls are then answered no more. */
    g_ptr_array_set_size(completion->participants, 0);
    if (!completion->sequence)
        g_ptr_array_unref(completion->participants);
    g_free(completion->members);
    g_strfreev(completion->mountpoints);
    report_unref(completion->report);
    g_free(completion);
}

bool completion_running(const Completion *completion)
{
    return completion && completion->sequence;
}

const char *completion_waiting_for(const Completion *completion)
{
    for (unsigned i = 0; i < completion->participants->len; i++)
        if (sequence_running(completion->sequence, i))
            return ((Participant *)g_ptr_array_index(completion->participants, i))->name;
    return "agent";
}

static void forget(Coordinator *coordinator)
{
    g_clear_pointer(&coordinator->completion, completion_free);
}

static gboolean expired(gpointer user_data)
{
    Completion *completion = user_data;

    deadline_source_clear(&completion->expiry);
    if (!completion->sequence)
        forget(completion->owner);
    return G_SOURCE_REMOVE;
}

void coordinator_keep_for_verdict(Coordinator *coordinator, Operation *operation)
{
    Completion *completion = g_new0(Completion, 1);

    forget(coordinator);
    completion->owner = coordinator;
    completion->report = report_ref(operation->report);
    completion->participants = g_steal_pointer(&operation->participants);
    operation->participants = g_ptr_array_new();
    completion->members = g_steal_pointer(&operation->members);
    completion->mountpoints = g_steal_pointer(&operation->mountpoints);
    for (unsigned i = 0; i < completion->participants->len; i++) {
        Participant *participant = g_ptr_array_index(completion->participants, i);

        participant->lost = NULL; /* the operation is no more */
        participant->settled = NULL;
    }
    completion->expiry = deadline_source_new(deadline_in(COMPLETION_US), expired, completion);
    coordinator->completion = completion;
}

static bool complete_begin(unsigned index, Verb *verb, gpointer user_data)
{
    Completion *completion = user_data;
    Member *member = &completion->members[index];

    if (!member->called || member->failed ||
        !participant_wants(g_ptr_array_index(completion->participants, index), *verb))
        return false;
    member->step = report_step_begin(completion->report, member->entry, *verb);
    return true;
}

static bool complete_answered(unsigned index, Verb verb, const StepOutcome *outcome,
                              gpointer user_data)
{
    Completion *completion = user_data;
    const Member *member = &completion->members[index];

    report_step_end(completion->report, member->entry, member->step, outcome);
    if (outcome->result != STEP_OK)
        log_warning(completion->owner->spec.log, "%s: %s failed: %s", member->entry->name,
                    verb_name(verb), outcome->reason);
    return true;
}

static void complete_done(Sequence *sequence, gpointer user_data)
{
    Completion *completion = user_data;
    Coordinator *coordinator = completion->owner;

    completion->sequence = NULL;
    sequence_free(sequence);
    forget(coordinator);
    archive_touch(coordinator->archive);
    coordinator_proceed(coordinator);
    coordinator_changed(coordinator);
}

static bool refuse(GError **error, const char *format, const char *operation)
{
    g_autofree char *text =
        g_strdup_printf("quiesce failed: agent: operation %.40s %s", operation, format);

    g_set_error_literal(error, AGENT_ERROR, AGENT_ERROR_FAILED, text);
    return false;
}

static bool check(const Coordinator *coordinator, const char *operation, GError **error)
{
    const Completion *completion = coordinator->completion;
    const Report *report = history_find(coordinator->history, operation);

    if (coordinator->operation && coordinator->state != STATE_LOST)
        return refuse(error, "in progress; give the verdict after the thaw",
                      coordinator->operation->report->operation);
    if (report && !report->stored && report->host_verdict >= 0)
        return refuse(error, "has its verdict already", operation);
    if (!completion || strcmp(completion->report->operation, operation) != 0)
        return refuse(error,
                      "takes no verdict: only the last one that was held does, for an hour after "
                      "its thaw and until the agent is restarted",
                      operation);
    return true;
}

bool coordinator_complete(Coordinator *coordinator, const char *operation, bool success,
                          GError **error)
{
    static const SequenceEvents EVENTS = {complete_begin, complete_answered, complete_done};
    Completion *completion = coordinator->completion;
    SequenceSpec spec = {
        .verb = VERB_COMPLETE,
        .deadline = DEADLINE_NEVER, /* each participant's own timeout ends it */
    };

    if (!check(coordinator, operation, error))
        return false;
    completion->report->host_verdict = success;
    spec.participants = completion->participants;
    spec.context = (VerbContext){
        .operation = completion->report->operation,
        .mountpoints = (const char *const *)completion->mountpoints,
        .success = success,
        .timeout_default_us = coordinator->spec.config->quiesce.participant_timeout_us,
    };
    completion->sequence = sequence_start(&spec, &EVENTS, completion);
    coordinator_changed(coordinator);
    return true;
}
