/*
 * registration_internal: what registration.c and member.c share.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "bus/leaving.h"
#include "bus/registration.h"

typedef struct BusMember BusMember; /* the Participant of one operation */

struct Registration {
    unsigned refs; /* the owner and each member */
    Log *log;      /* NULL: ended by its owner */
    GDBusConnection *bus;
    GCancellable *cancel; /* of calls: they must not come back to a service that ends */
    char *name, *sender, *object;
    unsigned order, verbs;
    int64_t timeout_us;
    OnFailure on_failure;
    char **mountpoints;
    uid_t uid;
    int guard; /* our end; -1: none, or let go of */
    GSource *guard_source;
    Leaving *leaving;   /* its unique name */
    GPtrArray *members; /* BusMember *, of operations that are not over */
    bool ended, bus_gone;
    RegistrationGone gone;
    gpointer user_data;
};

Registration *registration_ref(Registration *registration);
void registration_unref(Registration *registration);
/* Its bus is gone, and nobody will ask it for anything: it ends, and its guard hangs up. */
void registration_let_go(Registration *registration);
void registration_member_added(Registration *registration, BusMember *member);
void registration_member_removed(Registration *registration, BusMember *member);

/* member.c */
void member_left(BusMember *member, const char *reason); /* its application is gone */
bool member_holds(const BusMember *member);
