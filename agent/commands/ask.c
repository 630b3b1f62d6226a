/*
 * ask: see ask.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "commands/ask.h"

#include "sys/offload.h"

#include <string.h>

#define NUMBER_BYTES ((size_t)12)

/* What the thread and the main loop share. */
typedef struct {
    const Question *question;
    AskPaths paths;
    unsigned refs;  /* atomic */
    unsigned ended; /* atomic: the thread is no more */
} Job;

typedef struct {
    json_t *value;
    GPtrArray *names; /* char * */
    GError *error;
} Gathered;

/* One question: what is known, and who waits for more. */
typedef struct {
    Asker *asker;
    const Question *question;
    json_t *memory; /* NULL: nothing known, or not to be remembered */
    Job *job;       /* of the last thread; NULL: none since the last answer */
    Offload *offload;
    Probe *probe;
    json_t *gathered; /* being probed */
    int64_t since_us;
    GQueue waiters; /* Waiter * */
} Inquiry;

typedef struct {
    Inquiry *inquiry;
    Call *call;
    GSource *timer;
} Waiter;

struct Asker {
    AskPaths paths;
    GHashTable *inquiries; /* Question * -> Inquiry * */
};

/* --- lists -------------------------------------------------------------------------------------
 */

/* Bytes of it in a reply, estimated: writing it twice would take as long as gathering it. */
static size_t size_of(const json_t *value)
{
    json_t *object = (json_t *)value; /* jansson's iterators take no const */
    const json_t *member = NULL;
    const char *key = NULL;
    size_t size = 2, index = 0;

    if (json_is_string(value))
        return json_string_length(value) + 4;
    if (!json_is_object(value) && !json_is_array(value))
        return NUMBER_BYTES;
    json_object_foreach(object, key, member) size += strlen(key) + 6 + size_of(member);
    json_array_foreach(value, index, member) size += size_of(member) + 2;
    return size;
}

bool ask_append(json_t *list, json_t *item, size_t *budget)
{
    size_t size = size_of(item);

    if (size > *budget) {
        json_decref(item);
        return false;
    }
    *budget -= size;
    return json_array_append_new(list, item) == 0;
}

json_t *ask_list(const GArray *array, json_t *(*item_json)(const void *item))
{
    size_t budget = ASK_REPLY_MAX;
    json_t *list = NULL;
    size_t size = 0;

    if (!array)
        return NULL;
    list = json_array();
    size = g_array_get_element_size((GArray *)array);
    for (unsigned i = 0; i < array->len; i++)
        if (!ask_append(list, item_json(array->data + i * size), &budget))
            break;
    return list;
}

/* --- the thread --------------------------------------------------------------------------------
 */

static void job_unref(Job *job)
{
    if (__atomic_sub_fetch(&job->refs, 1, __ATOMIC_SEQ_CST) == 0)
        g_free(job);
}

static void job_over(gpointer data)
{
    Job *job = data;

    __atomic_store_n(&job->ended, 1, __ATOMIC_SEQ_CST);
    job_unref(job);
}

static void gathered_free(gpointer data)
{
    Gathered *gathered = data;

    json_decref(gathered->value);
    g_ptr_array_unref(gathered->names);
    g_clear_error(&gathered->error);
    g_free(gathered);
}

static gpointer gather(gpointer data)
{
    const Job *job = data;
    Gathered *gathered = g_new0(Gathered, 1);

    gathered->names = g_ptr_array_new_with_free_func(g_free);
    gathered->value = job->question->gather(&job->paths, gathered->names, &gathered->error);
    return gathered;
}

/* --- answers -----------------------------------------------------------------------------------
 */

/* Takes `call` from the waiters. */
static Call *waiter_end(Waiter *waiter)
{
    Call *call = waiter->call;

    deadline_source_clear(&waiter->timer);
    (void)g_queue_remove(&waiter->inquiry->waiters, waiter);
    g_free(waiter);
    return call;
}

static void fail_late(const Inquiry *inquiry, Call *call)
{
    call_fail(call, PROTO_GENERIC_ERROR,
              "%s: the system has not answered for %.1f s; a disk or a driver may hang",
              call_command(call)->name,
              (double)(deadline_now() - inquiry->since_us) / USEC_PER_SEC);
}

static void answer_known(const Inquiry *inquiry, Call *call)
{
    if (inquiry->memory)
        call_return(call, json_incref(inquiry->memory));
    else
        fail_late(inquiry, call);
}

static gboolean waited_enough(gpointer user_data)
{
    Waiter *waiter = user_data;
    const Inquiry *inquiry = waiter->inquiry;

    answer_known(inquiry, waiter_end(waiter));
    return G_SOURCE_REMOVE;
}

/* All who wait get `value`, or else the error `problem`. */
static void answer_all(Inquiry *inquiry, json_t *value, const char *problem)
{
    GQueue waiters = inquiry->waiters;
    Waiter *waiter = NULL;

    /* An answer may bring the next request, which is for the next answer. */
    g_queue_init(&inquiry->waiters);
    while ((waiter = g_queue_pop_head(&waiters))) {
        Call *call = waiter_end(waiter);

        if (value)
            call_return(call, json_incref(value));
        else
            call_fail(call, PROTO_GENERIC_ERROR, "%s", problem);
    }
}

static bool is_worth_memory(const Question *question, const json_t *value)
{
    return question->disk || (question->remember && json_array_size(value) <= ASK_REMEMBER_MAX);
}

/* Steals `value`. */
static void answered(Inquiry *inquiry, json_t *value)
{
    g_clear_pointer(&inquiry->job, job_unref);
    json_decref(inquiry->memory);
    inquiry->memory = is_worth_memory(inquiry->question, value) ? json_incref(value) : NULL;
    answer_all(inquiry, value, "");
    json_decref(value);
}

static void probed(const void *const *answers, size_t count, gpointer user_data)
{
    Inquiry *inquiry = user_data;

    for (size_t i = 0; i < count; i++)
        if (answers[i])
            inquiry->question->add(json_array_get(inquiry->gathered, i), answers[i]);
    answered(inquiry, g_steal_pointer(&inquiry->gathered));
}

static void gathered(gpointer data, bool timed_out, gpointer user_data)
{
    Inquiry *inquiry = user_data;
    Gathered *result = data;

    inquiry->offload = NULL;
    if (!result) {
        if (!timed_out)
            g_clear_pointer(&inquiry->job, job_unref);
        answer_all(inquiry, NULL, "the system does not answer; a disk or a driver may hang");
        return;
    }
    if (!result->value) {
        g_clear_pointer(&inquiry->job, job_unref);
        answer_all(inquiry, NULL, result->error ? result->error->message : "not to be had");
    } else if (inquiry->probe && result->names->len == json_array_size(result->value)) {
        inquiry->gathered = g_steal_pointer(&result->value);
        probe_ask(inquiry->probe, (const char *const *)result->names->pdata, result->names->len,
                  deadline_in(ASK_PROBE_US), probed, inquiry);
    } else {
        answered(inquiry, g_steal_pointer(&result->value));
    }
    gathered_free(result);
}

/* --- questions ---------------------------------------------------------------------------------
 */

static void inquiry_free(gpointer data)
{
    Inquiry *inquiry = data;
    Waiter *waiter = NULL;

    offload_cancel(inquiry->offload);
    probe_free(inquiry->probe);
    while ((waiter = g_queue_peek_head(&inquiry->waiters)))
        call_fail(waiter_end(waiter), PROTO_GENERIC_ERROR, "the agent is being stopped");
    g_clear_pointer(&inquiry->job, job_unref);
    json_decref(inquiry->gathered);
    json_decref(inquiry->memory);
    g_free(inquiry);
}

static Inquiry *inquiry_of(Asker *asker, const Question *question)
{
    Inquiry *inquiry = g_hash_table_lookup(asker->inquiries, question);

    if (inquiry)
        return inquiry;
    inquiry = g_new0(Inquiry, 1);
    inquiry->asker = asker;
    inquiry->question = question;
    g_queue_init(&inquiry->waiters);
    if (question->probe)
        inquiry->probe = probe_new(question->name, question->probe, question->answer_size);
    g_hash_table_insert(asker->inquiries, (gpointer)question, inquiry);
    return inquiry;
}

/* A thread is at it, or hangs. */
static bool is_asking(Inquiry *inquiry)
{
    if (inquiry->job && !inquiry->offload && !inquiry->gathered &&
        __atomic_load_n(&inquiry->job->ended, __ATOMIC_SEQ_CST))
        g_clear_pointer(&inquiry->job, job_unref); /* given up, and back at last */
    return inquiry->job != NULL;
}

static bool start(Inquiry *inquiry, GError **error)
{
    Job *job = g_new0(Job, 1);

    *job = (Job){.question = inquiry->question, .paths = inquiry->asker->paths, .refs = 2};
    inquiry->since_us = deadline_now();
    inquiry->offload = offload_run(inquiry->question->name, gather, job, job_over, gathered_free,
                                   deadline_in(ASK_HANG_US), gathered, inquiry, error);
    if (!inquiry->offload) {
        job_unref(job);
        return false;
    }
    inquiry->job = job;
    return true;
}

void ask(Asker *asker, const Question *question, Call *call, bool frozen)
{
    Inquiry *inquiry = inquiry_of(asker, question);
    g_autoptr(GError) error = NULL;
    Waiter *waiter = NULL;
    int64_t late_us = 0;

    if (frozen && question->disk && inquiry->memory) {
        call_return(call, json_incref(inquiry->memory));
        return;
    }
    if (frozen && question->disk && !is_asking(inquiry)) {
        call_fail(call, PROTO_COMMAND_NOT_FOUND,
                  "Command %s has been disabled: the agent is in frozen state",
                  call_command(call)->name);
        return;
    }
    if (!is_asking(inquiry) && !start(inquiry, &error)) {
        if (inquiry->memory)
            call_return(call, json_incref(inquiry->memory));
        else
            call_fail(call, PROTO_GENERIC_ERROR, "%s", error->message);
        return;
    }
    late_us = (inquiry->memory ? ASK_FRESH_US : ASK_PATIENCE_US);
    if (inquiry->since_us + late_us <= deadline_now()) {
        answer_known(inquiry, call);
        return;
    }
    waiter = g_new0(Waiter, 1);
    waiter->inquiry = inquiry;
    waiter->call = call;
    waiter->timer =
        deadline_source_new((Deadline){inquiry->since_us + late_us}, waited_enough, waiter);
    g_queue_push_tail(&inquiry->waiters, waiter);
}

void ask_ahead(Asker *asker, const Question *question)
{
    Inquiry *inquiry = inquiry_of(asker, question);

    if (!is_asking(inquiry))
        (void)start(inquiry, NULL); /* the next one who asks gets the reason */
}

Asker *asker_new(const AskPaths *paths)
{
    Asker *asker = g_new0(Asker, 1);

    asker->paths = *paths;
    asker->inquiries = g_hash_table_new_full(NULL, NULL, NULL, inquiry_free);
    return asker;
}

void asker_free(Asker *asker)
{
    if (!asker)
        return;
    g_hash_table_unref(asker->inquiries);
    g_free(asker);
}
