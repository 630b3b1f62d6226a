/*
 * port_unix_rig: a port on a unix socket in a directory of its own, and clients.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "port_rig.h"
#include "sys/port_internal.h"

#define MIB ((size_t)1 << 20)

typedef struct {
    char *directory, *path;
    Recorder *recorder;
    Port *port;
} Fixture;

int client(const char *path);
int listener(const char *path);
void put(int fd, const char *text);
void setup_closed(Fixture *fixture, gconstpointer unused);
void setup(Fixture *fixture, gconstpointer unused);
void teardown(Fixture *fixture, gconstpointer unused);
