/*
 * machine_ops: see machine_ops.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/machine_ops.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/rtc.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const char *const RTC_DEVICES[] = {"/dev/rtc", "/dev/rtc0"};

int machine_set_clock(const struct timespec *time)
{
    return clock_settime(CLOCK_REALTIME, time) < 0 ? errno : 0;
}

/* An fd or -1 with errno. */
static int open_rtc(void)
{
    int fd = -1;

    for (unsigned i = 0; i < sizeof(RTC_DEVICES) / sizeof(*RTC_DEVICES) && fd < 0; i++)
        fd = open(RTC_DEVICES[i], O_RDONLY | O_CLOEXEC);
    return fd;
}

/* An ioctl on what was just opened; closes it. `fd` -1: it was not, errno says why. */
static int call_and_close(int fd, unsigned long request, void *argument)
{
    int error = 0;

    if (fd < 0)
        return errno;
    if (ioctl(fd, request, argument) < 0)
        error = errno;
    (void)close(fd);
    return error;
}

int machine_read_rtc(time_t *ret_time)
{
    struct rtc_time fields = {0};
    struct tm calendar = {0};
    int error = call_and_close(open_rtc(), RTC_RD_TIME, &fields);

    if (error)
        return error;
    calendar.tm_sec = fields.tm_sec;
    calendar.tm_min = fields.tm_min;
    calendar.tm_hour = fields.tm_hour;
    calendar.tm_mday = fields.tm_mday;
    calendar.tm_mon = fields.tm_mon;
    calendar.tm_year = fields.tm_year;
    *ret_time = timegm(&calendar);
    return 0;
}

int machine_write_rtc(time_t time)
{
    struct rtc_time fields = {0};
    struct tm calendar;

    if (!gmtime_r(&time, &calendar))
        return EOVERFLOW;
    fields.tm_sec = calendar.tm_sec;
    fields.tm_min = calendar.tm_min;
    fields.tm_hour = calendar.tm_hour;
    fields.tm_mday = calendar.tm_mday;
    fields.tm_mon = calendar.tm_mon;
    fields.tm_year = calendar.tm_year;
    fields.tm_wday = calendar.tm_wday;
    fields.tm_yday = calendar.tm_yday;
    return call_and_close(open_rtc(), RTC_SET_TIME, &fields);
}

int machine_trim(const char *path, uint64_t *minimum, uint64_t *ret_bytes)
{
    struct fstrim_range range = {.len = UINT64_MAX, .minlen = *minimum};
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);
    int error = call_and_close(fd, FITRIM, &range);

    if (fd < 0)
        return error;
    *minimum = range.minlen;
    *ret_bytes = range.len;
    return error;
}
