/*
 * closer: see closer.h.
 *
 * The fds go to the thread through its socket. The caller's are closed then, which is not their
 * end; after that the thread closes its own.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/closer.h"

#include "sys/fdpass.h"
#include "sys/offload_internal.h"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static gint threads[CLOSER_FOREIGN + 1]; /* by kind; atomic */

/* --- in the thread -----------------------------------------------------------------------------
 */

/* By the number of the call: race detectors know one fd table for all threads. */
static bool take(int socket, GArray *fds)
{
    char byte = 0;
    struct iovec part = {&byte, 1};
    FdPassRoom room = {0};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &room, .msg_controllen = sizeof room};
    int taken[FDPASS_MAX];

    if (syscall(SYS_recvmsg, socket, &message, MSG_CMSG_CLOEXEC) <= 0)
        return false;
    g_array_append_vals(fds, taken, fdpass_take(&message, taken, FDPASS_MAX));
    return true;
}

static void close_all(OffloadThread *thread, int socket, int error_number, gpointer data)
{
    GArray *fds = g_array_new(FALSE, FALSE, sizeof(int));
    gint *count = data;

    (void)error_number; /* in the process's table it hangs as well, and better than the caller */
    while (take(socket, fds))
        ;
    /* The caller has closed its own by now, so these are the last. */
    for (unsigned i = 0; i < fds->len; i++)
        offload_close(g_array_index(fds, int, i));
    g_array_unref(fds);
    (void)g_atomic_int_dec_and_test(count);
    if (offload_thread_end(thread))
        (void)send(socket, "", 1, MSG_NOSIGNAL);
}

/* --- for the caller ----------------------------------------------------------------------------
 */

/* The thread has said so, or is gone. */
static gboolean ended(gint fd, GIOCondition condition, gpointer user_data)
{
    OffloadThread *thread = user_data;

    (void)fd;
    (void)condition;
    (void)offload_thread_leave(thread);
    offload_thread_unref(thread);
    return G_SOURCE_REMOVE;
}

static void send_all(OffloadThread *thread, const int *fds, unsigned count)
{
    unsigned sent = 0;

    while (sent < count) {
        unsigned part = MIN(count - sent, FDPASS_MAX);

        if (fdpass_send(offload_thread_fd(thread), "", 1, fds + sent, part, MSG_DONTWAIT) != 1)
            break;
        sent += part;
    }
}

static OffloadThread *thread_new(CloserKind kind)
{
    OffloadThread *thread = NULL;

    if (g_atomic_int_add(&threads[kind], 1) < CLOSER_THREADS_MAX)
        thread = offload_thread_start("close", close_all, &threads[kind], NULL, NULL);
    if (!thread)
        (void)g_atomic_int_dec_and_test(&threads[kind]);
    return thread;
}

void closer_close(CloserKind kind, int *fds)
{
    OffloadThread *thread = NULL;
    unsigned count = 0;

    while (fds && fds[count] >= 0)
        count++;
    thread = count > 0 ? thread_new(kind) : NULL;
    if (thread)
        send_all(thread, fds, count);
    for (unsigned i = 0; i < count; i++)
        (void)close(fds[i]);
    g_free(fds);
    if (thread) {
        (void)shutdown(offload_thread_fd(thread), SHUT_WR); /* it may close them now */
        g_source_unref(offload_thread_source(thread, ended, thread));
    }
}

void closer_close_one(CloserKind kind, int fd)
{
    int *fds = g_new(int, 2);

    fds[0] = fd;
    fds[1] = -1;
    closer_close(kind, fds);
}
