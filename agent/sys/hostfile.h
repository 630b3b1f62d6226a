/*
 * hostfile: a file that a host opens, reads and writes.
 *
 * Plain calls that wait for the disk, or for ever: for strands. Everything is opened non-blocking,
 * so that a FIFO or terminal answers at once; no buffers of our own, so that what was written is
 * the kernel's and an error is that call's own. Error texts are those of the stock agent.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Modes are those of fopen(); a new file gets mode 0666, as the stock agent gives it. */
bool hostfile_mode_is_valid(const char *mode);
bool hostfile_open(int *fd, const char *path, const char *mode, GError **error);

typedef void (*HostfilePiece)(const void *bytes, size_t count, gpointer user_data);

/* At most `count` bytes, given on in pieces. Less than that at the end of the file (`*ret_eof`), or
 * where there is nothing more for now; nothing at all for now is an error (EAGAIN), as is what
 * prevents the first byte. */
bool hostfile_read(int fd, size_t count, HostfilePiece piece, gpointer user_data, size_t *ret_count,
                   bool *ret_eof, GError **error);
/* How many bytes hostfile_read() will give at most, as far as it can be known. */
size_t hostfile_expect(int fd, size_t count);
/* The first `count` bytes that `text` stands for, which base64_measure() took. Less where the other
 * side of a pipe takes no more for now. */
bool hostfile_write(int fd, const char *text, size_t length, size_t count, size_t *ret_count,
                    GError **error);
bool hostfile_seek(int fd, int64_t offset, int whence, int64_t *ret_position, GError **error);
bool hostfile_close(int *fd, GError **error);
