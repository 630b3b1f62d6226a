/*
 * sequence: see sequence.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/sequence.h"

typedef struct {
    Sequence *sequence;
    unsigned index;
    Verb verb;
    bool running;
} Call;

struct Sequence {
    SequenceSpec spec;
    SequenceEvents events;
    gpointer user_data;
    Call *calls;     /* one per participant, same index */
    unsigned *order; /* indexes sorted by order in the sequence's direction */
    unsigned next;   /* position in `order` of the first one not yet looked at */
    unsigned running;
    unsigned group; /* order number of the group running now */
    bool stopped;
    GSource *step; /* pending call of sequence_step() */
    bool finished; /* `done` was or is being called */
};

static gboolean sequence_step(gpointer user_data);

static void schedule_step(Sequence *sequence)
{
    if (!sequence->step && !sequence->finished)
        sequence->step = deadline_source_new(deadline_in(0), sequence_step, sequence);
}

static void call_answered(Participant *participant, const StepOutcome *outcome, gpointer user_data)
{
    Call *call = user_data;
    Sequence *sequence = call->sequence;

    (void)participant;
    call->running = false;
    sequence->running--;
    if (!sequence->events.answered(call->index, call->verb, outcome, sequence->user_data))
        sequence->stopped = true;
    if (sequence->running == 0)
        schedule_step(sequence);
}

static void begin_call(Sequence *sequence, unsigned index)
{
    Participant *participant = g_ptr_array_index(sequence->spec.participants, index);
    Deadline own = deadline_in(participant_timeout(participant, &sequence->spec.context));

    sequence->calls[index].verb = sequence->spec.verb;
    if (!sequence->events.begin(index, &sequence->calls[index].verb, sequence->user_data))
        return;
    sequence->calls[index].running = true;
    sequence->running++;
    participant->ops->call(participant, sequence->calls[index].verb, &sequence->spec.context,
                           deadline_earlier(own, sequence->spec.deadline), call_answered,
                           &sequence->calls[index]);
}

static unsigned order_at(const Sequence *sequence, unsigned position)
{
    const Participant *participant =
        g_ptr_array_index(sequence->spec.participants, sequence->order[position]);

    return participant->order;
}

/* Begins groups until one has calls running; ends the sequence after the last. */
static gboolean sequence_step(gpointer user_data)
{
    Sequence *sequence = user_data;
    unsigned count = sequence->spec.participants->len;

    deadline_source_clear(&sequence->step);
    while (sequence->running == 0 && !sequence->stopped && sequence->next < count) {
        sequence->group = order_at(sequence, sequence->next);
        while (sequence->next < count && order_at(sequence, sequence->next) == sequence->group)
            begin_call(sequence, sequence->order[sequence->next++]);
    }
    if (sequence->running == 0 && !sequence->finished) {
        sequence->finished = true;
        sequence->events.done(sequence, sequence->user_data);
    }
    return G_SOURCE_REMOVE;
}

static int compare_order(gconstpointer a, gconstpointer b, gpointer user_data)
{
    const Sequence *sequence = user_data;
    const unsigned *left = a, *right = b;
    const Participant *p = g_ptr_array_index(sequence->spec.participants, *left);
    const Participant *q = g_ptr_array_index(sequence->spec.participants, *right);
    int result = (int)p->order - (int)q->order;

    return sequence->spec.descending ? -result : result;
}

Sequence *sequence_start(const SequenceSpec *spec, const SequenceEvents *events, gpointer user_data)
{
    Sequence *sequence = g_new0(Sequence, 1);
    unsigned count = spec->participants->len;

    sequence->spec = *spec;
    sequence->events = *events;
    sequence->user_data = user_data;
    sequence->calls = g_new0(Call, count);
    sequence->order = g_new0(unsigned, count);
    for (unsigned i = 0; i < count; i++) {
        sequence->calls[i] = (Call){.sequence = sequence, .index = i};
        sequence->order[i] = i;
    }
    g_qsort_with_data(sequence->order, (int)count, sizeof(unsigned), compare_order, sequence);
    schedule_step(sequence);
    return sequence;
}

void sequence_cancel(Sequence *sequence)
{
    sequence->stopped = true;
    for (unsigned i = 0; i < sequence->spec.participants->len; i++) {
        Participant *participant = g_ptr_array_index(sequence->spec.participants, i);
        if (sequence->calls[i].running)
            participant->ops->cancel(participant);
    }
    if (sequence->running == 0)
        schedule_step(sequence);
}

void sequence_free(Sequence *sequence)
{
    if (!sequence)
        return;
    g_assert(sequence->running == 0); /* an answer would come to freed memory */
    deadline_source_clear(&sequence->step);
    g_free(sequence->calls);
    g_free(sequence->order);
    g_free(sequence);
}

unsigned sequence_order(const Sequence *sequence)
{
    return sequence->group;
}

bool sequence_running(const Sequence *sequence, unsigned index)
{
    return sequence->calls[index].running;
}
