/*
 * process_events: how a process ended, and what its owner is told.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    PROCESS_EXITED,    /* code is the exit status */
    PROCESS_SIGNALED,  /* code is the signal */
    PROCESS_TIMED_OUT, /* deadline; being killed */
    PROCESS_CANCELLED, /* process_cancel(); being killed */
    PROCESS_FAILED,    /* could not be started; code is an errno */
} ProcessEnd;

typedef struct {
    ProcessEnd end;
    int code;
    int64_t duration_us;
    const char *output; /* NUL terminated, raw, at most output_max; valid during the callback */
    size_t output_length;
} ProcessResult;

typedef struct Process Process;

typedef struct {
    /* Optional: it runs; process_pid() is known. Not called when it is being killed already. */
    void (*started)(Process *process, gpointer user_data);
    /* Once, from the main loop, never from within process_start() or process_cancel(). */
    void (*done)(Process *process, const ProcessResult *result, gpointer user_data);
    /* The process no longer exists (after `done`, possibly in the same dispatch); the last call.
     * The Process frees itself afterwards. */
    void (*gone)(Process *process, gpointer user_data);
} ProcessEvents;
