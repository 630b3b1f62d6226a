/*
 * helper: a program of the system that does something for the agent: it gets input, a deadline, and
 * nobody else's output.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "sys/exec.h"

typedef struct {
    int error;         /* errno: it could not be started; ENOENT: it is not there */
    bool timed_out;    /* and killed, with its whole group */
    int status;        /* exit status */
    int signal;        /* that ended it, 0: none */
    const char *words; /* the last line it said, made fit to be shown; "" for none */
} HelperResult;

typedef void (*HelperDone)(const HelperResult *result, gpointer user_data);

typedef struct {
    const char *const *argv; /* the first is looked for in `search` */
    const char *search;
    const char *input; /* NULL: /dev/null. Copied, and wiped when it was read */
} HelperSpec;

/* `done` comes once, from the main loop and never from within. */
void helper_run(const HelperSpec *spec, Deadline deadline, HelperDone done, gpointer user_data);
