/*
 * registration: one application that registered on the bus, and what it is to an operation.
 *
 * Bound to two things, the guard and the caller's unique name; whichever goes first ends it. Every
 * operation gets a Participant of its own (registration_join) that calls the application through
 * it. The guard is a pipe whose read end the application has: the kernel tells either side when the
 * other is gone, whatever became of the bus. When the bus goes while something is held, the guard
 * alone stands for the application, and closing it is its Abort.
 *
 * Runs on the main loop; nothing waits.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/log.h"
#include "quiesce/participant.h"
#include <gio/gio.h>

/* A reply that comes later than this after its deadline is not even noted. */
#define REGISTRATION_LATE_US (30 * USEC_PER_SEC)

typedef struct Registration Registration;

typedef struct {
    Log *log;
    GDBusConnection *bus;
    const char *name, *sender, *object;
    unsigned order, verbs; /* HOOK_VERB_ bits */
    int64_t timeout_us;    /* 0: configured */
    OnFailure on_failure;
    char **mountpoints; /* NULL: always */
} RegistrationSpec;

/* `gone` is told once, when guard or name went; the owner then unrefs. Watches the name from now
 * on. */
typedef void (*RegistrationGone)(Registration *registration, const char *reason,
                                 gpointer user_data);
Registration *registration_new(const RegistrationSpec *spec, RegistrationGone gone,
                               gpointer user_data);
/* Ends it without telling; participants of operations keep it until they are freed. NULL is fine.
 */
void registration_end(Registration *registration);

/* A new guard; the application's end, to be passed on and closed. -1: `error` says why. */
int registration_guard(Registration *registration, GError **error);
/* The bus went. False: nothing is held, the owner ends it. */
bool registration_outlives_bus(Registration *registration);

void registration_set_uid(Registration *registration, uid_t uid);
uid_t registration_uid(const Registration *registration);
const char *registration_name(const Registration *registration);
/* Looks at the guard now, for what the main loop has not come to; `gone` may be told. */
void registration_look(Registration *registration);
const char *registration_sender(const Registration *registration);
bool registration_held(const Registration *registration);
/* Whether it is called in new operations: it has its guard, and its bus is there. */
bool registration_serves(const Registration *registration);
Participant *registration_join(Registration *registration);
