/*
 * test_closer: what lingers is closed by others, up to the limit.
 *
 * A TCP socket that lingers, with more in its queue than the other side takes, is closed when its
 * time is over.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/closer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINGER_S 6

static int listener_new(struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t size = sizeof *address;

    *address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    g_assert_cmpint(bind(fd, (struct sockaddr *)address, size), ==, 0);
    g_assert_cmpint(listen(fd, CLOSER_THREADS_MAX + 1), ==, 0);
    g_assert_cmpint(getsockname(fd, (struct sockaddr *)address, &size), ==, 0);
    return fd;
}

static int lingering_new(const struct sockaddr_in *address)
{
    const struct linger linger = {1, LINGER_S};
    static const char block[1 << 16];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_assert_cmpint(connect(fd, (const struct sockaddr *)address, sizeof *address), ==, 0);
    g_assert_cmpint(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), ==, 0);
    while (send(fd, block, sizeof block, MSG_DONTWAIT) > 0)
        ;
    return fd;
}

static double seconds_to_close(int fd)
{
    gint64 began = g_get_monotonic_time();

    closer_close_one(CLOSER_OWN, fd);
    return (double)(g_get_monotonic_time() - began) / G_USEC_PER_SEC;
}

static void test_lingering(void)
{
    struct sockaddr_in address;
    int listener = listener_new(&address), fds[CLOSER_THREADS_MAX + 1];

    for (unsigned i = 0; i < G_N_ELEMENTS(fds); i++)
        fds[i] = lingering_new(&address);
    for (unsigned i = 0; i < CLOSER_THREADS_MAX; i++)
        g_assert_cmpfloat(seconds_to_close(fds[i]), <, LINGER_S / 2.0);
    /* All threads are at it. */
    g_assert_cmpfloat(seconds_to_close(fds[CLOSER_THREADS_MAX]), >, LINGER_S / 2.0);
    close(listener);
}

static void test_several(void)
{
    int ends[2], *fds = g_new(int, 3);
    char byte;

    g_assert_cmpint(pipe2(ends, O_CLOEXEC), ==, 0);
    fds[0] = ends[1];
    fds[1] = fcntl(ends[1], F_DUPFD_CLOEXEC, 0);
    fds[2] = -1;
    closer_close(CLOSER_OWN, fds);
    g_assert_cmpint(read(ends[0], &byte, 1), ==, 0); /* both are closed */
    close(ends[0]);
    closer_close(CLOSER_OWN, NULL);
    closer_close_one(CLOSER_OWN, -1);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/closer/several", test_several);
    g_test_add_func("/closer/lingering", test_lingering);
    return g_test_run();
}
