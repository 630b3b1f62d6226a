/*
 * operation_life: an operation's begin and end, and what others ask of it; see operation.c.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/coordinator_internal.h"

const char *operation_waiting_for(const Operation *operation)
{
    for (unsigned i = 0; operation->sequence && i < operation->participants->len; i++)
        if (sequence_running(operation->sequence, i))
            return ((Participant *)g_ptr_array_index(operation->participants, i))->name;
    return operation->stage ? "filesystems" : "agent";
}

const char *operation_straggling(const Operation *operation)
{
    for (unsigned i = 0; i < operation->participants->len; i++) {
        Participant *participant = g_ptr_array_index(operation->participants, i);
        bool running = operation->sequence && sequence_running(operation->sequence, i);

        if (running || participant->ops->busy(participant))
            return participant->name;
    }
    return operation->stage ? fs_stage_stuck(operation->stage) : "recovery";
}

unsigned operation_holding(const Operation *operation)
{
    unsigned count = operation->stage ? fs_stage_held(operation->stage) : 0;

    for (unsigned i = 0; i < operation->participants->len; i++)
        count += operation->members && operation->members[i].held;
    return count;
}

unsigned operation_count(const Operation *operation)
{
    unsigned filesystems = operation->stage ? fs_stage_held(operation->stage) : 0;

    return filesystems > 0 ? filesystems : MIN(operation_holding(operation), 1);
}

Operation *operation_new(Coordinator *coordinator, const FreezeRequest *request)
{
    Operation *operation = g_new0(Operation, 1);
    g_autofree char *uuid = g_uuid_string_random();

    operation->owner = coordinator;
    operation->report = report_new(uuid, request->channel == NULL, request->channel);
    operation->report->rehearsal = request->rehearsal;
    operation->requested = g_strdupv(request->mountpoints);
    operation->limit_us = coordinator_limit(coordinator, request->limit_us);
    operation->level_wanted = request->level;
    operation->participants = g_ptr_array_new_with_free_func((GDestroyNotify)participant_free);
    return operation;
}

void operation_record(Operation *operation)
{
    if (!operation->recorded)
        history_add(operation->owner->history, operation->report);
    operation->recorded = true;
}

void operation_free(Operation *operation)
{
    if (!operation)
        return;
    if (operation->surveying)
        survey_cancel(operation->surveying);
    deadline_source_clear(&operation->settle);
    sequence_free(operation->sequence);
    unfreeze_free(operation->unfreeze);
    deadline_source_clear(&operation->unfreeze_wait);
    fs_stage_free(operation->stage);
    g_ptr_array_unref(operation->participants);
    survey_free(operation->survey);
    g_strfreev(operation->requested);
    g_strfreev(operation->mountpoints);
    g_free(operation->members);
    g_free(operation->error);
    report_unref(operation->report);
    g_free(operation);
}
