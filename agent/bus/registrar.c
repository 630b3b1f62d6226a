/*
 * registrar: see registrar.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bus/registrar.h"

#include "bus/options.h"
#include "bus/registration.h"
#include "quiesce/json.h"
#include "sys/hookdir.h"

#include <gio/gunixfdlist.h>
#include <string.h>
#include <unistd.h>

#define ACTION "org.quiesced.register"

struct Registrar {
    Log *log;
    Authority *authority;
    GPtrArray *registrations; /* Registration *, owned through registration_end() */
    GPtrArray *pending;       /* Candidate * */
};

/* One whose right to register is being looked up. */
typedef struct {
    Registrar *owner; /* NULL: the registrar is gone */
    Registration *registration;
    GDBusMethodInvocation *invocation;
    bool left;
} Candidate;

G_GNUC_PRINTF(3, 4)
static bool refuse(GError **error, GDBusError code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    if (error)
        *error = g_error_new_valist(G_DBUS_ERROR, (int)code, format, args);
    va_end(args);
    return false;
}

/* --- what the caller sent ----------------------------------------------------------------------
 */

static const char *const POLICIES[] = {"abort", "degrade", NULL};
static const char *const VERBS[] = {"prepare", "freeze", "thaw", "abort", "complete", NULL};
static const OptionSpec OPTIONS[] = {
    {"order", "u", 0, HOOKDIR_ORDER_MAX, NULL},
    {"timeout-ms", "u", 1, REGISTRAR_TIMEOUT_MS_MAX, NULL},
    {"on-failure", "s", 0, 0, POLICIES},
    {"verbs", "as", 0, VERB_COUNT, VERBS},
    {"mountpoints", "as", 0, REGISTRAR_MOUNTPOINTS_MAX, NULL},
};

/* Names stand in error texts, paths of logs and tables: nothing that needs quoting. */
static bool name_is_fine(const char *name, GError **error)
{
    size_t length = strlen(name);

    if (length == 0 || length > REGISTRAR_NAME_MAX)
        return refuse(error, G_DBUS_ERROR_INVALID_ARGS, "a name has 1 to %u letters, this one %zu",
                      REGISTRAR_NAME_MAX, length);
    for (const char *letter = name; *letter; letter++)
        if (!g_ascii_isalnum(*letter) && !strchr("._-", *letter))
            return refuse(error, G_DBUS_ERROR_INVALID_ARGS,
                          "a name has only letters, digits, '.', '_' and '-'");
    return true;
}

static unsigned verbs_of(GVariant *options)
{
    g_auto(GStrv) list = options_list(options, "verbs");
    unsigned verbs = 0;

    if (!list)
        return HOOK_VERB_PREPARE | HOOK_VERB_FREEZE | HOOK_VERB_THAW | HOOK_VERB_ABORT;
    for (unsigned verb = 0; verb < VERB_COUNT; verb++)
        if (g_strv_contains((const char *const *)list, verb_name((Verb)verb)))
            verbs |= 1u << verb;
    return verbs;
}

static bool mountpoints_are_paths(char **mountpoints, GError **error)
{
    for (; mountpoints && *mountpoints; mountpoints++)
        if ((*mountpoints)[0] != '/')
            return refuse(error, G_DBUS_ERROR_INVALID_ARGS,
                          "option mountpoints: '%.40s' does not begin with /", *mountpoints);
    return true;
}

/* --- limits ------------------------------------------------------------------------------------
 */

/* One that closed its guard and registers again must not meet itself. */
static void look_at(Registrar *self, const char *name)
{
    for (unsigned i = self->registrations->len; i > 0; i--) {
        Registration *other = g_ptr_array_index(self->registrations, i - 1);

        if (strcmp(registration_name(other), name) == 0)
            registration_look(other);
    }
}

/* Asked again when the caller's right is known; until then it reserves nothing but its share. */
static bool there_is_room(Registrar *self, const char *name, const char *sender, GError **error)
{
    unsigned mine = 0;

    look_at(self, name);
    for (unsigned i = 0; i < self->registrations->len; i++) {
        const Registration *other = g_ptr_array_index(self->registrations, i);

        mine += strcmp(registration_sender(other), sender) == 0;
        if (registration_serves(other) && strcmp(registration_name(other), name) == 0)
            return refuse(error, G_DBUS_ERROR_FAILED,
                          "'%s' is registered already, by %s of user %u", name,
                          registration_sender(other), (unsigned)registration_uid(other));
    }
    if (mine >= REGISTRAR_CONNECTION_MAX)
        return refuse(error, G_DBUS_ERROR_LIMITS_EXCEEDED,
                      "one connection may register %u participants", REGISTRAR_CONNECTION_MAX);
    if (self->registrations->len >= REGISTRAR_MAX)
        return refuse(error, G_DBUS_ERROR_LIMITS_EXCEEDED, "%u participants are registered already",
                      REGISTRAR_MAX);
    return true;
}

static bool user_has_room(const Registrar *self, uid_t uid, GError **error)
{
    unsigned count = 0;

    for (unsigned i = 0; i < self->registrations->len; i++)
        count += registration_uid(g_ptr_array_index(self->registrations, i)) == uid;
    if (uid == 0 || count < REGISTRAR_USER_MAX)
        return true;
    return refuse(error, G_DBUS_ERROR_LIMITS_EXCEEDED, "one user may register %u participants",
                  REGISTRAR_USER_MAX);
}

/* --- registering -------------------------------------------------------------------------------
 */

static void on_gone(Registration *registration, const char *reason, gpointer user_data)
{
    Registrar *self = user_data;

    log_info(self->log, "Participant %s is not registered any more: %s",
             registration_name(registration), reason);
    if (g_ptr_array_remove(self->registrations, registration))
        return;
    for (unsigned i = 0; i < self->pending->len; i++) {
        Candidate *candidate = g_ptr_array_index(self->pending, i);

        if (candidate->registration == registration)
            candidate->left = true;
    }
}

/* Takes the registration over, or ends it. */
static bool admit(Registrar *self, Registration *registration, GDBusMethodInvocation *invocation,
                  GError **error)
{
    g_autoptr(GUnixFDList) fds = g_unix_fd_list_new();
    int guard = -1, index = -1;

    if (!there_is_room(self, registration_name(registration), registration_sender(registration),
                       error) ||
        !user_has_room(self, registration_uid(registration), error))
        return false;
    guard = registration_guard(registration, error);
    if (guard < 0)
        return false;
    index = g_unix_fd_list_append(fds, guard, error);
    (void)close(guard);
    if (index < 0)
        return false;
    g_ptr_array_add(self->registrations, registration);
    g_dbus_method_invocation_return_value_with_unix_fd_list(invocation, g_variant_new("(h)", index),
                                                            fds);
    log_info(self->log, "Participant %s of user %u registered", registration_name(registration),
             (unsigned)registration_uid(registration));
    return true;
}

static void on_authority(uid_t uid, const GError *denial, gpointer user_data)
{
    g_autofree Candidate *candidate = user_data;
    Registrar *self = candidate->owner;
    g_autoptr(GError) error = NULL;

    if (self)
        g_ptr_array_remove_fast(self->pending, candidate);
    registration_set_uid(candidate->registration, uid);
    if (denial)
        error = g_error_copy(denial);
    else if (!self || candidate->left)
        (void)refuse(&error, G_DBUS_ERROR_FAILED, "the bus connection is gone");
    else if (admit(self, candidate->registration, candidate->invocation, &error))
        return;
    registration_end(candidate->registration);
    options_refuse(candidate->invocation, error);
}

static Registration *registration_of_call(Registrar *self, GDBusMethodInvocation *invocation,
                                          GError **error)
{
    GVariant *parameters = g_dbus_method_invocation_get_parameters(invocation);
    g_autoptr(GVariant) options = g_variant_get_child_value(parameters, 2);
    g_auto(GStrv) mountpoints = NULL;
    RegistrationSpec spec = {
        .log = self->log,
        .bus = g_dbus_method_invocation_get_connection(invocation),
        .sender = g_dbus_method_invocation_get_sender(invocation),
    };

    g_variant_get_child(parameters, 0, "&s", &spec.name);
    g_variant_get_child(parameters, 1, "&o", &spec.object);
    if (!name_is_fine(spec.name, error) ||
        !options_check(options, OPTIONS, G_N_ELEMENTS(OPTIONS), error))
        return NULL;
    if (strlen(spec.object) > OPTIONS_TEXT_MAX) {
        (void)refuse(error, G_DBUS_ERROR_INVALID_ARGS, "the object path is longer than %u bytes",
                     OPTIONS_TEXT_MAX);
        return NULL;
    }
    mountpoints = options_list(options, "mountpoints");
    if (!mountpoints_are_paths(mountpoints, error) ||
        !there_is_room(self, spec.name, spec.sender, error))
        return NULL;
    spec.order = options_number(options, "order", HOOKDIR_ORDER);
    spec.verbs = verbs_of(options);
    spec.timeout_us = (int64_t)options_number(options, "timeout-ms", 0) * USEC_PER_MSEC;
    spec.on_failure = g_strcmp0(options_text(options, "on-failure"), "degrade") == 0
                          ? ON_FAILURE_DEGRADE
                          : ON_FAILURE_ABORT;
    spec.mountpoints = mountpoints && *mountpoints ? mountpoints : NULL;
    return registration_new(&spec, on_gone, self);
}

void registrar_register(Registrar *self, GDBusMethodInvocation *invocation)
{
    g_autoptr(GError) error = NULL;
    Registration *registration = registration_of_call(self, invocation, &error);
    GDBusMessage *message = g_dbus_method_invocation_get_message(invocation);
    Candidate *candidate = NULL;
    AuthoritySpec ask = {
        .bus = g_dbus_method_invocation_get_connection(invocation),
        .sender = g_dbus_method_invocation_get_sender(invocation),
        .action = ACTION,
        .interactive = (g_dbus_message_get_flags(message) &
                        G_DBUS_MESSAGE_FLAGS_ALLOW_INTERACTIVE_AUTHORIZATION) != 0,
    };

    if (!registration) {
        options_refuse(invocation, error);
        return;
    }
    candidate = g_new0(Candidate, 1);
    *candidate = (Candidate){self, registration, invocation, false};
    g_ptr_array_add(self->pending, candidate);
    authority_ask(self->authority, &ask, on_authority, candidate);
}

/* --- all of them -------------------------------------------------------------------------------
 */

unsigned registrar_count(const Registrar *self)
{
    unsigned count = 0;

    for (unsigned i = 0; i < self->registrations->len; i++)
        count += registration_serves(g_ptr_array_index(self->registrations, i));
    return count;
}

void registrar_join(GPtrArray *participants, gpointer registrar)
{
    Registrar *self = registrar;

    for (unsigned i = 0; i < self->registrations->len; i++) {
        Registration *registration = g_ptr_array_index(self->registrations, i);

        if (registration_serves(registration))
            g_ptr_array_add(participants, registration_join(registration));
    }
}

json_t *registrar_json(Registrar *self, const Config *config)
{
    json_t *object = json_object(), *participants = json_array();
    size_t budget = QUIESCE_JSON_MAX - 4096;
    bool truncated = false;

    for (unsigned i = 0; i < self->registrations->len; i++) {
        Registration *registration = g_ptr_array_index(self->registrations, i);
        Participant *participant = NULL;
        json_t *item = NULL;

        if (!registration_serves(registration))
            continue;
        participant = registration_join(registration);
        item = quiesce_participant_json(config, participant);
        participant_free(participant);
        json_set_text(item, "owner", registration_sender(registration));
        (void)json_object_set_new(item, "uid", json_integer(registration_uid(registration)));
        (void)json_object_set_new(item, "held", json_boolean(registration_held(registration)));
        truncated |= !json_append_within(participants, item, &budget);
    }
    (void)json_object_set_new(object, "participants", participants);
    (void)json_object_set_new(object, "truncated", json_boolean(truncated));
    return object;
}

void registrar_bus_gone(Registrar *self)
{
    for (unsigned i = self->registrations->len; i > 0; i--)
        if (!registration_outlives_bus(g_ptr_array_index(self->registrations, i - 1)))
            g_ptr_array_remove_index(self->registrations, i - 1);
}

Registrar *registrar_new(Log *log, Authority *authority)
{
    Registrar *self = g_new0(Registrar, 1);

    self->log = log;
    self->authority = authority;
    self->registrations = g_ptr_array_new_with_free_func((GDestroyNotify)registration_end);
    self->pending = g_ptr_array_new();
    return self;
}

void registrar_free(Registrar *self)
{
    if (!self)
        return;
    for (unsigned i = 0; i < self->pending->len; i++)
        ((Candidate *)g_ptr_array_index(self->pending, i))->owner = NULL;
    g_ptr_array_unref(self->pending);
    g_ptr_array_unref(self->registrations);
    g_free(self);
}
