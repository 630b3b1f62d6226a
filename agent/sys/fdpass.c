/*
 * fdpass: see fdpass.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/fdpass.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

ssize_t fdpass_send(int socket, const void *data, size_t size, const int *fds, unsigned n_fds,
                    int flags)
{
    const size_t fds_size = n_fds * sizeof(int);
    struct iovec part = {(void *)data, size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    FdPassRoom room = {0};

    if (n_fds > FDPASS_MAX) {
        errno = EINVAL;
        return -1;
    }
    if (n_fds > 0) {
        message.msg_control = &room;
        message.msg_controllen = CMSG_SPACE(fds_size);
        room.header.cmsg_level = SOL_SOCKET;
        room.header.cmsg_type = SCM_RIGHTS;
        room.header.cmsg_len = CMSG_LEN(fds_size);
        memcpy(CMSG_DATA(&room.header), fds, fds_size);
    }
    return sendmsg(socket, &message, flags | MSG_NOSIGNAL);
}

unsigned fdpass_take(struct msghdr *message, int *ret_fds, unsigned max)
{
    unsigned taken = 0;

    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
         header = CMSG_NXTHDR(message, header)) {
        const size_t size = header->cmsg_len - CMSG_LEN(0);

        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t at = 0; at + sizeof(int) <= size; at += sizeof(int)) {
            int fd = -1;

            memcpy(&fd, CMSG_DATA(header) + at, sizeof fd);
            if (taken < max)
                ret_fds[taken++] = fd;
            else
                (void)close(fd);
        }
    }
    return taken;
}
