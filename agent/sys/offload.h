/*
 * offload: runs one blocking function off the main loop, in a thread that can be given up.
 *
 * The thread has an fd table of its own (unshare(CLONE_FILES), inherited fds closed) so that a
 * system call stuck in the kernel cannot keep the agent's sockets open after the agent was killed.
 * So fds opened outside are of no use to the function, nor are those it opens to others; results
 * that are fds are for offload_open(). stderr alone is left. A thread still running at the deadline
 * is abandoned: the caller is told at once, and what it later returns is freed. Abandoned threads
 * are counted for the whole process; no thread stays when there is nothing to do.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/deadline.h"
#include "base/error.h"
#include "sys/reach.h"

#define OFFLOAD_STACK_SIZE    ((size_t)128 << 10) /* explicit: the default reserves 8 MiB a thread */
#define OFFLOAD_ABANDONED_MAX 64u /* threads stuck at once; beyond it offload_run() fails */

typedef struct Offload Offload;

/* Runs in the thread; no GLib main context there. Returns a result for `done` (may be NULL). */
typedef gpointer (*OffloadFunc)(gpointer input);
/* Main loop. `result` is owned by the callee; `timed_out`: given up, `result` is NULL. NULL and not
 * timed out also when the thread could not get an fd table of its own; `func` was not called. */
typedef void (*OffloadDone)(gpointer result, bool timed_out, gpointer user_data);

/* `input` is passed to `func` and freed with `input_free` when the thread ends, abandoned or not.
 * Returns NULL with `error` when no thread could be started (`input` is freed then too). */
Offload *offload_run(const char *name, OffloadFunc func, gpointer input, GDestroyNotify input_free,
                     GDestroyNotify result_free, Deadline deadline, OffloadDone done,
                     gpointer user_data, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void offload_cancel(Offload *offload); /* `done` will not be called; the thread is abandoned */
gpointer offload_user_data(const Offload *offload); /* for who cancels it and owns that */
unsigned offload_abandoned(void);                   /* threads given up and still running */

/* Opening paths that may hang. The callback gets one call per request, on the main loop and never
 * from within offload_open(); it may call any function here. */
typedef struct OffloadOpen OffloadOpen;
typedef void (*OffloadOpened)(int fd, int error_number,
                              gpointer user_data); /* fd owned by callee */

/* reach_open() with a deadline. ETIMEDOUT when that passed, EAGAIN when no thread can be had. Many
 * opens share a few threads; one that is stuck is abandoned at its deadline, and others do not wait
 * for it. `place` is copied. */
OffloadOpen *offload_open(const ReachPlace *place, Deadline deadline, OffloadOpened opened,
                          gpointer user_data) G_GNUC_WARN_UNUSED_RESULT;
void offload_open_cancel(OffloadOpen *open); /* `opened` will not be called */
