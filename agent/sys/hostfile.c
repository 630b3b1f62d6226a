/*
 * hostfile: see hostfile.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/hostfile.h"

#include "base/base64.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NEW_FILE_MODE 0666
#define PIECE_SIZE    ((size_t)192 << 10) /* base64 turns it into whole characters */

static const struct {
    const char *name;
    int flags;
} MODES[] = {
    {"r", O_RDONLY},
    {"rb", O_RDONLY},
    {"w", O_WRONLY | O_CREAT | O_TRUNC},
    {"wb", O_WRONLY | O_CREAT | O_TRUNC},
    {"a", O_WRONLY | O_CREAT | O_APPEND},
    {"ab", O_WRONLY | O_CREAT | O_APPEND},
    {"r+", O_RDWR},
    {"rb+", O_RDWR},
    {"r+b", O_RDWR},
    {"w+", O_RDWR | O_CREAT | O_TRUNC},
    {"wb+", O_RDWR | O_CREAT | O_TRUNC},
    {"w+b", O_RDWR | O_CREAT | O_TRUNC},
    {"a+", O_RDWR | O_CREAT | O_APPEND},
    {"ab+", O_RDWR | O_CREAT | O_APPEND},
    {"a+b", O_RDWR | O_CREAT | O_APPEND},
};

static int flags_of(const char *mode)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(MODES); i++)
        if (strcmp(MODES[i].name, mode) == 0)
            return MODES[i].flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    return -1;
}

bool hostfile_mode_is_valid(const char *mode)
{
    return flags_of(mode) >= 0;
}

/* A new file is told apart from one that is there, whose mode stays: whatever the umask is. */
bool hostfile_open(int *fd, const char *path, const char *mode, GError **error)
{
    int flags = flags_of(mode);
    bool made = false;

    if (flags & O_CREAT) {
        *fd = open(path, flags | O_EXCL, 0600);
        made = *fd >= 0;
        if (!made && errno == EEXIST)
            *fd = open(path, flags & ~O_CREAT);
    } else {
        *fd = open(path, flags);
    }
    if (*fd < 0)
        return agent_error_errno(error, AGENT_ERROR_FAILED, errno,
                                 "failed to open file '%s' (mode: '%s')", path, mode);
    if (made && fchmod(*fd, NEW_FILE_MODE) < 0) {
        agent_error_errno(error, AGENT_ERROR_FAILED, errno,
                          "failed to set permission 0666 on new file '%s' (mode: '%s')", path,
                          mode);
        (void)close(*fd);
        (void)unlink(path);
        *fd = -1;
        return false;
    }
    return true;
}

size_t hostfile_expect(int fd, size_t count)
{
    struct stat file;
    off_t position = lseek(fd, 0, SEEK_CUR);

    if (fstat(fd, &file) < 0 || !S_ISREG(file.st_mode) || position < 0)
        return 0;
    return MIN(count, (size_t)MAX(file.st_size - position, 0));
}

bool hostfile_read(int fd, size_t count, HostfilePiece piece, gpointer user_data, size_t *ret_count,
                   bool *ret_eof, GError **error)
{
    g_autofree uint8_t *bytes = g_malloc(MAX(MIN(count, PIECE_SIZE), (size_t)1));
    size_t done = 0;

    *ret_eof = false;
    while (done < count && !*ret_eof) {
        ssize_t got = read(fd, bytes, MIN(count - done, PIECE_SIZE));

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && done > 0)
            break; /* the next read will find it */
        if (got < 0)
            return agent_error_errno(error, AGENT_ERROR_FAILED, errno, "failed to read file");
        *ret_eof = got == 0;
        if (got > 0)
            piece(bytes, (size_t)got, user_data);
        done += (size_t)got;
    }
    *ret_count = done;
    return true;
}

/* False with errno: not even a part of it could be written. */
static bool write_piece(int fd, const uint8_t *bytes, size_t count, size_t *ret_written)
{
    size_t done = 0;

    while (done < count) {
        ssize_t put = write(fd, bytes + done, count - done);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0) {
            *ret_written = done;
            return false;
        }
        done += (size_t)put;
    }
    *ret_written = done;
    return true;
}

bool hostfile_write(int fd, const char *text, size_t length, size_t count, size_t *ret_count,
                    GError **error)
{
    g_autofree uint8_t *bytes = g_malloc(PIECE_SIZE / 4 * 3 + 3);
    Base64Decoder decoder = {0};
    bool good = true;
    int failed = 0;

    *ret_count = 0;
    /* Even nothing finds out that the file was not opened for writing. */
    if (count == 0 && write(fd, bytes, 0) < 0)
        return agent_error_errno(error, AGENT_ERROR_FAILED, errno, "failed to write to file");
    for (size_t at = 0; good && at < length && *ret_count < count; at += PIECE_SIZE) {
        size_t there = base64_decode(&decoder, text + at, MIN(length - at, PIECE_SIZE), bytes);
        size_t written = 0;

        good = write_piece(fd, bytes, MIN(there, count - *ret_count), &written);
        failed = errno;
        *ret_count += written;
    }
    if (good || (failed == EAGAIN && *ret_count > 0))
        return true;
    return agent_error_errno(error, AGENT_ERROR_FAILED, failed, "failed to write to file");
}

bool hostfile_seek(int fd, int64_t offset, int whence, int64_t *ret_position, GError **error)
{
    *ret_position = lseek(fd, offset, whence);
    if (*ret_position < 0)
        return agent_error_errno(error, AGENT_ERROR_FAILED, errno, "failed to seek file");
    return true;
}

bool hostfile_close(int *fd, GError **error)
{
    int closing = *fd;

    *fd = -1;
    if (close(closing) < 0)
        return agent_error_errno(error, AGENT_ERROR_FAILED, errno, "failed to close handle");
    return true;
}
