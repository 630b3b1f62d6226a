/*
 * manager_internal: what manager.c (looking) and manager_requests.c (freeze and thaw) share.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "bus/manager.h"

#include <jansson.h>

struct Manager {
    ManagerSpec spec;
    GDBusConnection *bus; /* NULL: none */
    guint object;
    GPtrArray *requests; /* Request *, see manager_requests.c */
    unsigned plans;
    char *announced; /* what StateChanged said last */
};

void manager_return_json(GDBusMethodInvocation *invocation, json_t *value); /* steals `value` */
void manager_return_failed(GDBusMethodInvocation *invocation, const char *text);

/* manager_requests.c */
void manager_freeze(Manager *manager, GDBusMethodInvocation *invocation);
void manager_thaw(Manager *manager, GDBusMethodInvocation *invocation);
void manager_callers_left(Manager *manager); /* all of them: the bus went */
void manager_drop_requests(Manager *manager);
