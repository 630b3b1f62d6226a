/*
 * manager: the object /org/quiesced: answers local programs, tells them of changes.
 *
 * Looking needs no right and is answered at once, a plan as soon as its thread has read the
 * system. Freeze and Thaw go to the coordinator once authority says so. Nothing here waits; every
 * invocation is answered exactly once.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "bus/registrar.h"
#include "quiesce/coordinator.h"

#define MANAGER_OBJECT "/org/quiesced"
#define MANAGER_PLANS_MAX                                                                          \
    4u /* a thread each that reads all mounts; who looks again can wait a moment */

typedef struct Manager Manager;

typedef struct {
    Log *log;
    Coordinator *coordinator;
    Registrar *registrar;
    Authority *authority;
    const Config *config; /* borrowed; replaced by manager_set_config() */
} ManagerSpec;

Manager *manager_new(const ManagerSpec *spec);
/* The coordinator is gone by then, or will never answer again. NULL is fine. */
void manager_free(Manager *manager);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Manager, manager_free)
void manager_set_config(Manager *manager, const Config *config);
bool manager_export(Manager *manager, GDBusConnection *bus, GError **error);
void manager_bus_gone(Manager *manager);
void manager_changed(Manager *manager); /* the coordinator's state, or whether it is ready */
