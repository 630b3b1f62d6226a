/*
 * labtool: what the fault matrix does to the machine and a shell cannot, or not at a known time.
 *
 *   labtool now                      CLOCK_MONOTONIC and CLOCK_REALTIME
 *   labtool strike SIGNAL NAME...    sends the signal to the processes of these names, in order
 *   labtool splice FILE              sits in splice() from an empty pipe into FILE, as any program
 *                                    without privileges may: FIFREEZE waits for it, in D state
 *   labtool listen DIRECTORY         a fanotify listener that does not answer, and a program whose
 *                                    open for truncation waits for it: FIFREEZE waits for that one
 *   labtool waitd PID MS             waits until the process is in D state
 *   labtool waitcall NAME NUMBER MS  waits until a process of this name is in that system call
 *   labtool feed FIFO                writes lines for six readers
 *
 * Prints CLOCK_MONOTONIC in microseconds, taken right before what it did. `splice` and `listen`
 * stay until they are killed.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define TARGETS_MAX 16

static int64_t clock_us(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void read_line(const char *path, char *text, size_t size)
{
    FILE *file = fopen(path, "re");

    text[0] = '\0';
    if (file && fgets(text, (int)size, file))
        text[strcspn(text, "\n")] = '\0';
    if (file)
        fclose(file);
}

/* Its index, -1: none. The name alone is not enough: a hook's child has its parent's until it
 * executes something. */
static int name_of(const char *pid, char **names, int count)
{
    char path[320], comm[64], program[256];
    ssize_t size;

    snprintf(path, sizeof path, "/proc/%s/comm", pid);
    read_line(path, comm, sizeof comm);
    snprintf(path, sizeof path, "/proc/%s/exe", pid);
    size = readlink(path, program, sizeof program - 1);
    program[size > 0 ? size : 0] = '\0';
    for (int i = 0; i < count; i++)
        if (strcmp(comm, names[i]) == 0 && strstr(program, names[i]))
            return i;
    return -1;
}

static int strike(int number, char **names, int count)
{
    DIR *proc = opendir("/proc");
    pid_t targets[TARGETS_MAX];
    int which[TARGETS_MAX], found = 0;

    for (struct dirent *entry; proc && (entry = readdir(proc)) && found < TARGETS_MAX;) {
        bool other = atoi(entry->d_name) > 0 && atoi(entry->d_name) != getpid();

        if (other && (which[found] = name_of(entry->d_name, names, count)) >= 0)
            targets[found++] = atoi(entry->d_name);
    }
    printf("%lld\n", (long long)clock_us(CLOCK_MONOTONIC));
    /* In the order of the names: the second one could say what became of the first. */
    for (int name = 0; name < count; name++)
        for (int i = 0; i < found; i++)
            if (which[i] == name)
                kill(targets[i], number);
    return found > 0 ? 0 : 1;
}

static int splice_forever(const char *path)
{
    int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    int ends[2];

    if (file < 0 || pipe(ends) != 0)
        return 1;
    return splice(ends[0], NULL, file, NULL, 4096, 0) < 0;
}

/* The child's open is kept waiting with write access to the filesystem taken. */
static int listen_in(const char *directory)
{
    char path[512];
    int listener = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, O_RDONLY);

    snprintf(path, sizeof path, "%s/scanned", directory);
    close(open(path, O_WRONLY | O_CREAT, 0600));
    if (listener < 0 || fanotify_mark(listener, FAN_MARK_ADD, FAN_OPEN_PERM, AT_FDCWD, path) != 0) {
        perror(path);
        return 1;
    }
    if (fork() == 0) {
        close(listener);
        prctl(PR_SET_NAME, "scanned");
        return open(path, O_WRONLY | O_TRUNC) < 0;
    }
    for (;;)
        pause();
}

static int wait_d(const char *pid, long ms)
{
    int64_t until = clock_us(CLOCK_MONOTONIC) + ms * 1000;
    struct timespec time = {0, 5000000};
    char path[64], text[512];
    const char *state = NULL;

    snprintf(path, sizeof path, "/proc/%s/stat", pid);
    do {
        read_line(path, text, sizeof text);
        state = strrchr(text, ')');
        if (state && state[1] == ' ' && state[2] == 'D')
            return 0;
        nanosleep(&time, NULL);
    } while (clock_us(CLOCK_MONOTONIC) < until);
    fprintf(stderr, "process %s: %s\n", pid, text);
    return 1;
}

static bool in_call(const char *name, const char *number)
{
    DIR *proc = opendir("/proc");
    bool found = false;

    for (struct dirent *entry; proc && !found && (entry = readdir(proc));) {
        char path[320], text[256];

        if (atoi(entry->d_name) <= 0)
            continue;
        snprintf(path, sizeof path, "/proc/%s/comm", entry->d_name);
        read_line(path, text, sizeof text);
        if (strcmp(text, name) != 0)
            continue;
        snprintf(path, sizeof path, "/proc/%s/syscall", entry->d_name);
        read_line(path, text, sizeof text);
        text[strcspn(text, " ")] = '\0';
        found = strcmp(text, number) == 0;
    }
    if (proc)
        closedir(proc);
    return found;
}

static int wait_call(const char *name, const char *number, long ms)
{
    int64_t until = clock_us(CLOCK_MONOTONIC) + ms * 1000;
    struct timespec time = {0, 5000000};

    while (!in_call(name, number)) {
        if (clock_us(CLOCK_MONOTONIC) > until)
            return 1;
        nanosleep(&time, NULL);
    }
    return 0;
}

/* Opened for both directions: that never waits. */
static int feed(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);

    return fd < 0 || write(fd, "\n\n\n\n\n\n", 6) != 6;
}

static int signal_number(const char *name)
{
    static const struct {
        const char *name;
        int number;
    } SIGNALS[] = {{"KILL", SIGKILL},
                   {"STOP", SIGSTOP},
                   {"CONT", SIGCONT},
                   {"ABRT", SIGABRT},
                   {"TERM", SIGTERM}};

    for (size_t i = 0; i < sizeof SIGNALS / sizeof *SIGNALS; i++)
        if (strcmp(name, SIGNALS[i].name) == 0)
            return SIGNALS[i].number;
    return 0;
}

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";

    if (strcmp(verb, "now") == 0)
        return printf("%lld %lld\n", (long long)clock_us(CLOCK_MONOTONIC),
                      (long long)clock_us(CLOCK_REALTIME)) < 0;
    if (strcmp(verb, "strike") == 0 && argc > 3)
        return strike(signal_number(argv[2]), argv + 3, argc - 3);
    if (strcmp(verb, "splice") == 0 && argc == 3)
        return splice_forever(argv[2]);
    if (strcmp(verb, "listen") == 0 && argc == 3)
        return listen_in(argv[2]);
    if (strcmp(verb, "waitd") == 0 && argc == 4)
        return wait_d(argv[2], atol(argv[3]));
    if (strcmp(verb, "waitcall") == 0 && argc == 5)
        return wait_call(argv[2], argv[3], atol(argv[4]));
    if (strcmp(verb, "feed") == 0 && argc == 3)
        return feed(argv[2]);
    return 2;
}
