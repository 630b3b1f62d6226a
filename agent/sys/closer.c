/*
 * closer: see closer.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/closer.h"

#include <glib.h>
#include <unistd.h>

static gint threads; /* atomic */

static gpointer close_all(gpointer data)
{
    int *fds = data;

    for (unsigned i = 0; fds[i] >= 0; i++)
        (void)close(fds[i]);
    g_free(fds);
    (void)g_atomic_int_dec_and_test(&threads);
    return NULL;
}

void closer_close(int *fds)
{
    GThread *thread = NULL;

    if (!fds || fds[0] < 0) {
        g_free(fds);
        return;
    }
    if (g_atomic_int_add(&threads, 1) < CLOSER_THREADS_MAX)
        thread = g_thread_try_new("close", close_all, fds, NULL);
    if (thread)
        g_thread_unref(thread);
    else
        (void)close_all(fds);
}

void closer_close_one(int fd)
{
    int *fds = g_new(int, 2);

    fds[0] = fd;
    fds[1] = -1;
    closer_close(fds);
}
