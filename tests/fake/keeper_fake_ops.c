/*
 * keeper_fake_ops: stands in for keeper/ops.c (program quiesced-keeper-fake) and sys/thaw.c (test
 * builds of the service). It contains no ioctl: nothing on this machine can be frozen by it.
 *
 * A "filesystem" is a directory; its state is in files there and survives the process:
 *
 *   .frozen   exists while frozen: a second freeze answers EBUSY, a thaw without it EINVAL
 *   .calls    one line per call when it ended: "freeze|thaw|sync|commit START_US END_US RESULT",
 *             times on CLOCK_MONOTONIC, RESULT 0 or the name (or number) of an errno
 *   .inject   what the calls do, read at each call; see below
 *   .release  ends "hang"
 *   ../.thaws grows by one byte at each successful thaw
 *
 * Lines of .inject, any number, taken in order: VERB is freeze, thaw, sync or commit.
 *
 *   VERB ERRNO          fails with it, e.g. "freeze EIO", and changes nothing
 *   VERB ERRNO N        the first N calls of VERB there do
 *   VERB delay MS       takes so long first
 *   VERB hang           does not go on until .release exists
 *   VERB hang-until-other-thaw   does not go on until something else beside it was thawed
 *
 * What hangs does so for two minutes at most. It is not frozen yet: a thaw answers EINVAL
 * meanwhile, as the kernel's does. Environment: QUIESCED_FAKE_TICK_MS, QUIESCED_FAKE_LATE_MS,
 * QUIESCED_FAKE_GRACE_MS replace the keeper's times.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "keeper/message.h"
#include "keeper/ops.h"
#include "sys/thaw.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define TEXT_MAX    1024
#define POLL_MS     3
#define HANG_MAX_US INT64_C(120000000) /* a keeper left behind by a failed test ends then */

static const struct {
    const char *name;
    int value;
} ERRORS[] = {
    {"EIO", EIO},
    {"EBUSY", EBUSY},
    {"EINVAL", EINVAL},
    {"EOPNOTSUPP", EOPNOTSUPP},
    {"EPERM", EPERM},
    {"ENOSPC", ENOSPC},
    {"EROFS", EROFS},
    {"ENOTTY", ENOTTY},
    {"ETIMEDOUT", ETIMEDOUT},
};

static int64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void sleep_ms(long ms)
{
    const struct timespec time = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&time, NULL);
}

static int error_value(const char *name)
{
    for (size_t i = 0; i < sizeof ERRORS / sizeof *ERRORS; i++)
        if (strcmp(ERRORS[i].name, name) == 0)
            return ERRORS[i].value;
    return atoi(name);
}

static const char *error_name(int value)
{
    for (size_t i = 0; i < sizeof ERRORS / sizeof *ERRORS; i++)
        if (ERRORS[i].value == value)
            return ERRORS[i].name;
    return NULL;
}

/* Raw calls: ThreadSanitizer takes fd 3 of the workers' table for fd 3 of the loop's. */
static int open_file(int fd, const char *name, int flags)
{
    return (int)syscall(SYS_openat, fd, name, flags | O_CLOEXEC, 0600);
}

static void close_file(int file)
{
    (void)syscall(SYS_close, file);
}

static void read_text(int fd, const char *name, char text[TEXT_MAX])
{
    int file = open_file(fd, name, O_RDONLY);
    ssize_t size = file < 0 ? 0 : syscall(SYS_read, file, text, TEXT_MAX - 1);

    text[size > 0 ? size : 0] = '\0';
    if (file >= 0)
        close_file(file);
}

static void append(int fd, const char *name, const char *text)
{
    int file = open_file(fd, name, O_WRONLY | O_CREAT | O_APPEND);

    if (file < 0)
        return;
    if (syscall(SYS_write, file, text, strlen(text)) < 0)
        abort();
    close_file(file);
}

static off_t size_of(int fd, const char *name)
{
    struct stat status;

    return fstatat(fd, name, &status, 0) == 0 ? status.st_size : 0;
}

static int earlier_calls(int fd, const char *verb)
{
    char text[TEXT_MAX];
    int count = 0;

    read_text(fd, ".calls", text);
    for (const char *at = strstr(text, verb); at; at = strstr(at + 1, verb))
        count++;
    return count;
}

static void hang(int fd, bool until_other_thaw)
{
    off_t before = size_of(fd, "../.thaws");
    int64_t end_us = now_us() + HANG_MAX_US;

    while (now_us() < end_us && (until_other_thaw ? size_of(fd, "../.thaws") == before
                                                  : faccessat(fd, ".release", F_OK, 0) != 0))
        sleep_ms(POLL_MS);
}

/* 0, or the error to fail with. */
static int inject(int fd, const char *verb)
{
    char text[TEXT_MAX], line_verb[16], what[32];
    char *save = NULL;

    read_text(fd, ".inject", text);
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        int number = -1;

        if (sscanf(line, "%15s %31s %d", line_verb, what, &number) < 2 ||
            strcmp(line_verb, verb) != 0)
            continue;
        if (strcmp(what, "delay") == 0)
            sleep_ms(number);
        else if (strcmp(what, "hang") == 0)
            hang(fd, false);
        else if (strcmp(what, "hang-until-other-thaw") == 0)
            hang(fd, true);
        else if (number < 0 || earlier_calls(fd, verb) < number)
            return error_value(what);
    }
    return 0;
}

static void record(int fd, const char *verb, int64_t start_us, int result)
{
    char line[96], number[12];
    const char *name = error_name(result);

    snprintf(number, sizeof number, "%d", result);
    snprintf(line, sizeof line, "%s %lld %lld %s\n", verb, (long long)start_us, (long long)now_us(),
             name ? name : number);
    append(fd, ".calls", line);
}

static int freeze_fake(int fd)
{
    int64_t start_us = now_us();
    int result = inject(fd, "freeze");

    if (result == 0) {
        int file = open_file(fd, ".frozen", O_WRONLY | O_CREAT | O_EXCL);

        if (file < 0)
            result = errno == EEXIST ? EBUSY : errno;
        else
            close_file(file);
    }
    record(fd, "freeze", start_us, result);
    return result;
}

static int thaw_fake(int fd)
{
    int64_t start_us = now_us();
    int result = inject(fd, "thaw");

    if (result == 0 && unlinkat(fd, ".frozen", 0) != 0)
        result = errno == ENOENT ? EINVAL : errno;
    if (result == 0)
        append(fd, "../.thaws", ".");
    record(fd, "thaw", start_us, result);
    return result;
}

static int sync_fake(int fd)
{
    int64_t start_us = now_us();
    int result = inject(fd, "sync");

    record(fd, "sync", start_us, result);
    return result;
}

static int commit_fake(int fd)
{
    int64_t start_us = now_us();
    int result = inject(fd, "commit");

    record(fd, "commit", start_us, result);
    return result;
}

int thaw_filesystem(int fd)
{
    return thaw_fake(fd);
}

static int64_t milliseconds(const char *variable, int64_t otherwise_us)
{
    const char *text = getenv(variable);

    return text ? atoll(text) * 1000 : otherwise_us;
}

const KeeperOps *keeper_ops(void)
{
    static KeeperOps ops = {
        .freeze = freeze_fake, .thaw = thaw_fake, .sync = sync_fake, .commit = commit_fake};

    ops.tick_us = milliseconds("QUIESCED_FAKE_TICK_MS", KEEPER_BEAT_US);
    ops.late_us = milliseconds("QUIESCED_FAKE_LATE_MS", KEEPER_LATE_US);
    ops.grace_us = milliseconds("QUIESCED_FAKE_GRACE_MS", KEEPER_GRACE_US);
    return &ops;
}
