/*
 * graph_rig: sysfs trees built in a temporary folder, with the kernel's own links, and what the
 * tests of sys/graph ask of a ranking.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "sys/graph.h"

typedef struct {
    char *sysfs;
    GPtrArray *mounts;
} Fixture;

void set_up(Fixture *fixture, gconstpointer data);
void tear_down(Fixture *fixture, gconstpointer data);

/* Below sysfs, parents included; the link goes to a folder below devices. */
void put(Fixture *fixture, const char *folder, const char *name, const char *text);
void put_link(Fixture *fixture, const char *name, const char *to);
/* `place` is the folder below devices: "sda", "sda/sda1". */
void device(Fixture *fixture, const char *place, const char *number);
/* The folders of both, as `place`. */
void slave(Fixture *fixture, const char *holder, const char *of);
void loop(Fixture *fixture, const char *name, const char *number, const char *backing);

/* Lists the mounts of a table, or of the file that has it, and ranks them; the same ones again. */
void rank_again(Fixture *fixture);
void rank_file(Fixture *fixture, const char *mountinfo);
void rank(Fixture *fixture, const char *text);

const Mount *at(Fixture *fixture, const char *mountpoint);
/* `carriers`: as in Mount, one blank between. */
void assert_rank(Fixture *fixture, const char *mountpoint, unsigned expected, const char *carriers);
