/*
 * participant_ops: what each kind of participant has to be able to do.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/deadline.h"
#include "quiesce/verb.h"

typedef struct Participant Participant;
typedef void (*ParticipantAnswered)(Participant *participant, const StepOutcome *outcome,
                                    gpointer user_data);

typedef struct {
    /* Calls `verb`; `answered` exactly once from the main loop, at the deadline at the latest,
     * never from within call(). Only one call at a time; while busy() only if what is left of
     * the earlier one does not go (D state). */
    void (*call)(Participant *participant, Verb verb, const VerbContext *context, Deadline deadline,
                 ParticipantAnswered answered, gpointer user_data);
    void (*cancel)(Participant *participant); /* the running call is answered STEP_CANCELLED */
    /* Something of an answered call still exists (a process being killed). */
    bool (*busy)(const Participant *participant);
    /* Optional: looks now, without waiting, whether what a freeze holds is still held; if not,
     * Participant.lost is called from within. The host's thaw asks before it lets go. */
    void (*verify)(Participant *participant);
    void (*free)(Participant *participant);
} ParticipantOps;
