/*
 * leaving: see leaving.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bus/leaving.h"

struct Leaving {
    GDBusConnection *bus;
    guint subscription;
    LeavingFunc left;
    gpointer user_data;
};

static void on_owner_changed(GDBusConnection *bus, const char *sender, const char *path,
                             const char *interface, const char *signal, GVariant *parameters,
                             gpointer user_data)
{
    Leaving *self = user_data;
    const char *owner = "?";

    (void)bus;
    (void)sender;
    (void)path;
    (void)interface;
    (void)signal;
    if (g_variant_is_of_type(parameters, G_VARIANT_TYPE("(sss)")))
        g_variant_get_child(parameters, 2, "&s", &owner);
    if (!*owner)
        self->left(self->user_data);
}

Leaving *leaving_new(GDBusConnection *bus, const char *unique_name, LeavingFunc left,
                     gpointer user_data)
{
    Leaving *self = g_new0(Leaving, 1);

    self->bus = g_object_ref(bus);
    self->left = left;
    self->user_data = user_data;
    self->subscription =
        g_dbus_connection_signal_subscribe(bus, "org.freedesktop.DBus", "org.freedesktop.DBus",
                                           "NameOwnerChanged", "/org/freedesktop/DBus", unique_name,
                                           G_DBUS_SIGNAL_FLAGS_NONE, on_owner_changed, self, NULL);
    return self;
}

void leaving_free(Leaving *self)
{
    if (!self)
        return;
    g_dbus_connection_signal_unsubscribe(self->bus, self->subscription);
    g_object_unref(self->bus);
    g_free(self);
}
