/*
 * logind: see logind.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/logind.h"

#include "sys/foreign_fds.h"

#include <gio/gio.h>
#include <gio/gunixfdlist.h>
#include <unistd.h>

#define BUS_NAME  "org.freedesktop.login1"
#define PATH      "/org/freedesktop/login1"
#define INTERFACE "org.freedesktop.login1.Manager"

struct Logind {
    LogindGoing going;
    gpointer user_data;
    GCancellable *cancel; /* of calls under way: they must not come back to freed memory */
    GDBusConnection *bus;
    guint sleep_signal, shutdown_signal;
    bool wanted;   /* between hold and release */
    bool calling;  /* connecting or asking */
    int inhibitor; /* -1: none */
};

static void proceed(Logind *logind);

static void close_inhibitor(Logind *logind)
{
    if (logind->inhibitor >= 0)
        (void)close(logind->inhibitor);
    logind->inhibitor = -1;
}

static void on_signal(GDBusConnection *bus, const char *sender, const char *path,
                      const char *interface, const char *name, GVariant *parameters,
                      gpointer user_data)
{
    Logind *logind = user_data;
    gboolean begins = FALSE;

    (void)bus;
    (void)sender;
    (void)path;
    (void)interface;
    if (!g_variant_is_of_type(parameters, G_VARIANT_TYPE("(b)")))
        return;
    g_variant_get(parameters, "(b)", &begins);
    if (begins && logind->wanted)
        logind->going(g_str_equal(name, "PrepareForSleep"), logind->user_data);
}

static guint subscribe(Logind *logind, const char *name)
{
    return g_dbus_connection_signal_subscribe(logind->bus, BUS_NAME, INTERFACE, name, PATH, NULL,
                                              G_DBUS_SIGNAL_FLAGS_NONE, on_signal, logind, NULL);
}

static void disconnect(Logind *logind)
{
    if (!logind->bus)
        return;
    g_dbus_connection_signal_unsubscribe(logind->bus, logind->sleep_signal);
    g_dbus_connection_signal_unsubscribe(logind->bus, logind->shutdown_signal);
    g_clear_object(&logind->bus);
}

static void on_bus(GObject *source, GAsyncResult *result, gpointer user_data)
{
    Logind *logind = user_data;
    g_autoptr(GError) error = NULL;
    GDBusConnection *bus = g_dbus_connection_new_for_address_finish(result, &error);

    (void)source;
    if (!bus && g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
        return; /* `logind` is gone */
    logind->calling = false;
    if (!bus)
        return; /* tried again at the next hold */
    g_dbus_connection_set_exit_on_close(bus, FALSE);
    foreign_fds_drop(bus);
    logind->bus = bus;
    logind->sleep_signal = subscribe(logind, "PrepareForSleep");
    logind->shutdown_signal = subscribe(logind, "PrepareForShutdown");
    proceed(logind);
}

/* A connection of its own: the one that a process shares may be a dead one that somebody keeps. */
static void connect_to_bus(Logind *logind)
{
    g_autofree char *address = g_dbus_address_get_for_bus_sync(G_BUS_TYPE_SYSTEM, NULL, NULL);

    if (!address) {
        logind->calling = false;
        return;
    }
    g_dbus_connection_new_for_address(address,
                                      G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
                                          G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
                                      NULL, logind->cancel, on_bus, logind);
}

static void take_inhibitor(Logind *logind, GVariant *reply, GUnixFDList *fds)
{
    gint32 index = -1;

    if (!g_variant_is_of_type(reply, G_VARIANT_TYPE("(h)")))
        return;
    g_variant_get(reply, "(h)", &index);
    if (!fds || index < 0 || index >= g_unix_fd_list_get_length(fds))
        return;
    logind->inhibitor = g_unix_fd_list_get(fds, index, NULL);
    if (!logind->wanted) /* released while it was asked for */
        close_inhibitor(logind);
}

static void on_inhibited(GObject *source, GAsyncResult *result, gpointer user_data)
{
    Logind *logind = user_data;
    g_autoptr(GError) error = NULL;
    g_autoptr(GUnixFDList) fds = NULL;
    g_autoptr(GVariant) reply = g_dbus_connection_call_with_unix_fd_list_finish(
        G_DBUS_CONNECTION(source), &fds, result, &error);

    if (!reply && g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
        return;
    logind->calling = false;
    if (reply)
        take_inhibitor(logind, reply, fds);
}

/* The next step towards the inhibitor, if it is wanted and none is under way. */
static void proceed(Logind *logind)
{
    if (!logind->wanted || logind->calling || logind->inhibitor >= 0)
        return;
    if (logind->bus && g_dbus_connection_is_closed(logind->bus))
        disconnect(logind);
    logind->calling = true;
    if (!logind->bus) {
        connect_to_bus(logind);
        return;
    }
    g_dbus_connection_call_with_unix_fd_list(
        logind->bus, BUS_NAME, PATH, INTERFACE, "Inhibit",
        g_variant_new("(ssss)", "sleep:shutdown", "quiesced",
                      "filesystems are frozen for a snapshot", "delay"),
        G_VARIANT_TYPE("(h)"), G_DBUS_CALL_FLAGS_NO_AUTO_START, LOGIND_CALL_MS, NULL,
        logind->cancel, on_inhibited, logind);
}

void logind_hold(Logind *logind)
{
    logind->wanted = true;
    proceed(logind);
}

void logind_release(Logind *logind)
{
    logind->wanted = false;
    close_inhibitor(logind);
}

bool logind_inhibits(const Logind *logind)
{
    return logind->inhibitor >= 0;
}

Logind *logind_new(LogindGoing going, gpointer user_data)
{
    Logind *logind = g_new0(Logind, 1);

    logind->going = going;
    logind->user_data = user_data;
    logind->inhibitor = -1;
    logind->cancel = g_cancellable_new();
    return logind;
}

void logind_free(Logind *logind)
{
    if (!logind)
        return;
    g_cancellable_cancel(logind->cancel);
    disconnect(logind);
    close_inhibitor(logind);
    g_object_unref(logind->cancel);
    g_free(logind);
}
