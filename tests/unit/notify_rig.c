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

char *notify_rig_receive(int fd, int *ret_fd)
{
    char buffer[4096];
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec part = {buffer, sizeof buffer};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = ret_fd ? &control : NULL,
                            .msg_controllen = ret_fd ? sizeof control : 0};
    ssize_t count = recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    if (ret_fd)
        *ret_fd = -1;
    if (count < 0)
        return NULL;
    g_assert_cmpint(header.msg_flags & (MSG_CTRUNC | MSG_TRUNC), ==, 0);
    if (ret_fd && header.msg_controllen > 0)
        memcpy(ret_fd, CMSG_DATA(&control.header), sizeof *ret_fd);
    return g_strndup(buffer, (size_t)count);
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
