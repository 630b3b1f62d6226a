/*
 * notify_rig: see notify_rig.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "notify_rig.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int notify_rig_bind(const char *text)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(text));
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpuint(strlen(text), <, sizeof address.sun_path);
    memcpy(address.sun_path, text, strlen(text));
    if (*text == '@')
        address.sun_path[0] = '\0';
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, length), ==, 0);
    return fd;
}

char *notify_rig_receive_fds(int fd, int *ret_fds, unsigned *ret_count)
{
    char buffer[4096];
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(NOTIFY_RIG_FDS * sizeof(int))];
    } control = {0};
    struct iovec part = {buffer, sizeof buffer};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = ret_fds ? &control : NULL,
                            .msg_controllen = ret_fds ? sizeof control : 0};
    ssize_t count = recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    *ret_count = 0;
    if (count < 0)
        return NULL;
    g_assert_cmpint(header.msg_flags & (MSG_CTRUNC | MSG_TRUNC), ==, 0);
    if (ret_fds && header.msg_controllen > 0) {
        *ret_count = (unsigned)((control.header.cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(ret_fds, CMSG_DATA(&control.header), *ret_count * sizeof(int));
    }
    return g_strndup(buffer, (size_t)count);
}

char *notify_rig_receive(int fd, int *ret_fd)
{
    int fds[NOTIFY_RIG_FDS];
    unsigned count = 0;
    char *text = notify_rig_receive_fds(fd, ret_fd ? fds : NULL, &count);

    g_assert_cmpuint(count, <=, 1);
    if (ret_fd)
        *ret_fd = count > 0 ? fds[0] : -1;
    return text;
}

void notify_rig_fill(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    g_strlcpy(address.sun_path, path, sizeof address.sun_path);
    while (sendto(fd, "fill", 4, 0, (struct sockaddr *)&address, sizeof address) >= 0)
        continue;
    g_assert_cmpint(errno, ==, EAGAIN);
    close(fd);
}

void notify_rig_drain(int fd)
{
    char *text = NULL;

    while ((text = notify_rig_receive(fd, NULL)))
        g_free(text);
}
