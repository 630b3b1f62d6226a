/*
 * exec: see exec.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/exec.h"

#include "sys/exec_stream.h"
#include "sys/spawner.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define IDTYPE_PIDFD ((idtype_t)3) /* P_PIDFD, which glibc 2.34 does not name */

enum { INPUT, OUTPUT, ERROR, STREAMS };

struct Exec {
    ExecEvents events;
    gpointer user_data;
    SpawnJob *job; /* until the spawner answered */
    bool freed;    /* while it had not */
    pid_t pid;
    int pidfd;
    GSource *pidfd_source, *grace, *failure;
    ExecStream streams[STREAMS];
    int error; /* why it could not be started */
    int status, signal;
    bool ended, over;
};

static void exec_destroy(Exec *exec)
{
    deadline_source_clear(&exec->grace);
    deadline_source_clear(&exec->failure);
    deadline_source_clear(&exec->pidfd_source);
    for (unsigned i = 0; i < STREAMS; i++) {
        exec_stream_close(&exec->streams[i]);
        if (!exec->freed)
            exec_stream_forget(&exec->streams[i]);
    }
    if (exec->pidfd >= 0)
        close(exec->pidfd);
    g_free(exec);
}

static bool pipes_open(const Exec *exec)
{
    return exec->streams[OUTPUT].fd >= 0 || exec->streams[ERROR].fd >= 0;
}

static void complete(Exec *exec)
{
    if (exec->over)
        return;
    exec->over = true;
    deadline_source_clear(&exec->grace);
    exec_stream_close(&exec->streams[INPUT]); /* who reads it now was not meant */
    exec->events.over(exec, exec->user_data);
}

static void stream_closed(gpointer user_data)
{
    Exec *exec = user_data;

    if (!exec->ended || pipes_open(exec))
        return;
    if (exec->over)
        exec->events.drained(exec, exec->user_data);
    else
        complete(exec);
}

static gboolean grace_over(gpointer user_data)
{
    complete(user_data);
    return G_SOURCE_REMOVE;
}

static gboolean pidfd_ready(gint fd, GIOCondition condition, gpointer user_data)
{
    Exec *exec = user_data;
    siginfo_t info = {0};
    int result = waitid(IDTYPE_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG);

    (void)condition;
    if (result == 0 && info.si_pid == 0)
        return G_SOURCE_CONTINUE;
    if (result < 0 && errno == EINTR)
        return G_SOURCE_CONTINUE;
    exec->ended = true;
    if (info.si_code == CLD_EXITED)
        exec->status = info.si_status;
    else
        exec->signal = info.si_status;
    g_clear_pointer(&exec->pidfd_source, g_source_unref);
    if (pipes_open(exec))
        exec->grace = deadline_source_new(deadline_in(EXEC_GRACE_US), grace_over, exec);
    else
        complete(exec);
    return G_SOURCE_REMOVE;
}

static void spawned(const SpawnResult *result, gpointer user_data)
{
    Exec *exec = user_data;

    exec->job = NULL;
    exec->pid = result->pid;
    exec->pidfd = result->pidfd;
    if (exec->freed) {
        exec_destroy(exec);
        return;
    }
    if (result->error != 0) {
        exec->events.started(exec, result->error, exec->user_data);
        return;
    }
    exec->pidfd_source = g_unix_fd_source_new(exec->pidfd, G_IO_IN);
    g_source_set_callback(exec->pidfd_source, G_SOURCE_FUNC(pidfd_ready), exec, NULL);
    g_source_attach(exec->pidfd_source, NULL);
    for (unsigned i = 0; i < STREAMS; i++)
        exec_stream_watch(&exec->streams[i]);
    exec->events.started(exec, 0, exec->user_data);
}

static gboolean fail_now(gpointer user_data)
{
    Exec *exec = user_data;

    deadline_source_clear(&exec->failure);
    exec->events.started(exec, exec->error, exec->user_data);
    return G_SOURCE_REMOVE;
}

/* The child's ends; false with errno. */
static bool open_streams(Exec *exec, const ExecSpec *spec, int *ends)
{
    const bool wanted[STREAMS] = {spec->input != NULL, spec->keep_stdout,
                                  spec->keep_stderr && !spec->merge};

    for (unsigned i = 0; i < STREAMS; i++) {
        exec->streams[i] = (ExecStream){
            .fd = -1, .budget = spec->budget, .closed = stream_closed, .user_data = exec};
        ends[i] = SPAWN_NULL;
    }
    exec->streams[INPUT].input = spec->input;
    exec->streams[INPUT].input_length = spec->input_length;
    for (unsigned i = 0; i < STREAMS; i++) {
        if (!wanted[i])
            continue;
        ends[i] = exec_stream_open(&exec->streams[i], i != INPUT);
        if (ends[i] < 0)
            return false;
    }
    if (spec->merge)
        ends[ERROR] = SPAWN_OUTPUT;
    return true;
}

Exec *exec_start(const ExecSpec *spec, const ExecEvents *events, gpointer user_data)
{
    Exec *exec = g_new0(Exec, 1);
    int ends[STREAMS];

    exec->events = *events;
    exec->user_data = user_data;
    exec->pidfd = -1;
    if (!open_streams(exec, spec, ends)) {
        exec->error = errno;
        for (unsigned i = 0; i < STREAMS; i++)
            if (ends[i] >= 0)
                close(ends[i]);
        exec->failure = deadline_source_new(deadline_in(0), fail_now, exec);
        return exec;
    }
    exec->job = spawner_start(&(SpawnSpec){.path = spec->path,
                                           .argv = spec->argv,
                                           .envp = spec->envp,
                                           .search = spec->search,
                                           .input = ends[INPUT],
                                           .output = ends[OUTPUT],
                                           .error = ends[ERROR]},
                              spawned, exec);
    return exec;
}

void exec_free(Exec *exec)
{
    if (!exec)
        return;
    if (!exec->job) {
        exec_destroy(exec);
        return;
    }
    /* Started all the same: the host asked for it. Nothing was read yet, and the budget may go. */
    exec->freed = true;
}

pid_t exec_pid(const Exec *exec)
{
    return exec->pid;
}

bool exec_is_over(const Exec *exec)
{
    return exec->over;
}

bool exec_is_drained(const Exec *exec)
{
    return exec->over && !pipes_open(exec);
}

int exec_status(const Exec *exec, int *ret_signal)
{
    *ret_signal = exec->signal;
    return exec->status;
}

static ExecOutput take(ExecStream *stream)
{
    ExecOutput output = stream->output;

    stream->output.bytes = NULL;
    exec_stream_forget(stream);
    return output;
}

ExecOutput exec_take_stdout(Exec *exec)
{
    return take(&exec->streams[OUTPUT]);
}

ExecOutput exec_take_stderr(Exec *exec)
{
    return take(&exec->streams[ERROR]);
}
