/*
 * strand: a thread that keeps one fd, for calls that use it one after another.
 *
 * An offload thread ends with its function, and its fds with it; a file that a host keeps open, and
 * that may lie on a dead server, needs a thread for as long as it is open: only its own fd table
 * has the fd, so neither a hanging close() nor the agent's end can hold up anybody. A call that is
 * late is given up, the strand stays busy until the kernel lets go of it. Main loop only.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/deadline.h"
#include "base/error.h"

#include <stdbool.h>

typedef struct Strand Strand;

/* In the thread. `*fd` is the strand's, -1 at first. Returns a result for `done` (may be NULL). */
typedef gpointer (*StrandFunc)(int *fd, gpointer input);
/* Main loop. `result` is owned by the callee, who may free the strand. `timed_out`: `result` is
 * NULL, and what comes later is freed. NULL and not timed out: `func` was not called. */
typedef void (*StrandDone)(gpointer result, bool timed_out, gpointer user_data);

typedef struct {
    StrandFunc func;
    gpointer input; /* taken over */
    GDestroyNotify input_free, result_free;
    bool last; /* the thread ends with it; only strand_free() may follow */
} StrandCall;

Strand *strand_new(const char *name, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Drops the callback of a call under way. The fd is closed by the thread, when it can. */
void strand_free(Strand *strand);
/* Not while it is busy. */
void strand_run(Strand *strand, const StrandCall *call, Deadline deadline, StrandDone done,
                gpointer user_data);
bool strand_is_busy(const Strand *strand);
