/*
 * quiesced-run-as: runs a hook as another user; started by quiesced only.
 *
 *   quiesced-run-as USER PROGRAM ARGUMENT...   becomes USER and is replaced by PROGRAM
 *   quiesced-run-as --check USER               whether there is such a user
 *
 * A process of its own because looking a user up loads modules of the C library and may wait for a
 * directory server: here only the hook's own time is spent. Exit status: that of the program; 3 no
 * such user; 125 could not become it; 126 the program cannot be run. Plain C, no GLib.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NO_USER = 3, NOT_BECOME = 125, NOT_RUN = 126 };

static int fail(int status, const char *what, const char *name)
{
    if (errno)
        (void)fprintf(stderr, "%s %s: %s\n", what, name, strerror(errno));
    else
        (void)fprintf(stderr, "%s %s\n", what, name);
    return status;
}

static int become(const struct passwd *user)
{
    /* Groups first: afterwards there is no right to. */
    if (geteuid() != user->pw_uid && (initgroups(user->pw_name, user->pw_gid) < 0 ||
                                      setgid(user->pw_gid) < 0 || setuid(user->pw_uid) < 0))
        return -1;
    if (setenv("HOME", user->pw_dir, 1) < 0 || setenv("USER", user->pw_name, 1) < 0 ||
        setenv("LOGNAME", user->pw_name, 1) < 0)
        return -1;
    return 0;
}

int main(int argc, char **argv)
{
    bool check = argc == 3 && strcmp(argv[1], "--check") == 0;
    const char *name = check ? argv[2] : argc > 2 ? argv[1] : NULL;
    const struct passwd *user = NULL;

    if (!name) {
        (void)fputs("Usage: quiesced-run-as USER PROGRAM [ARGUMENT]...\n", stderr);
        return 2;
    }
    errno = 0;
    /* There is one thread. */
    /* cppcheck-suppress getpwnamCalled */
    user = getpwnam(name);
    if (!user)
        return fail(NO_USER, "there is no user", name);
    if (check)
        return 0;
    if (become(user) < 0)
        return fail(NOT_BECOME, "cannot become user", name);
    (void)execv(argv[2], argv + 2);
    return fail(NOT_RUN, "cannot be started:", argv[2]);
}
