/*
 * barespawn: how long a machine takes to run these programs at once when nobody supervises them.
 *
 *   barespawn PROGRAM...
 *
 * Starts each with the argument "freeze", output to /dev/null, and waits for all. Prints the
 * seconds. What the quiescing of hooks takes can be compared with this, in the same machine.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv)
{
    struct timespec began, ended;
    posix_spawn_file_actions_t actions;
    pid_t pid;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
    clock_gettime(CLOCK_MONOTONIC, &began);
    for (int i = 1; i < argc; i++) {
        char *arguments[] = {argv[i], "freeze", NULL};

        if (posix_spawn(&pid, argv[i], &actions, NULL, arguments, environ) != 0)
            return 1;
    }
    while (wait(NULL) > 0)
        ;
    clock_gettime(CLOCK_MONOTONIC, &ended);
    return printf("%.3f\n", (double)(ended.tv_sec - began.tv_sec) +
                                (double)(ended.tv_nsec - began.tv_nsec) / 1e9) < 0;
}
