/*
 * authority: see authority.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bus/authority.h"

#define POLKIT_NAME          "org.freedesktop.PolicyKit1"
#define POLKIT_PATH          "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_INTERFACE     "org.freedesktop.PolicyKit1.Authority"
#define POLKIT_FLAG_DIALOG   1u
#define UID_NOBODY_CAN_BE_IT ((uid_t)-1)

typedef struct {
    GCancellable *cancel;
    char *sender, *action;
    bool interactive;
    uid_t uid;
    AuthorityDone done;
    gpointer user_data;
} Ask;

static void end_ask(Ask *ask, const GError *error)
{
    ask->done(ask->uid, error, ask->user_data);
    g_clear_object(&ask->cancel);
    g_free(ask->sender);
    g_free(ask->action);
    g_free(ask);
}

G_GNUC_PRINTF(2, 3)
static void deny(Ask *ask, const char *format, ...)
{
    g_autoptr(GError) error = NULL;
    va_list args;

    va_start(args, format);
    error = g_error_new_valist(G_DBUS_ERROR, G_DBUS_ERROR_ACCESS_DENIED, format, args);
    va_end(args);
    end_ask(ask, error);
}

static void on_checked(GObject *source, GAsyncResult *result, gpointer user_data)
{
    Ask *ask = user_data;
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) reply =
        g_dbus_connection_call_finish(G_DBUS_CONNECTION(source), result, &error);
    gboolean authorized = FALSE, challenge = FALSE;

    if (!reply && g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
        end_ask(ask, error);
        return;
    }
    if (!reply) {
        deny(ask, "only root may do this: polkit, which could allow %s to others, did not answer",
             ask->action);
        return;
    }
    g_variant_get(reply, "((bba{ss}))", &authorized, &challenge, NULL);
    if (authorized)
        end_ask(ask, NULL);
    else if (challenge)
        deny(ask, "not without authentication: polkit action %s", ask->action);
    else
        deny(ask, "only root may do this, and whom a polkit rule allows %s", ask->action);
}

static void check(GDBusConnection *bus, Ask *ask)
{
    GVariantBuilder subject;

    g_variant_builder_init(&subject, G_VARIANT_TYPE_VARDICT);
    g_variant_builder_add(&subject, "{sv}", "name", g_variant_new_string(ask->sender));
    g_dbus_connection_call(
        bus, POLKIT_NAME, POLKIT_PATH, POLKIT_INTERFACE, "CheckAuthorization",
        g_variant_new("((sa{sv})sa{ss}us)", "system-bus-name", &subject, ask->action, NULL,
                      ask->interactive ? POLKIT_FLAG_DIALOG : 0, ""),
        G_VARIANT_TYPE("((bba{ss}))"), G_DBUS_CALL_FLAGS_NONE,
        ask->interactive ? AUTHORITY_DIALOG_MS : AUTHORITY_CHECK_MS, ask->cancel, on_checked, ask);
}

static void on_uid(GObject *source, GAsyncResult *result, gpointer user_data)
{
    Ask *ask = user_data;
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) reply =
        g_dbus_connection_call_finish(G_DBUS_CONNECTION(source), result, &error);
    guint32 uid = 0;

    if (!reply && g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
        end_ask(ask, error);
        return;
    }
    if (!reply) {
        deny(ask, "the bus does not say which user you are");
        return;
    }
    g_variant_get(reply, "(u)", &uid);
    ask->uid = uid;
    if (uid == 0)
        end_ask(ask, NULL);
    else
        check(G_DBUS_CONNECTION(source), ask);
}

void authority_ask(const AuthoritySpec *spec, GCancellable *cancel, AuthorityDone done,
                   gpointer user_data)
{
    Ask *ask = g_new0(Ask, 1);

    *ask = (Ask){
        .cancel = g_object_ref(cancel),
        .sender = g_strdup(spec->sender),
        .action = g_strdup(spec->action),
        .interactive = spec->interactive,
        .uid = UID_NOBODY_CAN_BE_IT,
        .done = done,
        .user_data = user_data,
    };
    g_dbus_connection_call(spec->bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                           "org.freedesktop.DBus", "GetConnectionUnixUser",
                           g_variant_new("(s)", spec->sender), G_VARIANT_TYPE("(u)"),
                           G_DBUS_CALL_FLAGS_NONE, AUTHORITY_UID_MS, cancel, on_uid, ask);
}
