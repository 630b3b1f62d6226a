/*
 * hookdir_rig: the directories that the tests of hookdir and hookconf scan. The "owner" option is
 * the uid of whoever runs the tests.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "sys/hookdir.h"

#include <sys/stat.h>

typedef struct {
    char *top, *etc, *run, *usr, *stock;
    const char *directories[4];
    HookdirOptions options;
    GPtrArray *hooks; /* of the last scan */
} Fixture;

void set_up(Fixture *f, gconstpointer data);
void tear_down(Fixture *f, gconstpointer data);
void put(const char *folder, const char *name, const char *text, mode_t mode);
void script(const char *folder, const char *name);
void link_to(const char *folder, const char *name, const char *target);
/* Scans; "name:order:verbs[!]" of every hook, one blank between, '!' for a refused one. */
char *scan(Fixture *f);

#define assert_scan(f, expected)                                                                   \
    do {                                                                                           \
        g_autofree char *found = scan(f);                                                          \
        g_assert_cmpstr(found, ==, expected);                                                      \
    } while (0)

const Hook *nth(const Fixture *f, unsigned index);
/* The only hook found must be refused with a reason that has `part` in it. */
void assert_refused(Fixture *f, const char *part);
