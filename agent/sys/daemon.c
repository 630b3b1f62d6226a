/*
 * daemon: see daemon.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct Daemon {
    char *pidfile;
    int pidfile_fd;
    int ready_fd; /* to the process that was started; -1: it was told */
};

/* In the process that was started. */
static void wait_for_child(int fd)
{
    struct pollfd ready = {fd, POLLIN, 0};
    char byte = 0;
    int count = 0;

    do
        count = poll(&ready, 1, DAEMON_START_SECONDS * 1000);
    while (count < 0 && errno == EINTR);
    if (count == 0) {
        (void)fprintf(stderr, "not serving after %u s; it goes on in the background\n",
                      DAEMON_START_SECONDS);
        _exit(1);
    }
    _exit(read(fd, &byte, 1) == 1 ? 0 : 1);
}

/* Locked for as long as this process lives; the lock does not survive a fork. */
static int write_pidfile(const char *path, GError **error)
{
    int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
    g_autofree char *text = g_strdup_printf("%d\n", (int)getpid());
    ssize_t length = (ssize_t)strlen(text);

    if (fd < 0) {
        agent_error_errno(error, AGENT_ERROR_UNAVAILABLE, errno, "cannot open pid file %s", path);
        return -1;
    }
    if (lockf(fd, F_TLOCK, 0) == 0 && ftruncate(fd, 0) == 0 &&
        write(fd, text, (size_t)length) == length)
        return fd;
    if (errno == EAGAIN || errno == EACCES)
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_UNAVAILABLE,
                    "cannot lock pid file %s: another agent runs with it; stop that one, or name "
                    "another file",
                    path);
    else
        agent_error_errno(error, AGENT_ERROR_UNAVAILABLE, errno, "cannot write pid file %s", path);
    close(fd);
    return -1;
}

static bool leave_terminal(GError **error)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null < 0 || chdir("/") < 0)
        return agent_error_errno(error, AGENT_ERROR_UNAVAILABLE, errno, "/dev/null or /");
    (void)dup2(null, STDIN_FILENO);
    (void)dup2(null, STDOUT_FILENO);
    (void)dup2(null, STDERR_FILENO);
    if (null > STDERR_FILENO)
        close(null);
    return true;
}

Daemon *daemon_new(const char *pidfile, GError **error)
{
    int ready[2] = {-1, -1};
    Daemon *daemon = NULL;
    int fd = -1;
    pid_t child = 0;

    if (pipe2(ready, O_CLOEXEC) < 0 || (child = fork()) < 0) {
        agent_error_errno(error, AGENT_ERROR_UNAVAILABLE, errno, "cannot go to the background");
        return NULL;
    }
    if (child > 0) {
        close(ready[1]);
        wait_for_child(ready[0]);
    }
    close(ready[0]);
    (void)setsid();
    (void)umask(S_IRWXG | S_IRWXO);
    fd = write_pidfile(pidfile, error);
    if (fd < 0 || !leave_terminal(error)) {
        if (fd >= 0)
            close(fd);
        close(ready[1]);
        return NULL;
    }
    daemon = g_new0(Daemon, 1);
    daemon->pidfile = g_strdup(pidfile);
    daemon->pidfile_fd = fd;
    daemon->ready_fd = ready[1];
    return daemon;
}

void daemon_ready(Daemon *daemon)
{
    if (!daemon || daemon->ready_fd < 0)
        return;
    (void)!write(daemon->ready_fd, "", 1);
    close(daemon->ready_fd);
    daemon->ready_fd = -1;
}

void daemon_free(Daemon *daemon)
{
    if (!daemon)
        return;
    (void)unlink(daemon->pidfile);
    close(daemon->pidfile_fd);
    if (daemon->ready_fd >= 0)
        close(daemon->ready_fd);
    g_free(daemon->pidfile);
    g_free(daemon);
}

int daemon_open_log(const char *path, GError **error)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, S_IRUSR | S_IWUSR);

    if (fd < 0)
        agent_error_errno(error, AGENT_ERROR_UNAVAILABLE, errno, "cannot open log file %s", path);
    return fd;
}

void daemon_use_log(int fd)
{
    (void)dup2(fd, STDERR_FILENO);
    close(fd);
}
