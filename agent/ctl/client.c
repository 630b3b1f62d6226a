/*
 * client: see client.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "ctl/client.h"

#include "base/error.h"

#define NAME      "org.quiesced"
#define PATH      "/org/quiesced"
#define INTERFACE "org.quiesced.Manager1"
#define FAILED    "org.quiesced.Error.Failed"

struct Client {
    GDBusConnection *bus;
    ClientChanged changed;
    gpointer changed_data;
    guint signal_id, name_id;
};

typedef struct {
    GDBusConnection *bus;
    GError *error;
    bool done;
} Connecting;

static void connected(GObject *source, GAsyncResult *result, gpointer user_data)
{
    Connecting *connecting = user_data;

    (void)source;
    connecting->bus = g_bus_get_finish(result, &connecting->error);
    connecting->done = true;
}

static gboolean give_up(gpointer user_data)
{
    g_cancellable_cancel(user_data);
    return G_SOURCE_REMOVE;
}

/* g_bus_get_sync() has no deadline, and a bus that hangs answers nobody. */
static GDBusConnection *connect_to_bus(GError **error)
{
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    guint timer = g_timeout_add(CLIENT_CONNECT_MS, give_up, cancellable);
    Connecting connecting = {0};

    g_bus_get(G_BUS_TYPE_SYSTEM, cancellable, connected, &connecting);
    while (!connecting.done)
        g_main_context_iteration(NULL, TRUE);
    if (!g_cancellable_is_cancelled(cancellable))
        g_source_remove(timer);
    if (connecting.error) {
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_UNAVAILABLE,
                    "the system bus cannot be reached: %s; in an image that is being built, "
                    "\"quiescectl check --offline\" needs none",
                    connecting.error->message);
        g_clear_error(&connecting.error);
    }
    return connecting.bus;
}

Client *client_new(GError **error)
{
    GDBusConnection *bus = connect_to_bus(error);
    Client *client = NULL;

    if (!bus)
        return NULL;
    g_dbus_connection_set_exit_on_close(bus, FALSE);
    client = g_new0(Client, 1);
    client->bus = bus;
    return client;
}

void client_free(Client *client)
{
    if (!client)
        return;
    if (client->signal_id)
        g_dbus_connection_signal_unsubscribe(client->bus, client->signal_id);
    if (client->name_id)
        g_bus_unwatch_name(client->name_id);
    g_object_unref(client->bus);
    g_free(client);
}

/* What GDBus puts in front of a remote error's text is of no use to people. */
static void explain(GError *remote, GError **error)
{
    g_autofree char *name = g_dbus_error_get_remote_error(remote);

    (void)g_dbus_error_strip_remote_error(remote);
    if (g_error_matches(remote, G_DBUS_ERROR, G_DBUS_ERROR_SERVICE_UNKNOWN) ||
        g_error_matches(remote, G_DBUS_ERROR, G_DBUS_ERROR_NAME_HAS_NO_OWNER))
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_UNAVAILABLE,
                    "the service does not run; start it with: systemctl start quiesced.service");
    else if (g_error_matches(remote, G_IO_ERROR, G_IO_ERROR_TIMED_OUT) ||
             g_error_matches(remote, G_DBUS_ERROR, G_DBUS_ERROR_NO_REPLY))
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_UNAVAILABLE,
                    "the service does not answer; see: systemctl status quiesced.service");
    else if (g_strcmp0(name, FAILED) == 0)
        g_set_error_literal(error, AGENT_ERROR, AGENT_ERROR_FAILED, remote->message);
    else
        g_propagate_error(error, g_error_copy(remote));
}

char *client_call(Client *client, const char *method, GVariant *parameters, int timeout_ms,
                  bool start, GError **error)
{
    GDBusCallFlags flags = start ? G_DBUS_CALL_FLAGS_NONE : G_DBUS_CALL_FLAGS_NO_AUTO_START;
    g_autoptr(GError) remote = NULL;
    g_autoptr(GVariant) answer =
        g_dbus_connection_call_sync(client->bus, NAME, PATH, INTERFACE, method, parameters,
                                    G_VARIANT_TYPE("(s)"), flags, timeout_ms, NULL, &remote);
    char *text = NULL;

    if (!answer) {
        explain(remote, error);
        return NULL;
    }
    g_variant_get(answer, "(s)", &text);
    return text;
}

json_t *client_call_json(Client *client, const char *method, GVariant *parameters, int timeout_ms,
                         bool start, GError **error)
{
    g_autofree char *text = client_call(client, method, parameters, timeout_ms, start, error);
    json_error_t problem;
    json_t *value = text ? json_loads(text, JSON_REJECT_DUPLICATES, &problem) : NULL;

    if (text && !value)
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_FAILED,
                    "%s was answered with what is no JSON: %s; are service and quiescectl of the "
                    "same version?",
                    method, problem.text);
    return value;
}

static void state_changed(GDBusConnection *bus, const char *sender, const char *path,
                          const char *interface, const char *signal, GVariant *parameters,
                          gpointer user_data)
{
    Client *client = user_data;
    const char *state = NULL, *operation = NULL, *level = NULL;

    (void)bus;
    (void)sender;
    (void)path;
    (void)interface;
    (void)signal;
    if (!g_variant_is_of_type(parameters, G_VARIANT_TYPE("(sss)")))
        return;
    g_variant_get(parameters, "(&s&s&s)", &state, &operation, &level);
    client->changed(state, operation, level, client->changed_data);
}

static void name_vanished(GDBusConnection *bus, const char *name, gpointer user_data)
{
    Client *client = user_data;

    (void)bus;
    (void)name;
    client->changed(NULL, "", "", client->changed_data);
}

void client_watch(Client *client, ClientChanged changed, gpointer user_data)
{
    client->changed = changed;
    client->changed_data = user_data;
    client->signal_id =
        g_dbus_connection_signal_subscribe(client->bus, NAME, INTERFACE, "StateChanged", PATH, NULL,
                                           G_DBUS_SIGNAL_FLAGS_NONE, state_changed, client, NULL);
    client->name_id = g_bus_watch_name_on_connection(
        client->bus, NAME, G_BUS_NAME_WATCHER_FLAGS_NONE, NULL, name_vanished, client, NULL);
}

GDBusConnection *client_connection(Client *client)
{
    return client->bus;
}

bool client_is_denied(const GError *error)
{
    return g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_ACCESS_DENIED) ||
           g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_AUTH_FAILED);
}

bool client_is_unreachable(const GError *error)
{
    return g_error_matches(error, AGENT_ERROR, AGENT_ERROR_UNAVAILABLE) ||
           g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CLOSED) ||
           g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_DISCONNECTED);
}
