/*
 * account: see account.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/account.h"

#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static bool in_passwd(const char *name)
{
    FILE *file = fopen("/etc/passwd", "re");
    struct passwd buffer = {0}, *entry = NULL;
    char text[4096]; /* one line */
    bool found = false;

    if (!file)
        return false;
    while (!found && fgetpwent_r(file, &buffer, text, sizeof text, &entry) == 0)
        found = strcmp(entry->pw_name, name) == 0;
    (void)fclose(file);
    return found;
}

/* Its exit status; -1: none in time. */
static int wait_for(pid_t pid)
{
    struct pollfd process = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
    int status = 0;
    bool in_time = process.fd >= 0 && poll(&process, 1, ACCOUNT_WAIT_MS) == 1;

    if (!in_time)
        (void)kill(pid, SIGKILL);
    if (process.fd >= 0)
        (void)close(process.fd);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return in_time && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool account_check(const char *name, const char *run_as, GError **error)
{
    char *const argv[] = {(char *)run_as, (char *)"--check", (char *)name, NULL};
    char *const environment[] = {NULL};
    pid_t pid = 0;
    int status = 1;

    if (in_passwd(name))
        return true;
    if (run_as && posix_spawn(&pid, run_as, NULL, NULL, argv, environment) == 0)
        status = wait_for(pid);
    if (status == 0)
        return true;
    if (status < 0)
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_TIMED_OUT,
                    "looking up '%s' took longer than %d s", name, ACCOUNT_WAIT_MS / 1000);
    else
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_CONFIG, "there is no user '%s'", name);
    return false;
}
