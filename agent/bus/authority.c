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

struct Authority {
    GCancellable *cancel;
    GPtrArray *asks; /* Ask *, under way */
};

typedef struct {
    Authority *owner; /* NULL: gone */
    GDBusConnection *bus;
    char *sender, *action;
    bool interactive;
    bool known; /* whose it is */
    uid_t uid;
    AuthorityDone done;
    gpointer user_data;
} Ask;

static void end_ask(Ask *ask, const GError *error)
{
    if (ask->owner)
        g_ptr_array_remove_fast(ask->owner->asks, ask);
    ask->done(ask->uid, error, ask->user_data);
    g_object_unref(ask->bus);
    g_free(ask->sender);
    g_free(ask->action);
    g_free(ask);
}

G_GNUC_PRINTF(3, 4)
static void deny(Ask *ask, GDBusError code, const char *format, ...)
{
    g_autoptr(GError) error = NULL;
    va_list args;

    va_start(args, format);
    error = g_error_new_valist(G_DBUS_ERROR, (int)code, format, args);
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
        deny(ask, G_DBUS_ERROR_ACCESS_DENIED,
             "only root may do this: polkit, which could allow %s to others, did not answer",
             ask->action);
        return;
    }
    g_variant_get(reply, "((bba{ss}))", &authorized, &challenge, NULL);
    if (authorized)
        end_ask(ask, NULL);
    else if (challenge)
        deny(ask, G_DBUS_ERROR_ACCESS_DENIED, "not without authentication: polkit action %s",
             ask->action);
    else
        deny(ask, G_DBUS_ERROR_ACCESS_DENIED,
             "only root may do this, and whom a polkit rule allows %s", ask->action);
}

static void check(Ask *ask)
{
    GVariantBuilder subject;

    g_variant_builder_init(&subject, G_VARIANT_TYPE_VARDICT);
    g_variant_builder_add(&subject, "{sv}", "name", g_variant_new_string(ask->sender));
    g_dbus_connection_call(
        ask->bus, POLKIT_NAME, POLKIT_PATH, POLKIT_INTERFACE, "CheckAuthorization",
        g_variant_new("((sa{sv})sa{ss}us)", "system-bus-name", &subject, ask->action, NULL,
                      ask->interactive ? POLKIT_FLAG_DIALOG : 0, ""),
        G_VARIANT_TYPE("((bba{ss}))"), G_DBUS_CALL_FLAGS_NONE,
        ask->interactive ? AUTHORITY_DIALOG_MS : AUTHORITY_CHECK_MS, ask->owner->cancel, on_checked,
        ask);
}

static unsigned asks_of_user(const Authority *authority, uid_t uid)
{
    unsigned count = 0;

    for (unsigned i = 0; i < authority->asks->len; i++) {
        const Ask *ask = g_ptr_array_index(authority->asks, i);

        count += ask->known && ask->uid == uid;
    }
    return count;
}

static unsigned asks_of_caller(const Authority *authority, const char *sender)
{
    unsigned count = 0;

    for (unsigned i = 0; i < authority->asks->len; i++)
        count += g_str_equal(((const Ask *)g_ptr_array_index(authority->asks, i))->sender, sender);
    return count;
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
        deny(ask, G_DBUS_ERROR_ACCESS_DENIED, "the bus does not say which user you are");
        return;
    }
    g_variant_get(reply, "(u)", &uid);
    ask->uid = uid;
    ask->known = true;
    if (uid == 0)
        end_ask(ask, NULL);
    else if (!ask->owner)
        deny(ask, G_DBUS_ERROR_ACCESS_DENIED, "the service ends");
    else if (asks_of_user(ask->owner, uid) > AUTHORITY_USER_MAX)
        deny(ask, G_DBUS_ERROR_LIMITS_EXCEEDED,
             "%u questions to polkit are under way for your user; ask again", AUTHORITY_USER_MAX);
    else
        check(ask);
}

static gboolean refuse_flood(gpointer user_data)
{
    deny(user_data, G_DBUS_ERROR_LIMITS_EXCEEDED,
         "more than %u requests of your connection are being checked; wait for their answers",
         AUTHORITY_CALLER_MAX);
    return G_SOURCE_REMOVE;
}

void authority_ask(Authority *authority, const AuthoritySpec *spec, AuthorityDone done,
                   gpointer user_data)
{
    Ask *ask = g_new0(Ask, 1);

    *ask = (Ask){
        .owner = authority,
        .bus = g_object_ref(spec->bus),
        .sender = g_strdup(spec->sender),
        .action = g_strdup(spec->action),
        .interactive = spec->interactive,
        .uid = UID_NOBODY_CAN_BE_IT,
        .done = done,
        .user_data = user_data,
    };
    g_ptr_array_add(authority->asks, ask);
    if (asks_of_caller(authority, spec->sender) > AUTHORITY_CALLER_MAX) {
        (void)g_idle_add(refuse_flood, ask);
        return;
    }
    g_dbus_connection_call(
        spec->bus, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
        "GetConnectionUnixUser", g_variant_new("(s)", spec->sender), G_VARIANT_TYPE("(u)"),
        G_DBUS_CALL_FLAGS_NONE, AUTHORITY_UID_MS, authority->cancel, on_uid, ask);
}

Authority *authority_new(void)
{
    Authority *authority = g_new0(Authority, 1);

    authority->cancel = g_cancellable_new();
    authority->asks = g_ptr_array_new();
    return authority;
}

void authority_free(Authority *authority)
{
    if (!authority)
        return;
    for (unsigned i = 0; i < authority->asks->len; i++)
        ((Ask *)g_ptr_array_index(authority->asks, i))->owner = NULL;
    g_cancellable_cancel(authority->cancel);
    g_object_unref(authority->cancel);
    g_ptr_array_unref(authority->asks);
    g_free(authority);
}
