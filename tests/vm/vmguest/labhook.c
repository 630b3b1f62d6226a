/*
 * labhook: a hook of the fault matrix; a program, as a shell takes four times as long to start.
 *
 *   /etc/quiesced/hooks.d/NN-NAME VERB
 *
 * Appends "UPTIME OPERATION NAME VERB" to /run/hook.log. Then it becomes a shell that runs
 * /run/matrix/any, if there is one, and, when NAME is "sick", /run/matrix/VERB.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOG     "/run/hook.log"
#define CONTROL "/run/matrix"
#define RUN     "[ -f " CONTROL "/any ] && . " CONTROL "/any; "
#define RUN_ALL RUN "[ -f " CONTROL "/$1 ] && . " CONTROL "/$1; exit 0"

static void write_down(const char *name, const char *verb)
{
    const char *operation = getenv("QUIESCE_OPERATION");
    struct timespec up;
    char line[256];
    int log = open(LOG, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    int size;

    clock_gettime(CLOCK_BOOTTIME, &up);
    size = snprintf(line, sizeof line, "%lld.%02ld %s %s %s\n", (long long)up.tv_sec,
                    up.tv_nsec / 10000000, operation ? operation : "", name, verb);
    if (log < 0 || write(log, line, (size_t)size) != size)
        _exit(99);
    close(log);
}

static bool is_there(const char *name)
{
    char path[64];

    snprintf(path, sizeof path, CONTROL "/%s", name);
    return access(path, F_OK) == 0;
}

int main(int argc, char **argv)
{
    const char *name = strrchr(argv[0], '-');
    bool sick;

    if (argc < 2 || !name)
        return 98;
    write_down(name + 1, argv[1]);
    sick = strcmp(name + 1, "sick") == 0;
    if (!is_there("any") && !(sick && is_there(argv[1])))
        return 0;
    execl("/bin/sh", "sh", "-c", sick ? RUN_ALL : RUN "exit 0", argv[0], argv[1], (char *)NULL);
    return 97;
}
