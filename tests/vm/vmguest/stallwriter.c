/*
 * stallwriter: writes as an application does and measures how long a write is held up.
 *
 *   stallwriter DIRECTORY DIRTY-MIB RESULT
 *
 * First makes DIRTY-MIB MiB dirty in DIRECTORY/dirty (0: nothing), then every 10 ms writes 4 KiB
 * into DIRECTORY/log, round a file of 1 MiB as a write-ahead log does. RESULT is a file on tmpfs,
 * mapped into memory, with four 64-bit numbers: writes completed, longest write in microseconds,
 * when the write under way began (CLOCK_MONOTONIC, microseconds, 0: none), and 1 once the dirty
 * data is there. Runs until killed. Memory is locked: it must not wait for pages.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define BLOCK    4096
#define LOG_SIZE (1 << 20)

static int64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int open_in(const char *directory, const char *name)
{
    char path[512];
    int fd = -1;

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    fd = open(path, O_RDWR | O_CREAT, 0600);
    if (fd < 0) {
        perror(path);
        exit(1);
    }
    return fd;
}

int main(int argc, char **argv)
{
    static char block[1 << 20];
    volatile int64_t *result = NULL;
    struct timespec pause = {0, 10000000};
    int fd = -1, log = -1;

    if (argc != 4)
        return 2;
    fd = open(argv[3], O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || ftruncate(fd, 4096) < 0)
        return 1;
    result = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    memset(block, 'x', sizeof(block));
    mlockall(MCL_CURRENT);
    log = open_in(argv[1], "log");
    for (off_t at = 0; at < LOG_SIZE; at += BLOCK)
        if (pwrite(log, block, BLOCK, at) != BLOCK)
            return 1;
    fsync(log);
    fd = open_in(argv[1], "dirty");
    for (long i = 0; i < atol(argv[2]); i++)
        if (write(fd, block, sizeof(block)) != sizeof(block))
            return 1;
    result[3] = 1;
    for (off_t at = 0;; at = (at + BLOCK) % LOG_SIZE) {
        int64_t began = now_us(), took = 0;

        result[2] = began;
        if (pwrite(log, block, BLOCK, at) != BLOCK)
            return 1;
        took = now_us() - began;
        if (took > result[1])
            result[1] = took;
        result[2] = 0;
        result[0]++;
        nanosleep(&pause, NULL);
    }
}
