/*
 * machine_ops_fake: the calls that change the machine, written down instead of made.
 *
 * Each appends a line to the file "machine" in $QUIESCED_TEST_RUNTIME, and fails with the errno in
 * the file "machine-NAME" there, if it exists.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/machine_ops.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define RTC_TIME 1700000000

static int note(const char *name, const char *what, int64_t number)
{
    const char *directory = getenv("QUIESCED_TEST_RUNTIME");
    char path[256];
    FILE *file = NULL;
    int error = 0;

    (void)snprintf(path, sizeof(path), "%s/machine", directory ? directory : "/nonexistent");
    file = fopen(path, "ae");
    if (file) {
        (void)fprintf(file, "%s %s %" PRId64 "\n", name, what, number);
        (void)fclose(file);
    }
    (void)snprintf(path, sizeof(path), "%s/machine-%s", directory ? directory : "/nonexistent",
                   name);
    file = fopen(path, "re");
    if (!file)
        return 0;
    if (fscanf(file, "%d", &error) != 1)
        error = 0;
    (void)fclose(file);
    /* Negative: it hangs for so many seconds, as a dead disk does. */
    if (error < 0)
        (void)sleep((unsigned)-error);
    return error < 0 ? 0 : error;
}

int machine_set_clock(const struct timespec *time)
{
    return note("clock", "", (int64_t)time->tv_sec * 1000000000 + time->tv_nsec);
}

int machine_read_rtc(time_t *ret_time)
{
    *ret_time = RTC_TIME;
    return note("rtc-read", "", 0);
}

int machine_write_rtc(time_t time)
{
    return note("rtc-write", "", time);
}

int machine_trim(const char *path, uint64_t *minimum, uint64_t *ret_bytes)
{
    *ret_bytes = 4096;
    return note("trim", path, (int64_t)*minimum);
}
