/*
 * renew: lets a new program take over after an upgrade, without the host noticing.
 *
 * A package asks for it (SIGHUP, SIGUSR1) instead of restarting the service, which would thaw what
 * is frozen. Once the system has been thawed for RENEW_SETTLE_US and nothing is under way, the fds
 * of the ports go to the service manager's store and the service ends; the manager starts the new
 * program, which takes the ports over. They were open all the time: the host saw no disconnect, and
 * what it sent meanwhile is still there to be read. Nothing here waits or polls.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/deadline.h"

/* Hosts that want the report of a freeze ask for it right after the thaw; the new program has none.
 */
#define RENEW_SETTLE_US (10 * USEC_PER_SEC)
/* The manager took the fds by then, or the next try comes after RENEW_SETTLE_US. */
#define RENEW_STORE_US (5 * USEC_PER_SEC)
/* How long a host may leave results uncollected before they count no more. As long as they are
 * kept.
 */
#define RENEW_OWED_US   (3600 * USEC_PER_SEC)
#define RENEW_PORTS_MAX 64u /* beyond the channels anybody configures; more are not handed over */

typedef struct Renew Renew;

typedef struct {
    const char *procfs;  /* /proc */
    const char *manager; /* NOTIFY_SOCKET's value; NULL: no manager, renew_ask() refuses */
    int64_t settle_us;   /* 0: RENEW_SETTLE_US */
    int64_t owed_us;     /* 0: RENEW_OWED_US */
    /* No request is under way or half received. */
    bool (*may_leave)(gpointer user_data);
    /* A host has started something whose result it has not fetched, which the new program will not
     * know (an upgrade may itself have come that way); NULL: never. */
    bool (*owed)(gpointer user_data);
    /* The ports' fds by channel, -1 for none; how many channels there are. */
    unsigned (*ports)(int *fds, unsigned size, gpointer user_data);
    /* The ports are stored: the service ends now, before anything else is read. */
    void (*leave)(gpointer user_data);
    gpointer user_data;
} RenewSpec;

Renew *renew_new(const RenewSpec *spec);
void renew_free(Renew *renew); /* every function takes NULL */

/* Whether the program was replaced (or `anyway`: how it is to be started was) and a manager will
 * start the new one: then it is done when it may be. */
bool renew_ask(Renew *renew, bool anyway);
/* Whether nothing is frozen, held or being released. Starts as false. */
void renew_settled(Renew *renew, bool settled);
/* Something that may_leave() or owed() looks at has changed. */
void renew_consider(Renew *renew);
/* The first `count` ports were taken over (or are of no use): the manager lets go of them, so that
 * a port which the service closes is closed. */
void renew_took(Renew *renew, unsigned count);
