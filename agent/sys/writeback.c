/*
 * writeback: see writeback.h. Reads and writes small procfs files; owns nothing.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/writeback.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define EXPIRE_FILE "sys/vm/dirty_expire_centisecs"
#define PERIOD_FILE "sys/vm/dirty_writeback_centisecs"

#define MEMINFO_SIZE 8192u /* the kernel writes about 1.5 KiB; Dirty stands in its first half */
#define SYSCTL_SIZE  32u

/* The flusher looks every 50 ms and takes what has been dirty for 100 ms: many small steps. Shorter
 * periods only cost wake-ups, and a longer expiry leaves a writer's last pages for syncfs. */
#define GENTLE_EXPIRE_CS 10
#define GENTLE_PERIOD_CS 5

/* At most `size` - 1 bytes of `procfs`/`name`, terminated. */
static bool read_text(const char *procfs, const char *name, char *text, size_t size, GError **error)
{
    g_autofree char *path = g_build_filename(procfs, name, NULL);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int failed = 0;
    size_t length = 0;
    ssize_t count = 0;

    if (fd < 0)
        return agent_error_errno(error, AGENT_ERROR_UNAVAILABLE, errno, "%s", path);
    do {
        count = read(fd, text + length, size - 1 - length);
        if (count > 0)
            length += (size_t)count;
    } while ((count > 0 && length < size - 1) || (count < 0 && errno == EINTR));
    failed = errno;
    (void)close(fd);
    if (count < 0)
        return agent_error_errno(error, AGENT_ERROR_UNAVAILABLE, failed, "%s", path);
    text[length] = '\0';
    return true;
}

/* "Dirty:    123 kB" at the start of a line. */
static bool find_kilobytes(const char *meminfo, const char *label, uint64_t *ret_bytes)
{
    size_t length = strlen(label);

    for (const char *line = meminfo; line; line = strchr(line, '\n')) {
        char *end = NULL;
        uint64_t value = 0;

        line += *line == '\n';
        if (strncmp(line, label, length) != 0)
            continue;
        value = g_ascii_strtoull(line + length, &end, 10);
        if (end == line + length || !g_str_has_prefix(end, " kB") || value > UINT64_MAX / 1024)
            return false;
        *ret_bytes = value * 1024;
        return true;
    }
    return false;
}

bool writeback_load(const char *procfs, WritebackLoad *ret_load, GError **error)
{
    char meminfo[MEMINFO_SIZE];

    if (!read_text(procfs, "meminfo", meminfo, sizeof(meminfo), error))
        return false;
    if (!find_kilobytes(meminfo, "Dirty:", &ret_load->dirty_bytes) ||
        !find_kilobytes(meminfo, "Writeback:", &ret_load->writeback_bytes)) {
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_UNAVAILABLE,
                    "%s/meminfo does not tell Dirty and Writeback", procfs);
        return false;
    }
    return true;
}

static bool read_setting(const char *procfs, const char *name, int32_t *ret_value, GError **error)
{
    char text[SYSCTL_SIZE];
    char *end = NULL;
    int64_t value = 0;

    if (!read_text(procfs, name, text, sizeof(text), error))
        return false;
    value = g_ascii_strtoll(text, &end, 10);
    if (end == text || (*end != '\n' && *end != '\0') || value < 0 || value > INT32_MAX) {
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_UNAVAILABLE, "%s/%s is not a number from 0 on",
                    procfs, name);
        return false;
    }
    *ret_value = (int32_t)value;
    return true;
}

bool writeback_read(const char *procfs, WritebackSettings *ret_settings, GError **error)
{
    *ret_settings = (WritebackSettings){-1, -1};
    return read_setting(procfs, EXPIRE_FILE, &ret_settings->expire_cs, error) &&
           read_setting(procfs, PERIOD_FILE, &ret_settings->period_cs, error);
}

static bool write_setting(const char *procfs, const char *name, int32_t value, GError **error)
{
    g_autofree char *path = NULL;
    g_autofree char *text = NULL;
    ssize_t count = 0;
    int fd = -1, failed = 0;

    if (value < 0)
        return true;
    path = g_build_filename(procfs, name, NULL);
    text = g_strdup_printf("%d\n", value);
    fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    if (fd < 0)
        return agent_error_errno(error, AGENT_ERROR_UNAVAILABLE, errno, "%s", path);
    count = write(fd, text, strlen(text)); /* sysctls take a value in one write only */
    failed = count < 0 ? errno : EIO;
    (void)close(fd);
    if (count != (ssize_t)strlen(text))
        return agent_error_errno(error, AGENT_ERROR_UNAVAILABLE, failed, "%s", path);
    return true;
}

bool writeback_apply(const char *procfs, const WritebackSettings *settings, GError **error)
{
    g_autoptr(GError) second = NULL;
    /* Expiry first: a new period wakes the flusher, which should find it. Both are tried, as a
     * half restored pair is better than none. */
    bool expire = write_setting(procfs, EXPIRE_FILE, settings->expire_cs, error);
    bool period = write_setting(procfs, PERIOD_FILE, settings->period_cs, expire ? error : &second);

    return expire && period;
}

WritebackSettings writeback_gentle(const WritebackSettings *current)
{
    WritebackSettings gentle = *current;

    gentle.expire_cs = MIN(current->expire_cs, GENTLE_EXPIRE_CS);
    /* Period 0 stops periodic write-back altogether, which is the longest period there is. */
    if (current->period_cs == 0)
        gentle.period_cs = GENTLE_PERIOD_CS;
    else
        gentle.period_cs = MIN(current->period_cs, GENTLE_PERIOD_CS);
    return gentle;
}
