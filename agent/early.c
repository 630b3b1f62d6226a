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
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static bool ledger_holds(const AgentPaths *paths, unsigned major, unsigned minor)
{
    g_autofree char *path = g_build_filename(paths->runtime_dir, "ledger", NULL);
    g_autoptr(Ledger) ledger = NULL;

    if (access(path, F_OK) != 0 || !(ledger = ledger_open(path, NULL)) || !ledger_active(ledger))
        return false;
    for (unsigned i = 0; i < ledger_filesystems(ledger); i++) {
        const KeeperLedgerFilesystem *held = ledger_filesystem(ledger, i);

        if (held->major == major && held->minor == minor &&
            (held->state == KEEPER_FS_FROZEN || held->state == KEEPER_FS_IN_FLIGHT))
            return true;
    }
    return false;
}

bool early_is_held(const AgentPaths *paths, const char *file)
{
    g_autofree char *directory = g_path_get_dirname(file);
    g_autofree char *real = realpath(directory, NULL); /* looks up names only */
    unsigned major = 0, minor = 0;

    return real && mountinfo_of_path(paths->mountinfo, real, &major, &minor) &&
           ledger_holds(paths, major, minor);
}

/* A file that cannot be written to now: what is said goes nowhere. */
static bool stderr_is_held(const AgentPaths *paths)
{
    g_autofree char *file = g_file_read_link("/proc/self/fd/2", NULL);

    return file && g_path_is_absolute(file) && early_is_held(paths, file);
}

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
    _exit(agent ? agent_recover(agent) : 1);
}

static void await(pid_t child)
{
    int fd = (int)syscall(SYS_pidfd_open, child, 0);
    struct pollfd ended = {fd, POLLIN, 0};

    if (fd < 0)
        return;
    while (poll(&ended, 1, EARLY_MS) < 0 && errno == EINTR)
        ;
    (void)waitpid(child, NULL, WNOHANG);
    close(fd);
}

void early_recover(const AgentPaths *paths, char *const *files, AgentReload reload,
                   gpointer user_data)
{
    bool silent = stderr_is_held(paths), held = silent;
    pid_t child = -1;

    for (unsigned i = 0; files[i] && !held; i++)
        held = early_is_held(paths, files[i]);
    if (!held)
        return;
    child = fork();
    if (child == 0)
        recover(paths, silent, reload, user_data);
    if (child > 0)
        await(child);
}
