/*
 * fdpass: fds that go to another process or fd table with a message (SCM_RIGHTS).
 *
 * Thin: one message, nothing is kept, and nothing is waited for but what `flags` let the kernel
 * wait for. From any thread.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <sys/socket.h>

#define FDPASS_MAX 253u /* fds in one message; the kernel's limit (SCM_MAX_FD) */

/* Room for what one message carries: `.msg_control` of who receives. */
typedef union {
    struct cmsghdr header;
    char space[CMSG_SPACE(FDPASS_MAX * sizeof(int))];
} FdPassRoom;

/* As sendmsg() with `flags`, MSG_NOSIGNAL in any case. The fds stay the caller's. -1 and EINVAL for
 * more than FDPASS_MAX. */
ssize_t fdpass_send(int socket, const void *data, size_t size, const int *fds, unsigned n_fds,
                    int flags);

/* How many fds came with a message that recvmsg() filled in; the caller owns them. Of more than
 * `max` the rest is closed. */
unsigned fdpass_take(struct msghdr *message, int *ret_fds, unsigned max);
