/*
 * thawclock: when the first and the last of many frozen filesystems could be written to again.
 *
 *   thawclock FILE DIRECTORY...
 *
 * Opens a file in each directory, writes "ready" to FILE (on tmpfs) and waits for SIGUSR1; then one
 * thread a directory writes a block. Where the filesystem is frozen that write waits for the thaw
 * and costs nothing meanwhile, however many there are. When all have ended FILE has two numbers:
 * when the first and when the last ended, CLOCK_MONOTONIC in microseconds. Memory is locked.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define DIRECTORIES_MAX 128
#define STACK_SIZE      ((size_t)64 << 10)

typedef struct {
    int fd;
    int64_t ended;
} Write;

static int64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void *write_block(void *data)
{
    static const char BLOCK[4096];
    Write *self = data;

    if (pwrite(self->fd, BLOCK, sizeof BLOCK, 0) == sizeof BLOCK)
        self->ended = now_us();
    return NULL;
}

static int say(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    return fd < 0 || write(fd, text, strlen(text)) < 0 || close(fd) != 0;
}

static int open_all(Write *writes, char **directories, int count)
{
    for (int i = 0; i < count; i++) {
        char path[PATH_MAX];

        snprintf(path, sizeof path, "%s/thawclock", directories[i]);
        writes[i].fd = open(path, O_RDWR | O_CREAT, 0600);
        if (writes[i].fd < 0 || pwrite(writes[i].fd, "", 1, 4095) != 1) {
            perror(path);
            return 1;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    static Write writes[DIRECTORIES_MAX];
    static pthread_t threads[DIRECTORIES_MAX];
    int count = argc - 2, number = 0;
    int64_t first = INT64_MAX, last = 0;
    pthread_attr_t attributes;
    char text[64];
    sigset_t go;

    if (count < 1 || count > DIRECTORIES_MAX || open_all(writes, argv + 2, count) != 0)
        return 2;
    sigemptyset(&go);
    sigaddset(&go, SIGUSR1);
    sigprocmask(SIG_BLOCK, &go, NULL);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    mlockall(MCL_CURRENT | MCL_FUTURE);
    if (say(argv[1], "ready\n") != 0 || sigwait(&go, &number) != 0)
        return 1;
    for (int i = 0; i < count; i++)
        if (pthread_create(&threads[i], &attributes, write_block, &writes[i]) != 0)
            return 1;
    for (int i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
        first = writes[i].ended < first ? writes[i].ended : first;
        last = writes[i].ended > last ? writes[i].ended : last;
    }
    snprintf(text, sizeof text, "%lld %lld\n", (long long)first, (long long)last);
    return say(argv[1], text);
}
