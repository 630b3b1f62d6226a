/*
 * offload: see offload.h. offload_thread.c has the thread, offload_open.c the opens.
 *
 * The result passes through the task, which the thread object owns; one byte on the thread's socket
 * wakes the main loop (its own wake-up fd is not in the thread's table). Whoever finds that the
 * other is gone frees the result.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/offload_internal.h"

#include <sys/socket.h>

typedef struct {
    OffloadFunc func;
    gpointer input, result;
    GDestroyNotify input_free, result_free;
} Task;

struct Offload {
    OffloadThread *thread;
    Task *task;
    GSource *arrival, *timer;
    OffloadDone done;
    gpointer user_data;
};

static void task_free(gpointer data)
{
    Task *task = data;

    if (task->input && task->input_free)
        task->input_free(task->input);
    g_free(task);
}

static void task_run(OffloadThread *thread, int fd, int error_number, gpointer data)
{
    Task *task = data;
    gpointer input = NULL;

    if (error_number == 0)
        task->result = task->func(task->input);
    input = g_steal_pointer(&task->input);
    if (input && task->input_free)
        task->input_free(input);
    if (offload_thread_end(thread))
        (void)send(fd, "", 1, MSG_NOSIGNAL);
    else if (task->result && task->result_free)
        task->result_free(task->result);
}

/* Ends the main loop's half; the result if there is one. */
static gpointer offload_end(Offload *offload, bool *ret_ended)
{
    gpointer result = NULL;

    deadline_source_clear(&offload->arrival);
    deadline_source_clear(&offload->timer);
    *ret_ended = offload_thread_leave(offload->thread);
    if (*ret_ended)
        result = g_steal_pointer(&offload->task->result);
    return result;
}

static void offload_finish(Offload *offload)
{
    OffloadDone done = offload->done;
    gpointer user_data = offload->user_data;
    bool ended = false;
    gpointer result = offload_end(offload, &ended);

    offload_thread_unref(offload->thread);
    g_free(offload);
    done(result, !ended, user_data);
}

static gboolean on_arrival(gint fd, GIOCondition condition, gpointer user_data)
{
    (void)fd;
    (void)condition;
    offload_finish(user_data);
    return G_SOURCE_REMOVE;
}

static gboolean on_deadline(gpointer user_data)
{
    offload_finish(user_data);
    return G_SOURCE_REMOVE;
}

Offload *offload_run(const char *name, OffloadFunc func, gpointer input, GDestroyNotify input_free,
                     GDestroyNotify result_free, Deadline deadline, OffloadDone done,
                     gpointer user_data, GError **error)
{
    Offload *offload = g_new0(Offload, 1);
    Task *task = g_new0(Task, 1);

    *task =
        (Task){.func = func, .input = input, .input_free = input_free, .result_free = result_free};
    *offload = (Offload){.task = task, .done = done, .user_data = user_data};
    offload->thread = offload_thread_start(name, task_run, task, task_free, error);
    if (!offload->thread) {
        g_free(offload);
        return NULL;
    }
    offload->arrival = offload_thread_source(offload->thread, on_arrival, offload);
    offload->timer = deadline_source_new(deadline, on_deadline, offload);
    return offload;
}

gpointer offload_user_data(const Offload *offload)
{
    return offload->user_data;
}

void offload_cancel(Offload *offload)
{
    gpointer result = NULL;
    bool ended = false;

    if (!offload)
        return;
    result = offload_end(offload, &ended);
    if (result && offload->task->result_free)
        offload->task->result_free(result);
    offload_thread_unref(offload->thread);
    g_free(offload);
}
