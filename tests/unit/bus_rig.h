/*
 * bus_rig: a private dbus-daemon that stands for the system bus; nothing reaches the machine's own.
 *
 * Made once a program, before anything uses a bus; stopped and started again at the same address.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gio/gio.h>

#define BUS_RIG_START_MS 5000

typedef struct {
    char *top, *config, *socket, *address;
    GPid pid; /* 0: not running */
} BusRig;

/* NULL where there is no dbus-daemon. */
BusRig *bus_rig_new(void);
GDBusConnection *bus_rig_connect(const BusRig *rig, GError **error);
void bus_rig_disconnect(GDBusConnection *bus);
void bus_rig_start(BusRig *rig);
void bus_rig_stop(BusRig *rig);
void bus_rig_free(BusRig *rig);
