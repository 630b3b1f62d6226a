/*
 * manager: see manager.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bus/manager_internal.h"

#include "bus/interface.h"
#include "bus/options.h"
#include "quiesce/json.h"
#include "quiesce/plan.h"

#include <stdlib.h>
#include <string.h>

#define INTERFACE "org.quiesced.Manager1"

void manager_return_json(GDBusMethodInvocation *invocation, json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT);

    g_dbus_method_invocation_return_value(invocation, g_variant_new("(s)", text ? text : "{}"));
    free(text);
    json_decref(value);
}

void manager_return_failed(GDBusMethodInvocation *invocation, const char *text)
{
    g_dbus_method_invocation_return_dbus_error(invocation, OPTIONS_ERROR_FAILED, text);
}

/* --- looking -----------------------------------------------------------------------------------
 */

static void list_participants(Manager *self, GDBusMethodInvocation *invocation)
{
    manager_return_json(invocation, registrar_json(self->spec.registrar, self->spec.config));
}

static void status(Manager *self, GDBusMethodInvocation *invocation)
{
    manager_return_json(invocation, quiesce_status_json(self->spec.coordinator));
}

static void history(Manager *self, GDBusMethodInvocation *invocation)
{
    static const OptionSpec OPTIONS[] = {
        {"operation", "s", 0, 0, NULL},
        {"limit", "u", 1, REPORT_HISTORY, NULL},
    };
    g_autoptr(GVariant) options =
        g_variant_get_child_value(g_dbus_method_invocation_get_parameters(invocation), 0);
    g_autoptr(GError) error = NULL;
    const char *operation = NULL;

    if (!options_check(options, OPTIONS, G_N_ELEMENTS(OPTIONS), &error)) {
        options_refuse(invocation, error);
        return;
    }
    operation = options_text(options, "operation");
    if (operation && !history_find(coordinator_history(self->spec.coordinator), operation)) {
        g_autofree char *text =
            g_strdup_printf("operation '%.40s' has not been found; the last %u are kept", operation,
                            REPORT_HISTORY);
        manager_return_failed(invocation, text);
        return;
    }
    manager_return_json(invocation,
                        quiesce_report_json(self->spec.coordinator, operation,
                                            options_number(options, "limit", REPORT_HISTORY)));
}

static void metrics(Manager *self, GDBusMethodInvocation *invocation)
{
    g_autofree char *text = coordinator_metrics_text(self->spec.coordinator);

    g_dbus_method_invocation_return_value(invocation, g_variant_new("(s)", text));
}

typedef struct {
    Manager *manager;
    GDBusMethodInvocation *invocation;
} Planning;

static void planned(json_t *plan, const char *error, gpointer user_data)
{
    g_autofree Planning *planning = user_data;

    planning->manager->plans--;
    if (plan)
        manager_return_json(planning->invocation, plan);
    else
        manager_return_failed(planning->invocation, error);
}

static void plan(Manager *self, GDBusMethodInvocation *invocation)
{
    static const OptionSpec OPTIONS[] = {{"mountpoints", "as", 0, PLAN_MOUNTPOINTS_MAX, NULL}};
    g_autoptr(GVariant) options =
        g_variant_get_child_value(g_dbus_method_invocation_get_parameters(invocation), 0);
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) mountpoints = NULL;
    Planning *planning = NULL;

    if (!options_check(options, OPTIONS, G_N_ELEMENTS(OPTIONS), &error)) {
        options_refuse(invocation, error);
        return;
    }
    if (self->plans >= MANAGER_PLANS_MAX) {
        g_dbus_method_invocation_return_error(invocation, G_DBUS_ERROR,
                                              G_DBUS_ERROR_LIMITS_EXCEEDED,
                                              "%u plans are being made; ask again", self->plans);
        return;
    }
    mountpoints = options_list(options, "mountpoints");
    planning = g_new0(Planning, 1);
    *planning = (Planning){self, invocation};
    self->plans++;
    plan_run(self->spec.coordinator, (const char *const *)mountpoints, planned, planning);
}

static void register_participant(Manager *self, GDBusMethodInvocation *invocation)
{
    registrar_register(self->spec.registrar, invocation);
}

static const struct {
    const char *name;
    void (*run)(Manager *self, GDBusMethodInvocation *invocation);
} METHODS[] = {
    {"Freeze", manager_freeze}, {"History", history},   {"ListParticipants", list_participants},
    {"Metrics", metrics},       {"Plan", plan},         {"Register", register_participant},
    {"Status", status},         {"Thaw", manager_thaw},
};

static void on_call(GDBusConnection *bus, const char *sender, const char *path,
                    const char *interface, const char *method, GVariant *parameters,
                    GDBusMethodInvocation *invocation, gpointer user_data)
{
    (void)bus;
    (void)sender;
    (void)path;
    (void)interface;
    if (g_variant_get_size(parameters) > OPTIONS_SIZE_MAX) {
        g_dbus_method_invocation_return_error(
            invocation, G_DBUS_ERROR, G_DBUS_ERROR_LIMITS_EXCEEDED,
            "%s: arguments of more than %zu bytes", method, OPTIONS_SIZE_MAX);
        return;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(METHODS); i++)
        if (strcmp(METHODS[i].name, method) == 0) {
            METHODS[i].run(user_data, invocation);
            return;
        }
    g_dbus_method_invocation_return_error(invocation, G_DBUS_ERROR, G_DBUS_ERROR_UNKNOWN_METHOD,
                                          "%s is not there", method);
}

/* --- properties --------------------------------------------------------------------------------
 */

static const char *operation_now(const Manager *self)
{
    const Report *report = coordinator_report(self->spec.coordinator);

    return report ? report->operation : "";
}

static const char *level_now(const Manager *self)
{
    const Report *report = coordinator_report(self->spec.coordinator);

    return report && coordinator_frozen_us(self->spec.coordinator) > 0 ? level_name(report->level)
                                                                       : "";
}

static guint64 frozen_since(const Manager *self)
{
    int64_t frozen_us = coordinator_frozen_us(self->spec.coordinator);

    return frozen_us > 0 ? (guint64)(g_get_real_time() - (deadline_now() - frozen_us)) : 0;
}

static GVariant *property(const Manager *self, const char *name)
{
    const char *reason = NULL;
    bool ready = coordinator_ready(self->spec.coordinator, &reason);

    if (strcmp(name, "State") == 0)
        return g_variant_new_string(machine_state_name(coordinator_state(self->spec.coordinator)));
    if (strcmp(name, "Operation") == 0)
        return g_variant_new_string(operation_now(self));
    if (strcmp(name, "Level") == 0)
        return g_variant_new_string(level_now(self));
    if (strcmp(name, "FrozenSince") == 0)
        return g_variant_new_uint64(frozen_since(self));
    if (strcmp(name, "Ready") == 0)
        return g_variant_new_boolean(ready);
    if (strcmp(name, "UnreadyReason") == 0)
        return g_variant_new_string(reason ? reason : "");
    return g_variant_new_string(PACKAGE_VERSION);
}

static GVariant *on_property(GDBusConnection *bus, const char *sender, const char *path,
                             const char *interface, const char *name, GError **error,
                             gpointer user_data)
{
    (void)bus;
    (void)sender;
    (void)path;
    (void)interface;
    (void)error;
    return property(user_data, name);
}

static void announce_properties(Manager *self)
{
    static const char *const CHANGING[] = {"State",       "Operation", "Level",
                                           "FrozenSince", "Ready",     "UnreadyReason"};
    GVariantBuilder changed;

    g_variant_builder_init(&changed, G_VARIANT_TYPE_VARDICT);
    for (unsigned i = 0; i < G_N_ELEMENTS(CHANGING); i++)
        g_variant_builder_add(&changed, "{sv}", CHANGING[i], property(self, CHANGING[i]));
    (void)g_dbus_connection_emit_signal(
        self->bus, NULL, MANAGER_OBJECT, "org.freedesktop.DBus.Properties", "PropertiesChanged",
        g_variant_new("(sa{sv}as)", INTERFACE, &changed, NULL), NULL);
}

void manager_changed(Manager *self)
{
    const char *state = machine_state_name(coordinator_state(self->spec.coordinator));
    const char *operation = operation_now(self), *level = level_now(self);
    g_autofree char *now = g_strdup_printf("%s %s %s", state, operation, level);

    if (!self->bus)
        return;
    announce_properties(self);
    if (g_strcmp0(now, self->announced) == 0)
        return;
    (void)g_dbus_connection_emit_signal(self->bus, NULL, MANAGER_OBJECT, INTERFACE, "StateChanged",
                                        g_variant_new("(sss)", state, operation, level), NULL);
    g_free(self->announced);
    self->announced = g_steal_pointer(&now);
}

/* --- life --------------------------------------------------------------------------------------
 */

bool manager_export(Manager *self, GDBusConnection *bus, GError **error)
{
    static const GDBusInterfaceVTable VTABLE = {
        .method_call = on_call,
        .get_property = on_property,
    };

    self->object = g_dbus_connection_register_object(
        bus, MANAGER_OBJECT, (GDBusInterfaceInfo *)&org_quiesced_manager1_interface, &VTABLE, self,
        NULL, error);
    if (self->object == 0)
        return false;
    self->bus = g_object_ref(bus);
    return true;
}

static void unexport(Manager *self)
{
    if (!self->bus)
        return;
    (void)g_dbus_connection_unregister_object(self->bus, self->object);
    self->object = 0;
    g_clear_object(&self->bus);
    g_clear_pointer(&self->announced, g_free);
}

Manager *manager_new(const ManagerSpec *spec)
{
    Manager *self = g_new0(Manager, 1);

    self->spec = *spec;
    self->requests = g_ptr_array_new();
    return self;
}

void manager_set_config(Manager *self, const Config *config)
{
    self->spec.config = config;
}

void manager_bus_gone(Manager *self)
{
    unexport(self);
    manager_callers_left(self);
}

void manager_free(Manager *self)
{
    if (!self)
        return;
    unexport(self);
    manager_drop_requests(self);
    g_ptr_array_unref(self->requests);
    g_free(self->announced);
    g_free(self);
}
