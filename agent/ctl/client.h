/*
 * client: calls to the service on the system bus, each with a deadline.
 *
 * The bus is the one of DBUS_SYSTEM_BUS_ADDRESS, or the installed one. Nothing is started by a call
 * unless it asks for it: to look at a machine must not change it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gio/gio.h>
#include <jansson.h>
#include <stdbool.h>

#define CLIENT_CONNECT_MS 5000
#define CLIENT_ASK_MS     10000 /* the service answers at once, a plan within seconds */

typedef struct Client Client;

Client *client_new(GError **error);
void client_free(Client *client);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Client, client_free)

/* The one string that `method` of org.quiesced.Manager1 answers. `parameters` is sunk; NULL: none.
 * `start`: the service may be started for it. */
char *client_call(Client *client, const char *method, GVariant *parameters, int timeout_ms,
                  bool start, GError **error);
/* The same, parsed. */
json_t *client_call_json(Client *client, const char *method, GVariant *parameters, int timeout_ms,
                         bool start, GError **error);

/* Told of every StateChanged, and with NULL when the service left the bus. */
typedef void (*ClientChanged)(const char *state, const char *operation, const char *level,
                              gpointer user_data);
void client_watch(Client *client, ClientChanged changed, gpointer user_data);
GDBusConnection *client_connection(Client *client);

/* What kind of failure it was, whatever its text. */
bool client_is_denied(const GError *error);
bool client_is_unreachable(const GError *error);
