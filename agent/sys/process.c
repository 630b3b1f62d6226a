/*
 * process: see process.h.
 *
 * Life of a Process: STARTING (the spawner has it) -> RUNNING (pid and pidfd are known) -> reaped.
 * Independently of that `done` is called once. The Process frees itself when it is reaped (or was
 * never started) and every callback is over; nobody else frees it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/process.h"

#include "sys/process_output.h"
#include "sys/spawner.h"
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Bytes read in one dispatch: what a pipe holds by default. A flood gets its turn, no more. */
#define READ_MAX ((size_t)64 << 10)

#define IDTYPE_PIDFD ((idtype_t)3) /* P_PIDFD, which glibc 2.34 does not name */

struct Process {
    ProcessEvents events;
    gpointer user_data;
    SpawnJob *job; /* until the spawner answered */
    pid_t pid;     /* 0 until started and again when reaped */
    int pidfd;
    int output_fd; /* -1: none, or at its end */
    ProcessOutput output;
    int64_t started_us;
    GSource *pidfd_source, *output_source;
    GSource *end_source;  /* calls `done` at the deadline, or at once after a cancel */
    GSource *kill_source; /* SIGTERM was sent; SIGKILL follows */
    ProcessEnd end;       /* what end_source will report */
    int error;            /* why there is no pipe */
    bool killing;
    bool whole_group;
    bool done;
};

static void clear_source(GSource **source)
{
    if (!*source)
        return;
    g_source_destroy(*source);
    g_clear_pointer(source, g_source_unref);
}

static GSource *watch_fd(int fd, GIOCondition condition, int priority, GUnixFDSourceFunc func,
                         Process *process)
{
    GSource *source = g_unix_fd_source_new(fd, condition);

    g_source_set_priority(source, priority);
    g_source_set_callback(source, G_SOURCE_FUNC(func), process, NULL);
    g_source_attach(source, NULL);
    return source;
}

static void close_output(Process *process)
{
    clear_source(&process->output_source);
    if (process->output_fd >= 0)
        close(process->output_fd);
    process->output_fd = -1;
}

static void call_done(Process *process, ProcessEnd end, int code)
{
    ProcessResult result = {.end = end, .code = code};

    if (process->done)
        return;
    process->done = true;
    clear_source(&process->end_source);
    result.duration_us = deadline_now() - process->started_us;
    result.output = process_output_text(&process->output);
    result.output_length = process->output.length;
    if (process->events.done)
        process->events.done(process, &result, process->user_data);
    process_output_clear(&process->output);
}

/* The last thing that happens to a Process. */
static void finish(Process *process)
{
    close_output(process);
    clear_source(&process->end_source);
    clear_source(&process->kill_source);
    clear_source(&process->pidfd_source);
    if (process->pidfd >= 0)
        close(process->pidfd);
    if (process->events.gone)
        process->events.gone(process, process->user_data);
    process_output_clear(&process->output);
    g_free(process);
}

/* Signals the group; only while the leader is not reaped, which keeps the number ours. */
static void signal_group(const Process *process, int number)
{
    if (process->pid > 0)
        (void)kill(-process->pid, number);
}

static gboolean kill_now(gpointer user_data)
{
    Process *process = user_data;

    deadline_source_clear(&process->kill_source);
    signal_group(process, SIGKILL);
    return G_SOURCE_REMOVE;
}

static void begin_kill(Process *process)
{
    if (process->killing)
        return;
    process->killing = true;
    if (process->job) {
        spawner_give_up(process->job);
        return;
    }
    signal_group(process, SIGTERM);
    process->kill_source =
        deadline_source_new(deadline_in(PROCESS_KILL_DELAY_US), kill_now, process);
}

/* What the process itself wrote is in the pipe by now; what a background child goes on writing is
 * not waited for. */
static void drain(Process *process)
{
    int there = 0;

    if (process->output_fd < 0 || process->done)
        return;
    if (ioctl(process->output_fd, FIONREAD, &there) == 0 && there > 0)
        (void)process_output_read(&process->output, process->output_fd, (size_t)there);
}

/* Returns false when the process still exists. Else it is reaped and `info` filled; si_pid 0: its
 * status was taken away from us (SIGCHLD is ignored). */
static bool reap(Process *process, siginfo_t *info)
{
    *info = (siginfo_t){0};
    if (waitid(IDTYPE_PIDFD, (id_t)process->pidfd, info, WEXITED | WNOHANG | WNOWAIT) < 0) {
        if (errno != ECHILD)
            return false;
        process->pid = 0;
        return true;
    }
    if (info->si_pid == 0)
        return false;
    /* Whoever in the group ignores SIGTERM: the unreaped leader keeps the group's number ours. */
    if (process->killing || process->whole_group)
        signal_group(process, SIGKILL);
    (void)waitid(IDTYPE_PIDFD, (id_t)process->pidfd, info, WEXITED | WNOHANG);
    process->pid = 0;
    return true;
}

/* Frees the process when it has ended. */
static bool end_if_exited(Process *process)
{
    siginfo_t info;

    if (!reap(process, &info))
        return false;
    drain(process);
    close_output(process);
    if (process->killing)
        call_done(process, process->end, 0);
    else if (info.si_pid == 0)
        call_done(process, PROCESS_FAILED, ECHILD);
    else
        call_done(process, info.si_code == CLD_EXITED ? PROCESS_EXITED : PROCESS_SIGNALED,
                  info.si_status);
    finish(process);
    return true;
}

static gboolean pidfd_ready(gint fd, GIOCondition condition, gpointer user_data)
{
    (void)fd;
    (void)condition;
    return end_if_exited(user_data) ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

static gboolean output_ready(gint fd, GIOCondition condition, gpointer user_data)
{
    Process *process = user_data;

    (void)condition;
    if (process_output_read(process->done ? NULL : &process->output, fd, READ_MAX))
        return G_SOURCE_CONTINUE;
    close_output(process);
    return G_SOURCE_REMOVE;
}

static void spawned(const SpawnResult *result, gpointer user_data)
{
    Process *process = user_data;

    process->job = NULL;
    if (result->error != 0) {
        if (process->killing)
            call_done(process, process->end, 0);
        else
            call_done(process, PROCESS_FAILED, result->error);
        finish(process);
        return;
    }
    process->pid = result->pid;
    process->pidfd = result->pidfd;
    /* Given up meanwhile: it has done nothing that it could tidy up. */
    if (process->killing)
        signal_group(process, SIGKILL);
    process->pidfd_source =
        watch_fd(result->pidfd, G_IO_IN, G_PRIORITY_DEFAULT, pidfd_ready, process);
    /* Below everything else: who writes without end must not hold up an answer to the host. */
    if (process->output_fd >= 0)
        process->output_source = watch_fd(process->output_fd, G_IO_IN | G_IO_HUP,
                                          G_PRIORITY_DEFAULT_IDLE, output_ready, process);
    if (process->events.started && !process->killing)
        process->events.started(process, process->user_data);
}

static gboolean end_now(gpointer user_data)
{
    Process *process = user_data;

    deadline_source_clear(&process->end_source);
    /* It may have ended in time and only we are late: a busy loop, a VM that was paused. */
    if (!process->killing && process->pid > 0 && end_if_exited(process))
        return G_SOURCE_REMOVE;
    begin_kill(process);
    call_done(process, process->end, 0);
    return G_SOURCE_REMOVE;
}

/* Returns the writing end; -1 with errno. */
static int open_output(Process *process)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    /* Only our end: the child's must be an ordinary one. */
    (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
    process->output_fd = ends[0];
    return ends[1];
}

static gboolean fail_now(gpointer user_data)
{
    Process *process = user_data;
    ProcessEnd end = process->killing ? process->end : PROCESS_FAILED;

    deadline_source_clear(&process->end_source);
    call_done(process, end, end == PROCESS_FAILED ? process->error : 0);
    finish(process);
    return G_SOURCE_REMOVE;
}

Process *process_start(const ProcessSpec *spec, Deadline deadline, const ProcessEvents *events,
                       gpointer user_data)
{
    Process *process = g_new0(Process, 1);
    int output = -1;

    process->events = *events;
    process->user_data = user_data;
    process->pidfd = process->output_fd = -1;
    process->output.max = spec->output_max;
    process->started_us = deadline_now();
    process->end = PROCESS_TIMED_OUT;
    process->whole_group = spec->whole_group;
    if (spec->output_max > 0) {
        output = open_output(process);
        if (output < 0) {
            process->error = errno;
            if (spec->input > 0)
                close(spec->input);
            process->end_source = deadline_source_new(deadline_in(0), fail_now, process);
            return process;
        }
    }
    process->end_source = deadline_source_new(deadline, end_now, process);
    process->job = spawner_start(&(SpawnSpec){.path = spec->path,
                                              .argv = spec->argv,
                                              .envp = spec->envp,
                                              .input = spec->input > 0 ? spec->input : SPAWN_NULL,
                                              .output = output,
                                              .error = SPAWN_OUTPUT},
                                 spawned, process);
    return process;
}

void process_cancel(Process *process)
{
    if (process->done || process->killing)
        return;
    process->end = PROCESS_CANCELLED;
    /* Never started (fail_now is pending): nothing to kill, and that source reports it. */
    if (!process->job && process->pid == 0) {
        process->killing = true;
        return;
    }
    begin_kill(process);
    deadline_source_clear(&process->end_source);
    process->end_source = deadline_source_new(deadline_in(0), end_now, process);
}

void process_set_deadline(Process *process, Deadline deadline)
{
    if (process->done || process->killing || (!process->job && process->pid == 0))
        return;
    deadline_source_clear(&process->end_source);
    process->end_source = deadline_source_new(deadline, end_now, process);
}

void process_check(Process *process)
{
    if (!process->done && !process->job && process->pid > 0)
        (void)end_if_exited(process);
}

void process_abandon(Process *process)
{
    process->events = (ProcessEvents){0};
    if (process->job || process->pid > 0)
        begin_kill(process);
}

pid_t process_pid(const Process *process)
{
    return process->pid;
}
