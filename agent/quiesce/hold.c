/*
 * hold: a participant that lost what it held between its freeze and the thaw.
 *
 * The snapshot may have been taken without it. By on-failure the freeze fails, or (when the host
 * was told already that all is held) the filesystems stay frozen until its thaw, which gets the
 * verdict; or the level drops and the freeze goes on. Runs on the main loop, waits for nothing.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/coordinator_internal.h"
#include "quiesce/events.h"

static bool find_member(const Operation *operation, const Participant *participant,
                        unsigned *ret_index)
{
    return operation->members && g_ptr_array_find(operation->participants, participant, ret_index);
}

/* The freeze must not be taken for good any more. */
static void fail_hold(Operation *operation, const Participant *participant, const char *reason)
{
    Coordinator *coordinator = operation->owner;
    g_autofree char *verdict = NULL;

    if (coordinator->state == STATE_PREPARING || coordinator->state == STATE_FREEZING) {
        operation_fail(operation, participant->name,
                       coordinator->state == STATE_PREPARING ? "prepare" : "freeze", reason, 0);
        return;
    }
    /* Seen after the host's thaw, and before this one was told to let go: it was lost before, or
     * nobody can say. A snapshot taken once more is the lesser harm. */
    if (coordinator_event(coordinator, EVENT_HOLD_LOST) != ACTION_NOTE_LOSS &&
        (coordinator->state != STATE_THAWING || coordinator->verdict || operation->told))
        return;
    verdict = g_strdup_printf("%s: %s", participant->name, reason);
    coordinator_note_loss(coordinator, ENDED_BY_PARTICIPANT_LOST, verdict);
    coordinator_changed(coordinator);
}

void operation_hold_lost(Participant *participant, const StepOutcome *outcome, gpointer user_data)
{
    Operation *operation = user_data;
    StepOutcome lost = *outcome;
    g_autofree char *reason = NULL;
    Member *member = NULL;
    unsigned index = 0;

    if (!find_member(operation, participant, &index) || !operation->members[index].held ||
        operation->members[index].letting_go)
        return;
    member = &operation->members[index];
    member->held = false;
    member->failed = true; /* is owed an abort, and gets no further verb before */
    lost.result = STEP_LOST;
    report_step_end(operation->report, member->entry, member->step, &lost);
    ledger_participant_result(operation->owner->spec.ledger, index, member->entry->result);
    reason = g_strdup_printf("lock lost: %s", lost.reason[0] ? lost.reason : "it ended");
    report_lower(operation->report, LEVEL_FILESYSTEM, "%s: %s", participant->name, reason);
    event_participant(operation->owner->spec.log, operation->report, participant->name, "hold",
                      reason);
    if (participant->on_failure == ON_FAILURE_ABORT ||
        operation->level_wanted > (int)operation->report->level)
        fail_hold(operation, participant, reason);
}

void coordinator_verify_holds(Coordinator *coordinator)
{
    Operation *operation = coordinator->operation;

    for (unsigned i = 0; coordinator->state == STATE_FROZEN && i < operation->participants->len;
         i++) {
        Participant *participant = g_ptr_array_index(operation->participants, i);

        if (operation->members[i].held && participant->ops->verify)
            participant->ops->verify(participant);
    }
}
