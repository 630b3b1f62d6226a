/*
 * process: one child in its own process group, with a deadline and captured output.
 *
 * Started with posix_spawn from a spawner thread (the parent of vfork waits for the exec, which
 * may touch a slow disk), watched through a pidfd. Output (stdout and stderr, one pipe) is read
 * as it comes and kept up to `output_max`, the last bytes winning; the process's end counts, not
 * the pipe's: a background child that keeps stdout open does not hold anything up. At the deadline
 * the group gets SIGTERM, after PROCESS_KILL_DELAY_US SIGKILL, and `done` is called at once with
 * PROCESS_TIMED_OUT, without waiting for the corpse; `gone` follows when it is reaped. When a
 * process ends by itself, what is left of its group is left alone: services started by it live on.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/deadline.h"
#include "base/error.h"
#include "sys/process_events.h"
#include <stdbool.h>
#include <sys/types.h>

#define PROCESS_KILL_DELAY_US (1 * USEC_PER_SEC) /* SIGTERM to SIGKILL */

typedef struct {
    const char *path; /* absolute */
    const char *const *argv;
    const char *const *envp;
    size_t output_max; /* 0: output goes to /dev/null */
    int input;         /* becomes stdin; taken over; 0: /dev/null */
    /* What is left of its group when it ends by itself is killed: it holds something that nobody
     * would release. */
    bool whole_group;
} ProcessSpec;

/* Never fails: a start that does not work is `done` with PROCESS_FAILED. cwd is "/", signals are
 * default and unblocked, other fds closed. `spec` is copied. */
Process *process_start(const ProcessSpec *spec, Deadline deadline, const ProcessEvents *events,
                       gpointer user_data);
/* Ends it now as at the deadline, with PROCESS_CANCELLED; nothing when `done` was already called.
 */
void process_cancel(Process *process);
/* From now on this is the deadline; nothing when `done` was already called or it is being killed.
 */
void process_set_deadline(Process *process, Deadline deadline);
/* Looks now whether it has ended, without waiting; `done` and `gone` are called from within then.
 */
void process_check(Process *process);
/* Drops the callbacks; the process is killed if it still runs and freed when reaped. */
void process_abandon(Process *process);
pid_t process_pid(const Process *process); /* 0 until started */
