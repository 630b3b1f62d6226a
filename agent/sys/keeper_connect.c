/*
 * keeper_connect: gets the service a connection to its keeper; see keeper.h.
 *
 * The socket is tried first. While there is none its directory is watched (inotify), or the nearest
 * one above that exists; nothing is polled. A keeper that ends before it was ready, and a program
 * that dies, are tried again after 100 ms, doubling up to 10 s.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/keeper_internal.h"
#include "sys/watchfd.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define RETRY_FIRST_US (100 * USEC_PER_MSEC)
#define RETRY_LAST_US  (2 * USEC_PER_SEC) /* a freeze does not wait much longer for a keeper */
#define CHILD_FD       3
#define CHILD_OPTION   "--fd=3"

extern char **environ;

static void attempt(Keeper *keeper);

static gboolean on_retry(gpointer user_data)
{
    Keeper *keeper = user_data;

    deadline_source_clear(&keeper->retry_timer);
    attempt(keeper);
    return G_SOURCE_REMOVE;
}

static void retry(Keeper *keeper)
{
    int64_t delay = RETRY_FIRST_US;

    for (unsigned i = 1; i < keeper->failures && delay < RETRY_LAST_US; i++)
        delay *= 2;
    deadline_source_clear(&keeper->retry_timer);
    keeper->retry_timer =
        deadline_source_new(deadline_in(MIN(delay, RETRY_LAST_US)), on_retry, keeper);
}

/* --- the socket --------------------------------------------------------------------------------
 */

static void unwatch(Keeper *keeper)
{
    deadline_source_clear(&keeper->inotify_source);
    if (keeper->inotify_id >= 0)
        (void)inotify_rm_watch(keeper->inotify_fd, keeper->inotify_id);
    watchfd_give(keeper->inotify_fd);
    keeper->inotify_fd = keeper->inotify_id = -1;
}

static gboolean on_directory(int fd, GIOCondition condition, gpointer user_data)
{
    Keeper *keeper = user_data;

    (void)fd;
    (void)condition;
    /* What exactly happened does not matter; a new watch begins with a look. */
    unwatch(keeper);
    attempt(keeper);
    return G_SOURCE_REMOVE;
}

static void watch_directory(Keeper *keeper)
{
    g_autofree char *directory = g_path_get_dirname(keeper->socket_path);
    uint32_t events =
        IN_CREATE | IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

    unwatch(keeper);
    keeper->inotify_fd = watchfd_take();
    while (keeper->inotify_fd >= 0 &&
           (keeper->inotify_id = inotify_add_watch(keeper->inotify_fd, directory, events)) < 0) {
        bool hopeless = errno == ENOSPC || g_str_equal(directory, "/");
        char *parent = g_path_get_dirname(directory);

        hopeless = hopeless || g_str_equal(parent, directory);
        g_free(directory);
        directory = parent;
        if (hopeless)
            unwatch(keeper);
    }
    if (keeper->inotify_fd < 0) {
        keeper->failures++;
        retry(keeper);
        return;
    }
    keeper->inotify_source = g_unix_fd_source_new(keeper->inotify_fd, G_IO_IN);
    g_source_set_callback(keeper->inotify_source, G_SOURCE_FUNC(on_directory), keeper, NULL);
    g_source_attach(keeper->inotify_source, NULL);
}

/* An fd, or -errno. AF_UNIX connects at once or not at all. */
static int connect_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd, number;

    if (strlen(path) >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path));
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)(const void *)&address, sizeof address) == 0)
        return fd;
    number = errno;
    (void)close(fd);
    return -number;
}

/* --- the program -------------------------------------------------------------------------------
 */

typedef struct {
    Keeper *keeper; /* a reference */
    char *program;
    int fd, child_fd;
    pid_t pid;
    int error;
} Spawn;

typedef struct {
    pid_t pid;
    int pidfd;
} Child;

/* Independent of any Keeper: a child may outlive it, stuck in the kernel. */
static gboolean on_child(int fd, GIOCondition condition, gpointer user_data)
{
    Child *child = user_data;

    (void)fd;
    (void)condition;
    return waitpid(child->pid, NULL, WNOHANG) == 0 ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

static void child_free(gpointer data)
{
    Child *child = data;

    (void)close(child->pidfd);
    g_free(child);
}

static void reap_later(pid_t pid)
{
    Child *child = g_new0(Child, 1);
    GSource *source;

    child->pid = pid;
    child->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (child->pidfd < 0) {
        g_free(child);
        return;
    }
    source = g_unix_fd_source_new(child->pidfd, G_IO_IN);
    g_source_set_callback(source, G_SOURCE_FUNC(on_child), child, child_free);
    g_source_attach(source, NULL);
    g_source_unref(source);
}

/* A session of its own: what is sent to the service's process group is not meant for the keeper. */
static int spawn(Spawn *job)
{
    char *argv[] = {job->program, (char *)CHILD_OPTION, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    int number;

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, job->child_fd, CHILD_FD);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    number = posix_spawn(&job->pid, job->program, &actions, &attributes, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return number;
}

static gboolean on_spawned(gpointer user_data)
{
    Spawn *job = user_data;
    Keeper *keeper = job->keeper;

    keeper->spawning = false;
    if (job->error == 0)
        reap_later(job->pid);
    if (job->error == 0 && !keeper->freed) {
        keeper_linked(keeper, job->fd);
        job->fd = -1;
    } else if (!keeper->freed) {
        keeper_set_reason(keeper, "cannot start %s: %s", job->program, g_strerror(job->error));
        keeper->failures++;
        retry(keeper);
    }
    if (job->fd >= 0)
        (void)close(job->fd);
    keeper_unref(keeper);
    g_free(job->program);
    g_free(job);
    return G_SOURCE_REMOVE;
}

/* posix_spawn returns when the program was read from disk, which must not hold up the main loop. */
static gpointer spawn_thread(gpointer data)
{
    Spawn *job = data;

    job->error = spawn(job);
    (void)close(job->child_fd);
    g_idle_add_full(G_PRIORITY_DEFAULT, on_spawned, job, NULL);
    return NULL;
}

static void start_program(Keeper *keeper)
{
    g_autoptr(GError) error = NULL;
    Spawn *job;
    GThread *thread;
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) {
        keeper_set_reason(keeper, "cannot start the keeper: %s", g_strerror(errno));
        keeper->failures++;
        retry(keeper);
        return;
    }
    job = g_new0(Spawn, 1);
    *job = (Spawn){keeper_ref(keeper), g_strdup(keeper->program), pair[0], pair[1], 0, EAGAIN};
    keeper->spawning = true;
    if (keeper->failures == 0) /* else why it failed says more */
        keeper_set_reason(keeper, "the keeper is being started");
    thread = g_thread_try_new("keeper-spawn", spawn_thread, job, &error);
    if (thread) {
        g_thread_unref(thread);
        return;
    }
    (void)close(job->child_fd);
    g_idle_add_full(G_PRIORITY_DEFAULT, on_spawned, job, NULL);
}

/* --- together ----------------------------------------------------------------------------------
 */

static void attempt(Keeper *keeper)
{
    int fd = -ENOENT;

    if (keeper->fd >= 0 || keeper->spawning)
        return;
    deadline_source_clear(&keeper->retry_timer);
    /* The watch comes before the look, or a socket made in between would go unnoticed. */
    if (keeper->socket_path) {
        if (!keeper->program)
            watch_directory(keeper);
        fd = connect_socket(keeper->socket_path);
    }
    if (fd >= 0) {
        unwatch(keeper);
        keeper_linked(keeper, fd);
        return;
    }
    if (keeper->program) {
        start_program(keeper);
        return;
    }
    keeper_set_reason(keeper,
                      "cannot connect to the keeper at %s: %s; is quiesced-keeper.socket "
                      "started?",
                      keeper->socket_path ? keeper->socket_path : "(no path)", g_strerror(-fd));
    if (fd != -ENOENT && fd != -ECONNREFUSED && !keeper->retry_timer) {
        keeper->failures++;
        retry(keeper);
    }
}

void keeper_connect(Keeper *keeper)
{
    keeper->wanted = true;
    attempt(keeper);
}

void keeper_again(Keeper *keeper)
{
    if (!keeper->wanted)
        return;
    /* A keeper that died once is replaced at once by systemd, a moment later by us. */
    if (keeper->failures > 0 || keeper->program)
        retry(keeper);
    else
        attempt(keeper);
}

void keeper_connect_clear(Keeper *keeper)
{
    keeper->wanted = false;
    deadline_source_clear(&keeper->retry_timer);
    unwatch(keeper);
}
