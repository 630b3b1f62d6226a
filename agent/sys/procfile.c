/*
 * procfile: see procfile.h. Owns nothing.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/procfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define NUMBER_SIZE 32u
#define WHOLE_FIRST ((size_t)4096)

/* Reads on until `size` - 1 bytes or the end. False: errno says why. */
static bool read_all(int fd, char *text, size_t size, size_t *ret_length)
{
    size_t length = 0;
    ssize_t count = 0;

    do {
        count = read(fd, text + length, size - 1 - length);
        if (count > 0)
            length += (size_t)count;
    } while ((count > 0 && length < size - 1) || (count < 0 && errno == EINTR));
    text[length] = '\0';
    *ret_length = length;
    return count >= 0;
}

bool procfile_read(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t length = 0;
    bool good = false;
    int failed = 0;

    if (fd < 0)
        return false;
    good = read_all(fd, text, size, &length);
    failed = errno;
    (void)close(fd);
    errno = failed;
    return good;
}

bool procfile_attribute(int directory, const char *name, char *text, size_t size)
{
    int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
    ssize_t count = 0;
    int failed = 0;

    if (fd < 0)
        return false;
    count = read(fd, text, size - 1);
    failed = errno;
    (void)close(fd);
    text[MAX(count, 0)] = '\0';
    errno = failed;
    return count >= 0;
}

char *procfile_whole(const char *path, size_t max, GError **error)
{
    g_autofree char *text = NULL;
    size_t length = 0, size = MIN(WHOLE_FIRST, max + 2);
    /* Not waiting for whoever writes to a pipe. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    bool good = fd >= 0, full = true;

    while (good && full) {
        size_t count = 0;

        text = g_realloc(text, size);
        good = read_all(fd, text + length, size - length, &count);
        length += count;
        full = length == size - 1 && size < max + 2;
        if (full)
            size = MIN(size * 2, max + 2);
    }
    if (!good) {
        agent_error_errno(error, AGENT_ERROR_UNAVAILABLE, errno, "%s(\"%s\")",
                          fd < 0 ? "open" : "read", path);
        if (fd >= 0)
            (void)close(fd);
        return NULL;
    }
    (void)close(fd);
    if (length > max) {
        char *end = memrchr(text, '\n', max);

        text[end ? (size_t)(end - text) + 1 : 0] = '\0';
    }
    return g_steal_pointer(&text);
}

bool procfile_text(const char *root, const char *name, char *text, size_t size, GError **error)
{
    g_autofree char *path = g_build_filename(root, name, NULL);

    if (!procfile_read(path, text, size))
        return agent_error_errno(error, AGENT_ERROR_UNAVAILABLE, errno, "%s", path);
    return true;
}

bool procfile_number(const char *root, const char *name, int32_t *ret_value, GError **error)
{
    char text[NUMBER_SIZE];
    char *end = NULL;
    int64_t value = 0;

    if (!procfile_text(root, name, text, sizeof(text), error))
        return false;
    value = g_ascii_strtoll(text, &end, 10);
    if (end == text || (*end != '\n' && *end != '\0') || value < 0 || value > INT32_MAX) {
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_UNAVAILABLE, "%s/%s is not a number from 0 on",
                    root, name);
        return false;
    }
    *ret_value = (int32_t)value;
    return true;
}

bool procfile_write_number(const char *root, const char *name, int32_t value, GError **error)
{
    g_autofree char *path = NULL;
    g_autofree char *text = NULL;
    ssize_t count = 0;
    int fd = -1, failed = 0;

    if (value < 0)
        return true;
    path = g_build_filename(root, name, NULL);
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

bool procfile_find(const char *text, const char *key, const char *unit, uint64_t *ret_value)
{
    size_t length = strlen(key);

    for (const char *line = text; line; line = strchr(line, '\n')) {
        char *end = NULL;
        uint64_t value = 0;

        line += *line == '\n';
        if (strncmp(line, key, length) != 0)
            continue;
        value = g_ascii_strtoull(line + length, &end, 10);
        if (end == line + length || !g_str_has_prefix(end, unit))
            return false;
        *ret_value = value;
        return true;
    }
    return false;
}
