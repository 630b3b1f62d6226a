/*
 * strand: see strand.h.
 *
 * A byte on the thread's socket says that there is a call, one back that it is over; the call
 * itself passes through Shared, under its lock.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/strand.h"

#include "sys/offload_internal.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>

typedef struct {
    pthread_mutex_t lock;
    StrandCall call; /* func NULL: none */
    gpointer result;
    GDestroyNotify result_free;
    bool late; /* nobody waits for the result */
} Shared;

struct Strand {
    OffloadThread *thread;
    Shared *shared; /* the thread object's */
    GSource *arrival, *timer;
    StrandDone done; /* NULL: nobody waits */
    gpointer user_data;
    bool busy;
    bool dead; /* the thread could not begin, or has ended */
};

/* --- in the thread ------------------------------------------------------------------------------
 */

static void shared_free(gpointer data)
{
    Shared *shared = data;

    if (shared->call.func && shared->call.input_free)
        shared->call.input_free(shared->call.input);
    if (shared->result && shared->result_free)
        shared->result_free(shared->result);
    (void)pthread_mutex_destroy(&shared->lock);
    g_free(shared);
}

static StrandCall take_call(Shared *shared)
{
    StrandCall call;

    (void)pthread_mutex_lock(&shared->lock);
    call = shared->call;
    shared->call = (StrandCall){0};
    (void)pthread_mutex_unlock(&shared->lock);
    return call;
}

static void give_result(Shared *shared, const StrandCall *call, gpointer result)
{
    bool late = false;

    (void)pthread_mutex_lock(&shared->lock);
    late = shared->late;
    if (!late) {
        shared->result = result;
        shared->result_free = call->result_free;
    }
    (void)pthread_mutex_unlock(&shared->lock);
    if (late && result && call->result_free)
        call->result_free(result);
}

static void body(OffloadThread *thread, int socket, int error_number, gpointer data)
{
    Shared *shared = data;
    StrandCall call = {0};
    int fd = -1;
    char byte = 0;
    ssize_t count = 0;

    while (!call.last) {
        gpointer result = NULL;

        do {
            count = error_number ? 0 : recv(socket, &byte, 1, 0);
        } while (count < 0 && errno == EINTR);
        if (count <= 0)
            break;
        call = take_call(shared);
        result = call.func(&fd, call.input);
        if (call.input_free)
            call.input_free(call.input);
        give_result(shared, &call, result);
        if (!call.last)
            (void)send(socket, &byte, 1, MSG_NOSIGNAL);
    }
    if (fd >= 0)
        offload_close(fd);
    if (offload_thread_end(thread))
        (void)send(socket, "", 1, MSG_NOSIGNAL);
}

/* --- on the main loop ---------------------------------------------------------------------------
 */

static gboolean on_arrival(gint fd, GIOCondition condition, gpointer user_data)
{
    Strand *strand = user_data;
    StrandDone done = g_steal_pointer(&strand->done);
    gpointer result = NULL;
    char byte = 0;

    if (recv(fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN)
        return G_SOURCE_CONTINUE;
    /* Its end would be told again and again. */
    if (condition & (G_IO_HUP | G_IO_ERR)) {
        strand->dead = true;
        deadline_source_clear(&strand->arrival);
    }
    deadline_source_clear(&strand->timer);
    (void)pthread_mutex_lock(&strand->shared->lock);
    result = g_steal_pointer(&strand->shared->result);
    (void)pthread_mutex_unlock(&strand->shared->lock);
    strand->busy = false;
    if (done)
        done(result, false, strand->user_data);
    else if (result && strand->shared->result_free)
        strand->shared->result_free(result);
    return G_SOURCE_CONTINUE;
}

static gboolean on_deadline(gpointer user_data)
{
    Strand *strand = user_data;
    StrandDone done = NULL;
    bool there = false;

    deadline_source_clear(&strand->timer);
    (void)pthread_mutex_lock(&strand->shared->lock);
    there = strand->shared->result != NULL;
    strand->shared->late = !there;
    (void)pthread_mutex_unlock(&strand->shared->lock);
    /* On its way: the arrival follows at once. */
    if (there)
        return G_SOURCE_REMOVE;
    done = g_steal_pointer(&strand->done);
    strand->busy = !strand->dead;
    if (done)
        done(NULL, !strand->dead, strand->user_data);
    return G_SOURCE_REMOVE;
}

Strand *strand_new(const char *name, GError **error)
{
    Strand *strand = g_new0(Strand, 1);

    strand->shared = g_new0(Shared, 1);
    (void)pthread_mutex_init(&strand->shared->lock, NULL);
    strand->thread = offload_thread_start(name, body, strand->shared, shared_free, error);
    if (!strand->thread) {
        g_free(strand);
        return NULL;
    }
    strand->arrival = offload_thread_source(strand->thread, on_arrival, strand);
    return strand;
}

void strand_free(Strand *strand)
{
    if (!strand)
        return;
    deadline_source_clear(&strand->arrival);
    deadline_source_clear(&strand->timer);
    (void)offload_thread_leave(strand->thread);
    offload_thread_unref(strand->thread);
    g_free(strand);
}

void strand_run(Strand *strand, const StrandCall *call, Deadline deadline, StrandDone done,
                gpointer user_data)
{
    strand->busy = true;
    strand->done = done;
    strand->user_data = user_data;
    strand->timer =
        deadline_source_new(strand->dead ? deadline_in(0) : deadline, on_deadline, strand);
    (void)pthread_mutex_lock(&strand->shared->lock);
    strand->shared->call = *call;
    strand->shared->late = false;
    (void)pthread_mutex_unlock(&strand->shared->lock);
    /* A thread that cannot begin closes its end, which is told as an arrival. */
    (void)send(offload_thread_fd(strand->thread), "", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

bool strand_is_busy(const Strand *strand)
{
    return strand->busy;
}
