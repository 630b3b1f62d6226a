/*
 * keyfile: see keyfile.h.
 *
 * The whole file is read first, at most KEYFILE_SIZE_MAX bytes, then cut into lines in place.
 * Opened O_NONBLOCK, so that a FIFO put in place of a configuration cannot hang the start.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "base/keyfile.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SHOWN_MAX 64 /* bytes of a wrong line that its error quotes */

typedef struct {
    const char *path;
    unsigned number; /* of the current line, from 1 */
    char *group;     /* NULL before the first header */
    KeyfileFunc group_func, key_func;
    gpointer user_data;
} Reader;

static int open_file(const char *path, GError **error)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0) {
        AgentError code = errno == ENOENT ? AGENT_ERROR_UNAVAILABLE : AGENT_ERROR_CONFIG;
        agent_error_errno(error, code, errno, "%s", path);
        return -1;
    }
    /* A character device for the sake of /dev/null. */
    if (fstat(fd, &status) < 0 || !(S_ISREG(status.st_mode) || S_ISCHR(status.st_mode))) {
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_CONFIG, "%s: not a regular file", path);
        close(fd);
        return -1;
    }
    return fd;
}

static GByteArray *read_all(int fd, const char *path, GError **error)
{
    g_autoptr(GByteArray) content = g_byte_array_new();
    uint8_t buffer[4096];

    for (;;) {
        ssize_t count = read(fd, buffer, sizeof buffer);

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0) {
            agent_error_errno(error, AGENT_ERROR_CONFIG, errno, "%s", path);
            return NULL;
        }
        if (count == 0)
            return g_steal_pointer(&content);
        if (content->len + (size_t)count > KEYFILE_SIZE_MAX) {
            g_set_error(error, AGENT_ERROR, AGENT_ERROR_LIMIT,
                        "%s: larger than %zu KiB; this is not a configuration file", path,
                        KEYFILE_SIZE_MAX >> 10);
            return NULL;
        }
        g_byte_array_append(content, buffer, (guint)count);
    }
}

/* Puts "FILE:LINE: " in front of what `func` said. */
static bool call(Reader *reader, KeyfileFunc func, const char *key, const char *value,
                 GError **error)
{
    g_autofree char *location = NULL;

    if (!func)
        return true;
    location = g_strdup_printf("%s:%u", reader->path, reader->number);
    if (func(reader->group, key, value, location, reader->user_data, error))
        return true;
    g_prefix_error(error, "%s: ", location);
    return false;
}

static bool refuse(const Reader *reader, const char *line, size_t length, const char *what,
                   GError **error)
{
    char shown[SHOWN_MAX];

    text_line(shown, sizeof shown, line, length);
    g_set_error(error, AGENT_ERROR, AGENT_ERROR_CONFIG, "%s:%u: '%s' %s", reader->path,
                reader->number, shown, what);
    return false;
}

static bool read_header(Reader *reader, char *line, GError **error)
{
    size_t length = strlen(line);

    if (line[length - 1] != ']')
        return refuse(reader, line, length, "does not end in ']'; a group starts with [NAME]",
                      error);
    line[length - 1] = '\0';
    g_free(reader->group);
    reader->group = g_strstrip(g_strdup(line + 1));
    if (!*reader->group || strpbrk(reader->group, "[]"))
        return refuse(reader, line + 1, (size_t)-1, "is not the name of a group; write [NAME]",
                      error);
    return call(reader, reader->group_func, NULL, NULL, error);
}

/* `line` ends in NUL at `length`; another NUL before that is an error. */
static bool read_line(Reader *reader, char *line, size_t length, GError **error)
{
    char *equals = NULL;

    if (memchr(line, '\0', length) || !g_utf8_validate(line, (gssize)length, NULL))
        return refuse(reader, line, length, "is not UTF-8 text", error);
    g_strstrip(line);
    if (!*line || *line == '#' || *line == ';')
        return true;
    if (*line == '[')
        return read_header(reader, line, error);
    equals = strchr(line, '=');
    if (!equals || equals == line)
        return refuse(reader, line, (size_t)-1, "is neither [GROUP] nor KEY=VALUE", error);
    if (!reader->group)
        return refuse(reader, line, (size_t)-1, "stands before the first [GROUP]", error);
    *equals = '\0';
    return call(reader, reader->key_func, g_strchomp(line), g_strchug(equals + 1), error);
}

bool keyfile_read(const char *path, KeyfileFunc group_func, KeyfileFunc key_func,
                  gpointer user_data, GError **error)
{
    static const char byte_order_mark[] = "\xEF\xBB\xBF";
    Reader reader = {path, 0, NULL, group_func, key_func, user_data};
    g_autoptr(GByteArray) content = NULL;
    char *line = NULL, *end = NULL;
    bool fine = true;
    int fd = open_file(path, error);

    if (fd < 0)
        return false;
    content = read_all(fd, path, error);
    close(fd);
    if (!content)
        return false;
    g_byte_array_append(content, (const uint8_t *)"", 1);
    line = (char *)content->data;
    end = line + content->len - 1;
    if (g_str_has_prefix(line, byte_order_mark))
        line += strlen(byte_order_mark);
    while (fine && line < end) {
        char *stop = memchr(line, '\n', (size_t)(end - line));

        stop = stop ? stop : end;
        *stop = '\0';
        reader.number++;
        fine = read_line(&reader, line, (size_t)(stop - line), error);
        line = stop + 1;
    }
    g_free(reader.group);
    return fine;
}
