/*
 * early: see early.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "early.h"

#include "base/deadline.h"
#include "sys/ledger.h"
#include "sys/mountinfo.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Names are looked up, nothing is opened. A file that is not there yet is where its folder is. */
static char *real_place(const char *file)
{
    g_autofree char *directory = g_path_get_dirname(file);
    char *real = realpath(file, NULL);

    return real ? real : realpath(directory, NULL);
}

static bool is_held(const AgentPaths *paths, const Ledger *ledger, const char *file)
{
    g_autofree char *place = real_place(file);
    unsigned major = 0, minor = 0;

    if (!place || !mountinfo_of_path(paths->mountinfo, place, &major, &minor))
        return false;
    for (unsigned i = 0; i < ledger_filesystems(ledger); i++) {
        const KeeperLedgerFilesystem *held = ledger_filesystem(ledger, i);

        if (held->major == major && held->minor == minor &&
            (held->state == KEEPER_FS_FROZEN || held->state == KEEPER_FS_IN_FLIGHT))
            return true;
    }
    return false;
}

/* In the child. With `silent`, what is said goes nowhere: it would have to be written there. */
static _Noreturn void recover(const AgentPaths *paths, bool silent, AgentReload reload,
                              gpointer user_data)
{
    AgentPaths mine = *paths;
    g_autoptr(GError) error = NULL;
    Config *config = NULL;
    Agent *agent = NULL;
    int null = silent ? open("/dev/null", O_WRONLY | O_CLOEXEC) : -1;

    if (null >= 0)
        (void)dup2(null, STDERR_FILENO);
    mine.keeper_program = NULL; /* nothing is to be frozen */
    config = reload(user_data, &error);
    agent = config ? agent_new(&mine, config, reload, user_data, &error) : NULL;
    if (!agent)
        (void)fprintf(stderr, "%s: what is left frozen cannot be released before the start: %s\n",
                      mine.program, error->message);
    _exit(agent ? agent_recover(agent) : 1);
}

/* The child has ended, and with it its hold on the ledger: a pipe would tell that too early. */
static bool await(const sigset_t *child_ended, pid_t child, int64_t limit_us)
{
    Deadline end = deadline_in(limit_us);
    pid_t ended = 0;

    while ((ended = waitpid(child, NULL, WNOHANG)) == 0 && !deadline_passed(end)) {
        int64_t left_us = end.at_us - deadline_now();
        const struct timespec left = {left_us / USEC_PER_SEC, left_us % USEC_PER_SEC * 1000};

        if (left_us > 0)
            (void)sigtimedwait(child_ended, NULL, &left);
    }
    return ended != 0;
}

static void recover_in_child(const AgentPaths *paths, bool silent, AgentReload reload,
                             gpointer user_data)
{
    sigset_t child_ended, before;
    pid_t child = -1;

    (void)signal(SIGCHLD, SIG_DFL); /* who started this may have had it ignored */
    (void)sigemptyset(&child_ended);
    (void)sigaddset(&child_ended, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &child_ended, &before);
    child = fork();
    if (child == 0) {
        (void)sigprocmask(SIG_SETMASK, &before, NULL);
        recover(paths, silent, reload, user_data);
    }
    if (child > 0 && !await(&child_ended, child, EARLY_US)) {
        (void)kill(child, SIGKILL);
        (void)await(&child_ended, child, EARLY_KILLED_US);
    }
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
}

void early_recover(const AgentPaths *paths, char *const *files, AgentReload reload,
                   gpointer user_data)
{
    g_autofree char *path = g_build_filename(paths->runtime_dir, "ledger", NULL);
    g_autofree char *log = g_file_read_link("/proc/self/fd/2", NULL);
    Ledger *ledger = access(path, F_OK) == 0 ? ledger_open(path, NULL) : NULL;
    bool left = ledger && ledger_active(ledger);
    bool silent = left && log && g_path_is_absolute(log) && is_held(paths, ledger, log);
    bool held = silent;

    for (unsigned i = 0; left && files[i] && !held; i++)
        held = is_held(paths, ledger, files[i]);
    ledger_close(ledger); /* its lock is the child's */
    if (held)
        recover_in_child(paths, silent, reload, user_data);
}
