/*
 * port_unix_rig: a port on a unix socket in a directory of its own, and clients.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "port_rig.h"
#include "sys/port_internal.h"

int client(const char *path);
int listener(const char *path);
void setup_closed(Fixture *fixture, gconstpointer unused);
void setup(Fixture *fixture, gconstpointer unused);
