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
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { JOB_QUEUED, JOB_RUNNING, JOB_DONE };

struct SpawnJob {
    atomic_int state;
    atomic_bool unwanted;
    bool widened; /* main loop only: the pool has one thread more because of this job */
    char *path, *search;
    char **argv, **envp;
    int fds[3]; /* the child's 0, 1, 2; -1: /dev/null, SPAWN_OUTPUT as the 1 */
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

/* None of the fds is itself one of 0, 1 or 2: see keep_clear(). */
static int add_file_actions(posix_spawn_file_actions_t *actions, const int *fds)
{
    int error = 0;

    for (int i = 0; i < 3 && error == 0; i++) {
        int flags = i == STDIN_FILENO ? O_RDONLY : O_WRONLY;

        if (fds[i] >= 0)
            error = posix_spawn_file_actions_adddup2(actions, fds[i], i);
        else if (fds[i] == SPAWN_OUTPUT)
            error = posix_spawn_file_actions_adddup2(actions, STDOUT_FILENO, i);
        else
            error = posix_spawn_file_actions_addopen(actions, i, "/dev/null", flags, 0);
    }
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

typedef struct {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
} SpawnHow;

/* A file that the kernel cannot run is a script for the shell. */
static int spawn_script(SpawnJob *job, const char *path, const SpawnHow *how)
{
    unsigned count = g_strv_length(job->argv);
    g_autofree char **argv = g_new0(char *, count + 2);

    argv[0] = (char *)"/bin/sh";
    argv[1] = (char *)path;
    for (unsigned i = 1; i < count; i++)
        argv[i + 1] = job->argv[i];
    return posix_spawn(&job->result.pid, argv[0], &how->actions, &how->attributes, argv, job->envp);
}

static int spawn_path(SpawnJob *job, const char *path, const SpawnHow *how)
{
    int error =
        posix_spawn(&job->result.pid, path, &how->actions, &how->attributes, job->argv, job->envp);

    return error == ENOEXEC && job->search ? spawn_script(job, path, how) : error;
}

/* As execvp() does; a directory that may not be searched is passed over but not forgotten. */
static int spawn_searched(SpawnJob *job, const SpawnHow *how)
{
    g_auto(GStrv) directories = g_strsplit(job->search, ":", -1);
    int error = ENOENT;

    if (job->path[0] == '\0')
        return ENOENT;
    for (unsigned i = 0; directories[i]; i++) {
        g_autofree char *path =
            g_build_filename(directories[i][0] ? directories[i] : ".", job->path, NULL);
        int found = spawn_path(job, path, how);

        if (found != ENOENT && found != ENOTDIR && found != EACCES)
            return found;
        if (found == EACCES)
            error = EACCES;
    }
    return error;
}

static int spawn(SpawnJob *job)
{
    SpawnHow how;
    int error = posix_spawn_file_actions_init(&how.actions);

    if (error != 0)
        return error;
    error = posix_spawnattr_init(&how.attributes);
    if (error == 0) {
        error = set_attributes(&how.attributes);
        if (error == 0)
            error = add_file_actions(&how.actions, job->fds);
        if (error == 0)
            error = job->search && !strchr(job->path, '/') ? spawn_searched(job, &how)
                                                           : spawn_path(job, job->path, &how);
        posix_spawnattr_destroy(&how.attributes);
    }
    posix_spawn_file_actions_destroy(&how.actions);
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
    g_free(job->search);
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
    for (unsigned i = 0; i < G_N_ELEMENTS(job->fds); i++)
        if (job->fds[i] >= 0)
            close(job->fds[i]);
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

/* The child's 0, 1 and 2 are opened one after another, over whatever has that number. */
static int keep_clear(int fd)
{
    int copy = -1;

    if (fd < 0 || fd > STDERR_FILENO)
        return fd;
    copy = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (copy < 0)
        return fd;
    close(fd);
    return copy;
}

SpawnJob *spawner_start(const SpawnSpec *spec, SpawnDone done, gpointer user_data)
{
    SpawnJob *job = g_new0(SpawnJob, 1);

    job->path = g_strdup(spec->path);
    job->search = g_strdup(spec->search);
    job->argv = g_strdupv((char **)spec->argv);
    job->envp = g_strdupv((char **)spec->envp);
    job->fds[0] = keep_clear(spec->input);
    job->fds[1] = keep_clear(spec->output);
    job->fds[2] = keep_clear(spec->error);
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
