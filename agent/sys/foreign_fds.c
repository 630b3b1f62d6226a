/*
 * foreign_fds: see foreign_fds.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/foreign_fds.h"

#include "sys/closer.h"

#include <gio/gunixfdlist.h>

/* In the thread of the bus. The message may not be changed any more, its list of fds may. */
static GDBusMessage *without_fds(GDBusConnection *connection, GDBusMessage *message,
                                 gboolean incoming, gpointer user_data)
{
    GUnixFDList *list = g_dbus_message_get_unix_fd_list(message);

    (void)connection;
    (void)user_data;
    if (!incoming || !list ||
        g_dbus_message_get_message_type(message) == G_DBUS_MESSAGE_TYPE_METHOD_RETURN)
        return message;
    closer_close(CLOSER_FOREIGN, g_unix_fd_list_steal_fds(list, NULL));
    return message;
}

void foreign_fds_drop(GDBusConnection *connection)
{
    (void)g_dbus_connection_add_filter(connection, without_fds, NULL, NULL);
}
