/*
 * foreign_fds: see foreign_fds.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/foreign_fds.h"

#include <gio/gunixfdlist.h>
#include <unistd.h>

static gint closers; /* atomic */

static gpointer close_all(gpointer data)
{
    int *fds = data;

    for (unsigned i = 0; fds[i] >= 0; i++)
        (void)close(fds[i]);
    g_free(fds);
    (void)g_atomic_int_dec_and_test(&closers);
    return NULL;
}

/* In the thread of the bus. The message may not be changed any more, its list of fds may. */
static GDBusMessage *without_fds(GDBusConnection *connection, GDBusMessage *message,
                                 gboolean incoming, gpointer user_data)
{
    GUnixFDList *list = g_dbus_message_get_unix_fd_list(message);
    GThread *thread = NULL;
    int *fds = NULL;

    (void)connection;
    (void)user_data;
    if (!incoming || !list ||
        g_dbus_message_get_message_type(message) == G_DBUS_MESSAGE_TYPE_METHOD_RETURN)
        return message;
    fds = g_unix_fd_list_steal_fds(list, NULL); /* ends with -1 */
    if (g_atomic_int_add(&closers, 1) < FOREIGN_FDS_CLOSERS_MAX)
        thread = g_thread_try_new("bus-close", close_all, fds, NULL);
    if (thread)
        g_thread_unref(thread);
    else
        (void)close_all(fds);
    return message;
}

void foreign_fds_drop(GDBusConnection *connection)
{
    (void)g_dbus_connection_add_filter(connection, without_fds, NULL, NULL);
}
