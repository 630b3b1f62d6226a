/*
 * port_pty_rig: a serial port on a pty, and a directory for its device links.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "port_rig.h"
#include "sys/port_internal.h"

void make_raw(int fd);
/* A new pty's master; `slave` gets the path of the other side. */
int pty_new(char slave[64]);
void setup(Fixture *fixture, gconstpointer unused);
void start(Fixture *fixture, PortMethod method, const char *path);
