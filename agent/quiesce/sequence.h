/*
 * sequence: calls one verb of many participants, group by group in their order.
 *
 * Equal orders run in parallel; the next group begins when every call of the one before was
 * answered. Ascending for prepare and freeze, descending for thaw and abort. The owner is asked
 * before each call (`begin`, which may skip it) and told of each answer; `answered` may stop the
 * sequence, then no further call begins and `done` is called when those running were answered.
 *
 * Runs on the main loop, never blocks; ParticipantOps guarantee that every call is answered by its
 * deadline, so a sequence always ends.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "quiesce/participant.h"

typedef struct Sequence Sequence;

typedef struct {
    /* False: do not call this one (does not want the verb, refused, was never prepared). `verb` may
     * be changed for this one call (abort instead of thaw). */
    bool (*begin)(unsigned index, Verb *verb, gpointer user_data);
    /* False: stop. */
    bool (*answered)(unsigned index, Verb verb, const StepOutcome *outcome, gpointer user_data);
    /* Exactly once, never from within sequence_start(); the sequence may be freed in it. */
    void (*done)(Sequence *sequence, gpointer user_data);
} SequenceEvents;

typedef struct {
    GPtrArray *participants; /* Participant *; borrowed, must outlive the sequence */
    Verb verb;
    bool descending;
    VerbContext context; /* borrowed strings */
    Deadline deadline;   /* of the whole; each call also has its participant's own timeout */
} SequenceSpec;

Sequence *sequence_start(const SequenceSpec *spec, const SequenceEvents *events,
                         gpointer user_data);
/* Stops: running calls are cancelled (answered STEP_CANCELLED), then `done`. */
void sequence_cancel(Sequence *sequence);
void sequence_free(Sequence *sequence); /* only when done or never to be told; NULL is fine */
unsigned sequence_order(const Sequence *sequence); /* of the group running now */
bool sequence_running(const Sequence *sequence, unsigned index);
