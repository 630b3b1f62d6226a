/*
 * labhook: a hook of the fault matrix; a program, as a shell takes four times as long to start.
 *
 *   /etc/quiesced/hooks.d/NN-NAME VERB
 *
 * Becomes a shell that does what /run/matrix/any says, if it is there, and, when NAME is "sick",
 * /run/matrix/VERB. Before that it appends "UPTIME OPERATION NAME VERB" to /run/hook.log: whoever
 * reads that line may remove the files and feed /run/matrix/hold, since what they say is read and
 * the FIFO open by then.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOG      "/run/hook.log"
#define CONTROL  "/run/matrix"
#define HOLD     CONTROL "/hold"
#define TEXT_MAX 4096 /* bytes of all that a hook is told to do */
#define END      "exit 0\n"

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

/* Appends what the file says; nothing if there is no such file. */
static void take(char *text, const char *name)
{
    size_t used = strlen(text);
    char path[64];
    ssize_t got;
    int fd;

    snprintf(path, sizeof path, CONTROL "/%s", name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    got = read(fd, text + used, TEXT_MAX - used);
    if (got < 0 || used + (size_t)got == TEXT_MAX)
        _exit(96);
    text[used + (size_t)got] = '\0';
    close(fd);
}

int main(int argc, char **argv)
{
    const char *name = strrchr(argv[0], '-');
    char text[TEXT_MAX + sizeof END] = "";

    if (argc < 2 || !name)
        return 98;
    take(text, "any");
    if (strcmp(name + 1, "sick") == 0)
        take(text, argv[1]);
    /* A FIFO keeps what is fed to it while somebody has it open: here on, the shell to be. */
    if (strstr(text, HOLD) && open(HOLD, O_RDWR) < 0) /* NOLINT: inherited on purpose */
        return 95;
    write_down(name + 1, argv[1]);
    if (!*text)
        return 0;
    strcat(text, END);
    execl("/bin/sh", "sh", "-c", text, argv[0], argv[1], (char *)NULL);
    return 97;
}
