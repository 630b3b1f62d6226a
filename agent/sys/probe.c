/*
 * probe: see probe.h.
 *
 * A Batch is what the main loop and the threads share: the names, and an answer each, under a lock.
 * It lives as long as the last of them. Whoever takes a name writes `RUNNING` first, so that a
 * later ask sees where an earlier one's thread still hangs.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/probe.h"

#include "sys/offload.h"

#include <pthread.h>
#include <string.h>

typedef enum { ITEM_WAITS, ITEM_RUNNING, ITEM_ANSWERED, ITEM_NONE } ItemState;

typedef struct {
    char *name;
    ItemState state;
    void *answer;
} Item;

typedef struct {
    pthread_mutex_t lock;
    unsigned refs, threads; /* `threads`: those not at their end */
    ProbeFunc func;
    size_t answer_size, count, next;
    Item *items;
} Batch;

typedef struct {
    Probe *probe;
    Offload *offload; /* NULL: at its end */
} Worker;

struct Probe {
    char *name;
    ProbeFunc func;
    size_t answer_size;
    GHashTable *known; /* name -> its last answer */
    GPtrArray *stuck;  /* Batch *, with threads that did not come back */
    Batch *batch;      /* of the ask under way; NULL: none */
    Worker workers[PROBE_THREADS_MAX];
    unsigned n_workers, n_ended;
    GSource *stall;
    Deadline deadline;
    ProbeDone done;
    gpointer user_data;
};

/* --- the batch ---------------------------------------------------------------------------------
 */

static Batch *batch_new(Probe *probe, const char *const *names, size_t count)
{
    Batch *batch = g_new0(Batch, 1);

    (void)pthread_mutex_init(&batch->lock, NULL);
    *batch = (Batch){.lock = batch->lock,
                     .refs = 1,
                     .func = probe->func,
                     .answer_size = probe->answer_size,
                     .count = count,
                     .items = g_new0(Item, count + 1)};
    for (size_t i = 0; i < count; i++) {
        batch->items[i].name = g_strdup(names[i]);
        if (!*names[i])
            batch->items[i].state = ITEM_NONE;
    }
    return batch;
}

static void batch_unref(gpointer data)
{
    Batch *batch = data;
    bool last = false;

    (void)pthread_mutex_lock(&batch->lock);
    last = --batch->refs == 0;
    (void)pthread_mutex_unlock(&batch->lock);
    if (!last)
        return;
    for (size_t i = 0; i < batch->count; i++) {
        g_free(batch->items[i].name);
        g_free(batch->items[i].answer);
    }
    g_free(batch->items);
    (void)pthread_mutex_destroy(&batch->lock);
    g_free(batch);
}

static void thread_over(gpointer data)
{
    Batch *batch = data;

    (void)pthread_mutex_lock(&batch->lock);
    batch->threads--;
    (void)pthread_mutex_unlock(&batch->lock);
    batch_unref(batch);
}

/* The next one to be asked; NULL: all are, or are being asked. */
static Item *batch_take(Batch *batch)
{
    Item *item = NULL;

    (void)pthread_mutex_lock(&batch->lock);
    while (batch->next < batch->count && batch->items[batch->next].state != ITEM_WAITS)
        batch->next++;
    if (batch->next < batch->count) {
        item = &batch->items[batch->next++];
        item->state = ITEM_RUNNING;
    }
    (void)pthread_mutex_unlock(&batch->lock);
    return item;
}

static gpointer work(gpointer data)
{
    Batch *batch = data;
    Item *item = NULL;

    while ((item = batch_take(batch))) {
        void *answer = g_malloc0(batch->answer_size);
        bool answered = batch->func(item->name, answer);

        (void)pthread_mutex_lock(&batch->lock);
        item->answer = answer;
        item->state = answered ? ITEM_ANSWERED : ITEM_NONE;
        (void)pthread_mutex_unlock(&batch->lock);
    }
    return NULL;
}

/* --- where earlier threads hang ----------------------------------------------------------------
 */

/* The threads still away; forgets the batches that have none. */
static unsigned count_stuck(Probe *probe)
{
    unsigned count = 0;

    for (unsigned i = probe->stuck->len; i-- > 0;) {
        Batch *batch = g_ptr_array_index(probe->stuck, i);
        unsigned threads = 0;

        (void)pthread_mutex_lock(&batch->lock);
        threads = batch->threads;
        (void)pthread_mutex_unlock(&batch->lock);
        count += threads;
        if (threads == 0)
            g_ptr_array_remove_index_fast(probe->stuck, i);
    }
    return count;
}

/* Names at which a thread hangs since an earlier ask. */
static GHashTable *hanging_names(Probe *probe)
{
    GHashTable *names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    for (unsigned i = 0; i < probe->stuck->len; i++) {
        Batch *batch = g_ptr_array_index(probe->stuck, i);

        (void)pthread_mutex_lock(&batch->lock);
        for (size_t k = 0; k < batch->count; k++)
            if (batch->items[k].state == ITEM_RUNNING)
                (void)g_hash_table_add(names, g_strdup(batch->items[k].name));
        (void)pthread_mutex_unlock(&batch->lock);
    }
    return names;
}

/* Those are not asked again, and have no answer. */
static void skip_hanging(Probe *probe, Batch *batch)
{
    g_autoptr(GHashTable) names = hanging_names(probe);

    for (size_t i = 0; i < batch->count; i++) {
        if (!g_hash_table_contains(names, batch->items[i].name))
            continue;
        batch->items[i].state = ITEM_NONE;
        (void)g_hash_table_remove(probe->known, batch->items[i].name);
    }
}

/* --- the ask -----------------------------------------------------------------------------------
 */

/* Takes over what answered, and lets what is late have its answer of before. */
static const void **gather_answers(Probe *probe, Batch *batch)
{
    const void **answers = g_new0(const void *, batch->count + 1);
    GHashTable *known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);

    (void)pthread_mutex_lock(&batch->lock);
    for (size_t i = 0; i < batch->count; i++) {
        Item *item = &batch->items[i];
        const void *before = g_hash_table_lookup(probe->known, item->name);
        void *answer = NULL;

        if (item->state == ITEM_ANSWERED)
            answer = g_memdup2(item->answer, batch->answer_size);
        else if (item->state != ITEM_NONE && before)
            answer = g_memdup2(before, batch->answer_size);
        if (!answer)
            continue;
        g_hash_table_replace(known, g_strdup(item->name), answer);
    }
    for (size_t i = 0; i < batch->count; i++)
        if (batch->items[i].state != ITEM_NONE)
            answers[i] = g_hash_table_lookup(known, batch->items[i].name);
    batch->next = batch->count; /* a thread that comes back late asks no more */
    (void)pthread_mutex_unlock(&batch->lock);
    g_hash_table_unref(probe->known);
    probe->known = known;
    return answers;
}

/* Gives up the threads still away. */
static void leave_workers(Probe *probe)
{
    bool away = false;

    deadline_source_clear(&probe->stall);
    for (unsigned i = 0; i < probe->n_workers; i++) {
        away = away || probe->workers[i].offload;
        offload_cancel(g_steal_pointer(&probe->workers[i].offload));
    }
    if (away)
        g_ptr_array_add(probe->stuck, probe->batch);
    else
        batch_unref(probe->batch);
    probe->batch = NULL;
}

static void finish(Probe *probe)
{
    size_t count = probe->batch->count;
    g_autofree const void **answers = gather_answers(probe, probe->batch);
    ProbeDone done = probe->done;

    leave_workers(probe);
    done(answers, count, probe->user_data);
}

static void worker_ended(gpointer result, bool timed_out, gpointer user_data)
{
    Worker *worker = user_data;
    Probe *probe = worker->probe;

    (void)result;
    (void)timed_out;
    worker->offload = NULL;
    if (++probe->n_ended == probe->n_workers)
        finish(probe);
}

/* False: no thread can be had. */
static bool start_worker(Probe *probe)
{
    Worker *worker = &probe->workers[probe->n_workers];
    Batch *batch = probe->batch;

    if (count_stuck(probe) + (probe->n_workers - probe->n_ended) >= PROBE_STUCK_MAX)
        return false;
    (void)pthread_mutex_lock(&batch->lock);
    batch->refs++;
    batch->threads++;
    (void)pthread_mutex_unlock(&batch->lock);
    worker->probe = probe;
    worker->offload = offload_run(probe->name, work, batch, thread_over, NULL, DEADLINE_NEVER,
                                  worker_ended, worker, NULL);
    if (!worker->offload)
        return false;
    probe->n_workers++;
    return true;
}

/* The threads there are do not get on. */
static gboolean stalled(gpointer user_data)
{
    Probe *probe = user_data;

    deadline_source_clear(&probe->stall);
    if (deadline_passed(probe->deadline)) {
        finish(probe);
        return G_SOURCE_REMOVE;
    }
    if (probe->n_workers < PROBE_THREADS_MAX)
        (void)start_worker(probe);
    probe->stall = deadline_source_new(
        deadline_earlier(deadline_in(PROBE_STALL_US), probe->deadline), stalled, probe);
    return G_SOURCE_REMOVE;
}

/* --- life --------------------------------------------------------------------------------------
 */

Probe *probe_new(const char *name, ProbeFunc func, size_t answer_size)
{
    Probe *probe = g_new0(Probe, 1);

    probe->name = g_strdup(name);
    probe->func = func;
    probe->answer_size = answer_size;
    probe->known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    probe->stuck = g_ptr_array_new_with_free_func(batch_unref);
    return probe;
}

void probe_free(Probe *probe)
{
    if (!probe)
        return;
    if (probe->batch)
        leave_workers(probe);
    g_hash_table_unref(probe->known);
    g_ptr_array_unref(probe->stuck);
    g_free(probe->name);
    g_free(probe);
}

bool probe_asking(const Probe *probe)
{
    return probe->batch != NULL;
}

void probe_ask(Probe *probe, const char *const *names, size_t count, Deadline deadline,
               ProbeDone done, gpointer user_data)
{
    g_assert(!probe->batch);
    (void)count_stuck(probe);
    probe->batch = batch_new(probe, names, count);
    probe->deadline = deadline;
    probe->done = done;
    probe->user_data = user_data;
    probe->n_workers = probe->n_ended = 0;
    skip_hanging(probe, probe->batch);
    if (!start_worker(probe)) {
        finish(probe);
        return;
    }
    probe->stall = deadline_source_new(
        deadline_earlier(deadline_in(PROBE_STALL_US), probe->deadline), stalled, probe);
}
