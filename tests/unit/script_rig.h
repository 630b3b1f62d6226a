/*
 * script_rig: what the tests that run real scripts share: the main loop for a while, a script's
 * file, a child process and what was told about it. Included by them only.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "sys/process.h"

#include <glib.h>
#include <stdbool.h>
#include <sys/stat.h>

#define MSEC(n)    ((n)*USEC_PER_MSEC)
#define OUTPUT_MAX ((size_t)8 << 10)

/* Runs the main loop until `*flag` or for `limit_us`; returns `*flag`. */
bool run_until(const bool *flag, int64_t limit_us);
void run_for(int64_t interval_us);
void script_write(const char *path, const char *text, mode_t mode);

typedef struct {
    Process *process;
    bool done, gone, in_start;
    unsigned done_calls;
    ProcessEnd end;
    int code;
    int64_t duration_us, done_at_us, gone_at_us;
    GString *output;
    void (*in_done)(Process *process);
} Child;

void child_start_argv(Child *child, const char *const *argv, int64_t timeout_us, size_t output_max);
/* A script for /bin/sh -c. */
void child_start(Child *child, const char *script, int64_t timeout_us);
void child_wait_gone(Child *child);
void child_clear(Child *child);
