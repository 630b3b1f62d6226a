/*
 * bus: see bus.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bus/bus.h"

#include "bus/manager.h"
#include "bus/registrar.h"
#include "sys/foreign_fds.h"
#include "sys/port_watch.h"

#include <gio/gio.h>
#include <string.h>

struct Bus {
    Log *log;
    Authority *authority;
    Registrar *registrar;
    Manager *manager;
    char *address, *socket; /* NULL: not a plain socket, cannot be watched */
    GDBusConnection *connection;
    gulong closed_handler;
    guint name;
    GCancellable *connecting; /* NULL: no attempt is under way */
    GSource *timer;           /* its deadline, or the next try */
    PortWatch *watch;
    unsigned tries;
    bool told; /* that there is no bus; once until there was one */
};

static void connect_now(Bus *self);
static void try_later(Bus *self);

static gboolean try_again(gpointer user_data)
{
    Bus *self = user_data;

    deadline_source_clear(&self->timer);
    connect_now(self);
    return G_SOURCE_REMOVE;
}

/* Whoever makes a socket listens on it a moment later: that takes tries too. */
static void socket_changed(gpointer user_data)
{
    Bus *self = user_data;

    g_clear_pointer(&self->watch, port_watch_free);
    if (self->connection)
        return;
    self->tries = 0;
    if (!self->connecting)
        try_later(self);
}

static void try_later(Bus *self)
{
    deadline_source_clear(&self->timer);
    if (self->tries < BUS_RETRY_MAX)
        self->timer =
            deadline_source_new(deadline_in(BUS_RETRY_US << self->tries++), try_again, self);
}

/* --- connected ---------------------------------------------------------------------------------
 */

static void disconnect(Bus *self)
{
    if (!self->connection)
        return;
    g_signal_handler_disconnect(self->connection, self->closed_handler);
    if (self->name != 0)
        g_bus_unown_name(self->name);
    self->name = 0;
    g_clear_object(&self->connection);
}

static void on_closed(GDBusConnection *connection, gboolean vanished, GError *error,
                      gpointer user_data)
{
    Bus *self = user_data;

    (void)connection;
    (void)vanished;
    log_warning(self->log, "The system bus went (%s); connecting again",
                error ? error->message : "closed");
    disconnect(self);
    manager_bus_gone(self->manager);
    registrar_bus_gone(self->registrar);
    self->told = true;
    self->tries = 0;
    try_later(self);
}

static void on_name_acquired(GDBusConnection *connection, const char *name, gpointer user_data)
{
    Bus *self = user_data;

    (void)connection;
    log_info(self->log, "On the system bus as %s", name);
}

static void on_name_lost(GDBusConnection *connection, const char *name, gpointer user_data)
{
    Bus *self = user_data;

    if (connection && !g_dbus_connection_is_closed(connection))
        log_warning(self->log,
                    "The system bus does not give us the name %s: another process has it, or the "
                    "policy file org.quiesced.conf is missing in dbus-1/system.d",
                    name);
}

static void serve(Bus *self, GDBusConnection *connection)
{
    g_autoptr(GError) error = NULL;

    self->connection = connection;
    self->tries = 0;
    self->told = false;
    g_clear_pointer(&self->watch, port_watch_free);
    foreign_fds_drop(connection);
    self->closed_handler = g_signal_connect(connection, "closed", G_CALLBACK(on_closed), self);
    if (!manager_export(self->manager, connection, &error))
        log_error(self->log, "D-Bus: %s", error->message);
    self->name = g_bus_own_name_on_connection(connection, BUS_NAME, G_BUS_NAME_OWNER_FLAGS_NONE,
                                              on_name_acquired, on_name_lost, self, NULL);
}

/* --- connecting --------------------------------------------------------------------------------
 */

static void on_connected(GObject *source, GAsyncResult *result, gpointer user_data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GCancellable) attempt = NULL;
    GDBusConnection *connection = g_dbus_connection_new_for_address_finish(result, &error);
    Bus *self = user_data;

    (void)source;
    if (!connection && g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
        return; /* given up, or the bus is freed */
    attempt = g_steal_pointer(&self->connecting);
    deadline_source_clear(&self->timer);
    if (connection) {
        serve(self, connection);
        return;
    }
    if (!self->told)
        log_info(self->log,
                 "No system bus (%s): no participants on D-Bus, no quiescectl until "
                 "there is one",
                 error->message);
    self->told = true;
    /* Where no socket is, it is watched for. */
    if (!self->watch || !g_error_matches(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
        try_later(self);
}

static gboolean connect_timed_out(gpointer user_data)
{
    Bus *self = user_data;

    deadline_source_clear(&self->timer);
    g_cancellable_cancel(self->connecting);
    g_clear_object(&self->connecting);
    try_later(self);
    return G_SOURCE_REMOVE;
}

static void connect_now(Bus *self)
{
    if (self->connection || self->connecting)
        return;
    /* Before the try: what changes meanwhile is not missed. */
    if (!self->watch && self->socket)
        self->watch = port_watch_new(self->socket, socket_changed, self, NULL);
    self->connecting = g_cancellable_new();
    self->timer = deadline_source_new(deadline_in(BUS_CONNECT_US), connect_timed_out, self);
    g_dbus_connection_new_for_address(self->address,
                                      G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
                                          G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
                                      NULL, self->connecting, on_connected, self);
}

/* --- life --------------------------------------------------------------------------------------
 */

Bus *bus_new(Log *log, Coordinator *coordinator, const Config *config)
{
    Bus *self = g_new0(Bus, 1);
    ManagerSpec spec = {.log = log, .coordinator = coordinator, .config = config};
    ParticipantSource source = {registrar_join, NULL};

    self->log = log;
    self->address = g_dbus_address_get_for_bus_sync(G_BUS_TYPE_SYSTEM, NULL, NULL);
    if (self->address && g_str_has_prefix(self->address, "unix:path=") &&
        !strpbrk(self->address, ",;%"))
        self->socket = g_strdup(self->address + strlen("unix:path="));
    self->authority = authority_new();
    self->registrar = registrar_new(log, self->authority);
    spec.authority = self->authority;
    spec.registrar = self->registrar;
    self->manager = manager_new(&spec);
    source.user_data = self->registrar;
    coordinator_set_source(coordinator, &source);
    return self;
}

void bus_start(Bus *self)
{
    if (self->address)
        connect_now(self);
}

void bus_set_config(Bus *self, const Config *config)
{
    manager_set_config(self->manager, config);
}

void bus_changed(Bus *self)
{
    manager_changed(self->manager);
}

bool bus_connected(const Bus *self)
{
    return self->connection != NULL;
}

void bus_free(Bus *self)
{
    if (!self)
        return;
    deadline_source_clear(&self->timer);
    if (self->connecting)
        g_cancellable_cancel(self->connecting);
    g_clear_object(&self->connecting);
    g_clear_pointer(&self->watch, port_watch_free);
    manager_free(self->manager);
    registrar_free(self->registrar);
    authority_free(self->authority);
    disconnect(self);
    g_free(self->address);
    g_free(self->socket);
    g_free(self);
}
