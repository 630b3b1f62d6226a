/*
 * early: see early.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "early.h"

#include "sys/ledger.h"
#include "sys/mountinfo.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* The ledger, if it has something frozen. */
static Ledger *ledger_of_frozen(const AgentPaths *paths)
{
    g_autofree char *path = g_build_filename(paths->runtime_dir, "ledger", NULL);
    g_autoptr(Ledger) ledger = access(path, F_OK) == 0 ? ledger_open(path, NULL) : NULL;

    for (unsigned i = 0; ledger && ledger_active(ledger) && i < ledger_filesystems(ledger); i++) {
        KeeperFilesystemState state = ledger_filesystem(ledger, i)->state;

        if (state == KEEPER_FS_FROZEN || state == KEEPER_FS_IN_FLIGHT)
            return g_steal_pointer(&ledger);
    }
    return NULL;
}

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

/* `alive` ends with the child, and so does its hold on the ledger. */
static bool await(int alive, int milliseconds)
{
    struct pollfd ended = {alive, POLLIN, 0};
    int count = 0;

    do
        count = poll(&ended, 1, milliseconds);
    while (count < 0 && errno == EINTR);
    return count > 0;
}

static void recover_in_child(const AgentPaths *paths, bool silent, AgentReload reload,
                             gpointer user_data)
{
    int alive[2] = {-1, -1};
    pid_t child = -1;

    if (pipe2(alive, O_CLOEXEC) < 0)
        return;
    child = fork();
    if (child == 0)
        recover(paths, silent, reload, user_data);
    close(alive[1]);
    if (child > 0 && !await(alive[0], EARLY_MS)) {
        (void)kill(child, SIGKILL);
        (void)await(alive[0], EARLY_KILLED_MS);
    }
    close(alive[0]);
    if (child > 0)
        (void)waitpid(child, NULL, WNOHANG);
}

void early_recover(const AgentPaths *paths, char *const *files, AgentReload reload,
                   gpointer user_data)
{
    Ledger *ledger = ledger_of_frozen(paths);
    g_autofree char *log = ledger ? g_file_read_link("/proc/self/fd/2", NULL) : NULL;
    bool silent = log && g_path_is_absolute(log) && is_held(paths, ledger, log);
    bool held = silent;

    for (unsigned i = 0; ledger && files[i] && !held; i++)
        held = is_held(paths, ledger, files[i]);
    ledger_close(ledger); /* its lock is the child's */
    if (held)
        recover_in_child(paths, silent, reload, user_data);
}
