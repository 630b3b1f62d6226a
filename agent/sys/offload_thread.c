/*
 * offload_thread: a thread that can be given up; see offload_internal.h.
 *
 * The thread's end of the pair stays open in the agent's table until the thread has copied it into
 * its own: who comes second closes it (`copied`, `left`, under the lock). In its own table the
 * thread closes nothing: its end does that.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/offload_internal.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

struct OffloadThread {
    pthread_mutex_t lock;
    unsigned refs;
    int main_fd, thread_fd;
    bool copied, left, ended;
    char name[16];
    OffloadThreadBody body;
    gpointer data;
    GDestroyNotify data_free;
};

/* The one thing all threads of the process share: how many were given up. Atomic. */
static unsigned abandoned;

unsigned offload_abandoned(void)
{
    return __atomic_load_n(&abandoned, __ATOMIC_SEQ_CST);
}

int offload_thread_fd(const OffloadThread *thread)
{
    return thread->main_fd;
}

GSource *offload_thread_source(const OffloadThread *thread, GUnixFDSourceFunc arrived,
                               gpointer user_data)
{
    GSource *source = g_unix_fd_source_new(thread->main_fd, G_IO_IN | G_IO_HUP | G_IO_ERR);

    g_source_set_name(source, thread->name);
    g_source_set_callback(source, G_SOURCE_FUNC(arrived), user_data, NULL);
    g_source_attach(source, NULL);
    return source;
}

void offload_thread_unref(OffloadThread *thread)
{
    bool last = false;

    (void)pthread_mutex_lock(&thread->lock);
    last = --thread->refs == 0;
    (void)pthread_mutex_unlock(&thread->lock);
    if (!last)
        return;
    if (thread->data_free)
        thread->data_free(thread->data);
    (void)pthread_mutex_destroy(&thread->lock);
    g_free(thread);
}

bool offload_thread_end(OffloadThread *thread)
{
    bool left = false;

    (void)pthread_mutex_lock(&thread->lock);
    thread->ended = true;
    left = thread->left;
    (void)pthread_mutex_unlock(&thread->lock);
    if (left)
        __atomic_fetch_sub(&abandoned, 1, __ATOMIC_SEQ_CST);
    return !left;
}

void offload_close(int fd)
{
    (void)close_range((unsigned)fd, (unsigned)fd, 0);
}

bool offload_thread_leave(OffloadThread *thread)
{
    bool ended = false;

    (void)pthread_mutex_lock(&thread->lock);
    thread->left = true;
    ended = thread->ended;
    if (thread->copied)
        offload_close(thread->thread_fd);
    if (!ended)
        __atomic_fetch_add(&abandoned, 1, __ATOMIC_SEQ_CST);
    (void)pthread_mutex_unlock(&thread->lock);
    offload_close(thread->main_fd);
    return ended;
}

static void close_others(int fd)
{
    /* stderr stays: what a library writes there must not go into a file opened as fd 2. */
    int low = MIN(fd, STDERR_FILENO), high = MAX(fd, STDERR_FILENO);

    if (low > 0)
        (void)close_range(0, (unsigned)low - 1, 0);
    if (high > low + 1)
        (void)close_range((unsigned)low + 1, (unsigned)high - 1, 0);
    (void)close_range((unsigned)high + 1, ~0u, 0);
}

/* An fd table of the thread's own, or why not. */
static int detach_table(OffloadThread *thread, int *ret_fd)
{
    int error_number = 0;

    (void)pthread_mutex_lock(&thread->lock);
    *ret_fd = thread->thread_fd;
    if (thread->left)
        error_number = ECANCELED;
    else if (unshare(CLONE_FILES) < 0)
        error_number = errno;
    else
        thread->copied = true;
    (void)pthread_mutex_unlock(&thread->lock);
    if (error_number == 0)
        close_others(*ret_fd);
    return error_number;
}

static void *thread_main(void *argument)
{
    OffloadThread *thread = argument;
    int fd = -1, error_number = 0;

    (void)pthread_setname_np(pthread_self(), thread->name);
    error_number = detach_table(thread, &fd);
    thread->body(thread, error_number == ECANCELED ? -1 : fd, error_number, thread->data);
    if (error_number)
        offload_close(fd); /* in the agent's table, where nobody else does */
    offload_thread_unref(thread);
    return NULL;
}

static int start(OffloadThread *thread)
{
    pthread_attr_t attributes;
    pthread_t id;
    sigset_t all;
    int error_number = pthread_attr_init(&attributes);

    if (error_number)
        return error_number;
    (void)sigfillset(&all);
    (void)pthread_attr_setstacksize(&attributes, OFFLOAD_STACK_SIZE);
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    /* Signals are the main loop's. */
    (void)pthread_attr_setsigmask_np(&attributes, &all);
    error_number = pthread_create(&id, &attributes, thread_main, thread);
    (void)pthread_attr_destroy(&attributes);
    return error_number;
}

OffloadThread *offload_thread_start(const char *name, OffloadThreadBody body, gpointer data,
                                    GDestroyNotify data_free, GError **error)
{
    OffloadThread *thread = g_new0(OffloadThread, 1);
    int pair[2] = {-1, -1};
    int error_number = 0;

    *thread = (OffloadThread){.refs = 1, .body = body, .data = data, .data_free = data_free};
    g_strlcpy(thread->name, name, sizeof(thread->name));
    (void)pthread_mutex_init(&thread->lock, NULL);
    if (offload_abandoned() >= OFFLOAD_ABANDONED_MAX) {
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_LIMIT,
                    "%s: %u threads already hang in the kernel; is a disk or a server gone?", name,
                    offload_abandoned());
        offload_thread_unref(thread);
        return NULL;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        agent_error_errno(error, AGENT_ERROR_FAILED, errno, "%s: no socket pair", name);
        offload_thread_unref(thread);
        return NULL;
    }
    thread->main_fd = pair[0];
    thread->thread_fd = pair[1];
    thread->refs = 2;
    error_number = start(thread);
    if (error_number) {
        agent_error_errno(error, AGENT_ERROR_FAILED, error_number, "%s: no thread", name);
        (void)close(pair[0]);
        (void)close(pair[1]);
        thread->refs = 1;
        offload_thread_unref(thread);
        return NULL;
    }
    return thread;
}
