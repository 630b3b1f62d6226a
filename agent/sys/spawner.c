/*
 * spawner: see spawner.h.
 *
 * The pool is the one thing here that outlives a job: made once, never changed but for its width.
 * Its threads are shared with GLib's and end by themselves when idle. Job and main loop hand the
 * fields over by `state`: QUEUED belongs to nobody, RUNNING to the thread, DONE to the main loop.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { JOB_QUEUED, JOB_RUNNING, JOB_DONE };

struct SpawnJob {
    atomic_int state;
    atomic_bool unwanted;
    bool widened; /* main loop only: the pool has one thread more because of this job */
    char *path;
    char **argv, **envp;
    int output;
    SpawnResult result;
    SpawnDone done;
    gpointer user_data;
};

static void spawner_thread(gpointer data, gpointer user_data);

static GThreadPool *spawner_pool(void)
{
    static gsize pool;

    if (g_once_init_enter(&pool)) {
        GThreadPool *made = g_thread_pool_new(spawner_thread, NULL, SPAWNER_THREADS, FALSE, NULL);
        g_once_init_leave(&pool, (gsize)made);
    }
    return (GThreadPool *)pool;
}

/* `output` goes to 1 and 2 before 0 is opened: it may itself have one of these numbers. */
static int add_file_actions(posix_spawn_file_actions_t *actions, int output)
{
    int error = 0;

    if (output >= 0)
        error = posix_spawn_file_actions_adddup2(actions, output, STDOUT_FILENO);
    else
        error = posix_spawn_file_actions_addopen(actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    if (error == 0)
        error = posix_spawn_file_actions_adddup2(actions, output >= 0 ? output : STDOUT_FILENO,
                                                 STDERR_FILENO);
    if (error == 0)
        error = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (error == 0)
        error = posix_spawn_file_actions_addchdir_np(actions, "/");
    /* Last, and before the exec that may hang: a stuck child then holds none of our sockets. */
    if (error == 0)
        error = posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
    return error;
}

static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t all, none;
    int error;

    sigfillset(&all);
    sigemptyset(&none);
    error = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                                     POSIX_SPAWN_SETSIGDEF);
    if (error == 0)
        error = posix_spawnattr_setpgroup(attributes, 0);
    if (error == 0)
        error = posix_spawnattr_setsigmask(attributes, &none);
    if (error == 0)
        error = posix_spawnattr_setsigdefault(attributes, &all);
    return error;
}

static int spawn(SpawnJob *job)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int error = posix_spawn_file_actions_init(&actions);

    if (error != 0)
        return error;
    error = posix_spawnattr_init(&attributes);
    if (error == 0) {
        error = set_attributes(&attributes);
        if (error == 0)
            error = add_file_actions(&actions, job->output);
        if (error == 0)
            error = posix_spawn(&job->result.pid, job->path, &actions, &attributes, job->argv,
                                job->envp);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

/* Nobody else waits for our children, so the pid stays ours until it is reaped. */
static void open_pidfd(SpawnResult *result)
{
    result->pidfd = (int)syscall(SYS_pidfd_open, result->pid, 0);
    if (result->pidfd >= 0)
        return;
    result->error = errno;
    (void)kill(-result->pid, SIGKILL);
    while (waitpid(result->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    result->pid = 0;
}

static void job_free(SpawnJob *job)
{
    g_free(job->path);
    g_strfreev(job->argv);
    g_strfreev(job->envp);
    g_free(job);
}

static gboolean deliver(gpointer data)
{
    SpawnJob *job = data;
    GThreadPool *pool = spawner_pool();

    /* Takes over what the thread wrote. */
    if (atomic_load(&job->state) != JOB_DONE)
        return G_SOURCE_REMOVE;
    if (job->widened)
        g_thread_pool_set_max_threads(pool, g_thread_pool_get_max_threads(pool) - 1, NULL);
    job->done(&job->result, job->user_data);
    job_free(job);
    return G_SOURCE_REMOVE;
}

static void spawner_thread(gpointer data, gpointer user_data)
{
    SpawnJob *job = data;
    GSource *source = g_idle_source_new();

    (void)user_data;
    (void)atomic_exchange(&job->state, JOB_RUNNING); /* takes over what the main loop wrote */
    job->result.error = atomic_load(&job->unwanted) ? ECANCELED : spawn(job);
    if (job->output >= 0)
        close(job->output);
    if (job->result.error == 0)
        open_pidfd(&job->result);
    if (job->result.error == 0 && atomic_load(&job->unwanted))
        (void)kill(-job->result.pid, SIGKILL);
    g_source_set_priority(source, G_PRIORITY_DEFAULT);
    g_source_set_callback(source, deliver, job, NULL);
    atomic_store(&job->state, JOB_DONE);
    g_source_attach(source, NULL); /* from here on the job is the main loop's */
    g_source_unref(source);
}

SpawnJob *spawner_start(const char *path, const char *const *argv, const char *const *envp,
                        int output, SpawnDone done, gpointer user_data)
{
    SpawnJob *job = g_new0(SpawnJob, 1);

    job->path = g_strdup(path);
    job->argv = g_strdupv((char **)argv);
    job->envp = g_strdupv((char **)envp);
    job->output = output;
    job->result.pidfd = -1;
    job->done = done;
    job->user_data = user_data;
    atomic_store(&job->state, JOB_QUEUED);
    /* An error here means that no new thread could be made; the job stays queued for one of those
     * that exist, and the deadline covers it. */
    (void)g_thread_pool_push(spawner_pool(), job, NULL);
    return job;
}

void spawner_give_up(SpawnJob *job)
{
    GThreadPool *pool = spawner_pool();
    int width = g_thread_pool_get_max_threads(pool);

    atomic_store(&job->unwanted, true);
    if (atomic_load(&job->state) != JOB_RUNNING || job->widened || width >= SPAWNER_THREADS_MAX)
        return;
    job->widened = g_thread_pool_set_max_threads(pool, width + 1, NULL) != FALSE;
}
