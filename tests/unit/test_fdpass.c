/*
 * Tests of fdpass: fds that go with a message.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/fdpass.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    int socket[2];
    int pipe[2];
} Fixture;

static void set_up(Fixture *fixture, gconstpointer unused)
{
    (void)unused;
    g_assert_cmpint(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fixture->socket), ==,
        0);
    g_assert_cmpint(pipe2(fixture->pipe, O_CLOEXEC | O_NONBLOCK), ==, 0);
}

static void tear_down(Fixture *fixture, gconstpointer unused)
{
    (void)unused;
    for (unsigned i = 0; i < 2; i++) {
        if (fixture->socket[i] >= 0)
            (void)close(fixture->socket[i]);
        if (fixture->pipe[i] >= 0)
            (void)close(fixture->pipe[i]);
    }
}

/* What comes next: its text in `ret_text` of 8 bytes, its fds, at most `max`. */
static unsigned receive(const Fixture *fixture, char *ret_text, int *ret_fds, unsigned max)
{
    struct iovec part = {ret_text, 8};
    FdPassRoom room = {0};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &room, .msg_controllen = sizeof room};

    g_assert_cmpint(recvmsg(fixture->socket[1], &message, MSG_CMSG_CLOEXEC), >, 0);
    g_assert_cmpint(message.msg_flags & MSG_CTRUNC, ==, 0);
    return fdpass_take(&message, ret_fds, max);
}

static void same_file(int a, int b)
{
    struct stat first, second;

    g_assert_cmpint(fstat(a, &first), ==, 0);
    g_assert_cmpint(fstat(b, &second), ==, 0);
    g_assert_cmpuint(first.st_ino, ==, second.st_ino);
}

/* The writing end of the pipe, `n_fds` times. Only those of the receiver are left. */
static void send_writers(Fixture *fixture, unsigned n_fds)
{
    int fds[FDPASS_MAX];

    for (unsigned i = 0; i < n_fds; i++)
        fds[i] = fixture->pipe[1];
    g_assert_cmpint(fdpass_send(fixture->socket[0], "hello", 6, fds, n_fds, 0), ==, 6);
    (void)close(fixture->pipe[1]);
    fixture->pipe[1] = -1;
}

/* Every copy of the writing end is closed: the reader sees the end. */
static void no_writer_left(const Fixture *fixture)
{
    char byte;

    g_assert_cmpint(read(fixture->pipe[0], &byte, 1), ==, 0);
}

static void without_fds(Fixture *fixture, gconstpointer unused)
{
    char text[8] = "";
    int fd = -1;

    (void)unused;
    g_assert_cmpint(fdpass_send(fixture->socket[0], "hello", 6, NULL, 0, 0), ==, 6);
    g_assert_cmpuint(receive(fixture, text, &fd, 1), ==, 0);
    g_assert_cmpstr(text, ==, "hello");
    g_assert_cmpint(fd, ==, -1);
}

static void as_many_as_the_kernel_takes(Fixture *fixture, gconstpointer unused)
{
    int taken[FDPASS_MAX];
    char text[8] = "";

    (void)unused;
    send_writers(fixture, FDPASS_MAX);
    g_assert_cmpuint(receive(fixture, text, taken, FDPASS_MAX), ==, FDPASS_MAX);
    g_assert_cmpstr(text, ==, "hello");
    for (unsigned i = 0; i < FDPASS_MAX; i++) {
        same_file(taken[i], fixture->pipe[0]);
        g_assert_cmpint(fcntl(taken[i], F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);
        (void)close(taken[i]);
    }
    no_writer_left(fixture);
}

static void one_more_is_refused(Fixture *fixture, gconstpointer unused)
{
    int fds[FDPASS_MAX + 1];

    (void)unused;
    for (unsigned i = 0; i < G_N_ELEMENTS(fds); i++)
        fds[i] = fixture->pipe[1];
    errno = 0;
    g_assert_cmpint(fdpass_send(fixture->socket[0], "", 1, fds, G_N_ELEMENTS(fds), 0), ==, -1);
    g_assert_cmpint(errno, ==, EINVAL);
    /* Nothing was sent. */
    g_assert_cmpint(recv(fixture->socket[1], fds, sizeof fds, 0), ==, -1);
    g_assert_cmpint(errno, ==, EAGAIN);
}

/* Who expects one and is sent three keeps one open and none for good. */
static void more_than_wanted_are_closed(Fixture *fixture, gconstpointer unused)
{
    char text[8];
    int fd = -1;

    (void)unused;
    send_writers(fixture, 3);
    g_assert_cmpuint(receive(fixture, text, &fd, 1), ==, 1);
    (void)close(fd);
    no_writer_left(fixture);
}

static void nobody_there_is_an_error_and_no_signal(Fixture *fixture, gconstpointer unused)
{
    (void)unused;
    (void)close(fixture->socket[1]);
    fixture->socket[1] = -1;
    g_assert_cmpint(fdpass_send(fixture->socket[0], "", 1, fixture->pipe, 1, 0), ==, -1);
    g_assert_cmpint(errno, ==, EPIPE);
}

#define ADD(function) g_test_add("/fdpass/" #function, Fixture, NULL, set_up, function, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD(without_fds);
    ADD(as_many_as_the_kernel_takes);
    ADD(one_more_is_refused);
    ADD(more_than_wanted_are_closed);
    ADD(nobody_there_is_an_error_and_no_signal);
    return g_test_run();
}
