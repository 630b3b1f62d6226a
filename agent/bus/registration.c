/*
 * registration: see registration.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bus/registration_internal.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <poll.h>
#include <unistd.h>

Registration *registration_ref(Registration *self)
{
    self->refs++;
    return self;
}

void registration_unref(Registration *self)
{
    if (--self->refs > 0)
        return;
    g_object_unref(self->bus);
    g_object_unref(self->cancel);
    g_ptr_array_unref(self->members);
    g_free(self->name);
    g_free(self->sender);
    g_free(self->object);
    g_strfreev(self->mountpoints);
    g_free(self);
}

/* The application hears a hang-up; we hear nothing any more. */
static void stop_watching(Registration *self)
{
    g_clear_pointer(&self->leaving, leaving_free);
    deadline_source_clear(&self->guard_source);
    if (self->guard >= 0)
        (void)close(self->guard);
    self->guard = -1;
}

static void went(Registration *self, const char *reason)
{
    g_autoptr(GPtrArray) members = NULL;

    if (self->ended)
        return;
    self->ended = true;
    self->refs++;
    stop_watching(self);
    /* What they tell may free them, and end this. */
    members = g_ptr_array_copy(self->members, NULL, NULL);
    for (unsigned i = 0; i < members->len; i++)
        if (g_ptr_array_find(self->members, g_ptr_array_index(members, i), NULL))
            member_left(g_ptr_array_index(members, i), reason);
    self->gone(self, reason, self->user_data);
    registration_unref(self);
}

void registration_let_go(Registration *self)
{
    if (self->ended)
        return;
    self->ended = true;
    stop_watching(self);
    self->gone(self, "the bus went", self->user_data);
}

static void on_left(gpointer user_data)
{
    went(user_data, "it left the bus");
}

Registration *registration_new(const RegistrationSpec *spec, RegistrationGone gone,
                               gpointer user_data)
{
    Registration *self = g_new0(Registration, 1);

    *self = (Registration){
        .refs = 1,
        .log = spec->log,
        .bus = g_object_ref(spec->bus),
        .cancel = g_cancellable_new(),
        .name = g_strdup(spec->name),
        .sender = g_strdup(spec->sender),
        .object = g_strdup(spec->object),
        .order = spec->order,
        .verbs = spec->verbs,
        .timeout_us = spec->timeout_us,
        .on_failure = spec->on_failure,
        .mountpoints = g_strdupv(spec->mountpoints),
        .uid = (uid_t)-1,
        .guard = -1,
        .members = g_ptr_array_new(),
        .gone = gone,
        .user_data = user_data,
    };
    self->leaving = leaving_new(self->bus, self->sender, on_left, self);
    return self;
}

void registration_end(Registration *self)
{
    if (!self)
        return;
    self->ended = true;
    stop_watching(self);
    self->log = NULL; /* late replies are of no interest to anybody */
    g_cancellable_cancel(self->cancel);
    registration_unref(self);
}

static gboolean on_guard(int fd, GIOCondition condition, gpointer user_data)
{
    (void)fd;
    (void)condition;
    went(user_data, "it closed its guard");
    return G_SOURCE_REMOVE;
}

int registration_guard(Registration *self, GError **error)
{
    int ends[2];

    if (!g_unix_open_pipe(ends, FD_CLOEXEC, error))
        return -1;
    self->guard = ends[1];
    self->guard_source = g_unix_fd_source_new(self->guard, G_IO_ERR);
    g_source_set_callback(self->guard_source, G_SOURCE_FUNC(on_guard), self, NULL);
    (void)g_source_attach(self->guard_source, NULL);
    return ends[0];
}

/* Looks now, for what the main loop has not come to yet. */
void registration_look(Registration *self)
{
    struct pollfd guard = {.fd = self->guard};

    if (self->guard >= 0 && poll(&guard, 1, 0) > 0)
        went(self, "it closed its guard");
}

bool registration_outlives_bus(Registration *self)
{
    self->bus_gone = true;
    g_clear_pointer(&self->leaving, leaving_free);
    return registration_held(self) && !self->ended;
}

void registration_set_uid(Registration *self, uid_t uid)
{
    self->uid = uid;
}

uid_t registration_uid(const Registration *self)
{
    return self->uid;
}

const char *registration_name(const Registration *self)
{
    return self->name;
}

const char *registration_sender(const Registration *self)
{
    return self->sender;
}

bool registration_held(const Registration *self)
{
    for (unsigned i = 0; i < self->members->len; i++)
        if (member_holds(g_ptr_array_index(self->members, i)))
            return true;
    return false;
}

bool registration_serves(const Registration *self)
{
    return !self->ended && !self->bus_gone && self->guard >= 0;
}

/* --- kept by the participants of operations ----------------------------------------------------
 */

void registration_member_added(Registration *self, BusMember *member)
{
    self->refs++;
    g_ptr_array_add(self->members, member);
}

void registration_member_removed(Registration *self, BusMember *member)
{
    g_ptr_array_remove_fast(self->members, member);
    /* Without a bus it can only come again anew. */
    if (self->bus_gone && !registration_held(self))
        registration_let_go(self);
    registration_unref(self);
}
