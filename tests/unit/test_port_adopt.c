/*
 * test_port_adopt: a serial device that goes from one program to the next without being closed.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "port_pty_rig.h"

#include <fcntl.h>
#include <unistd.h>

static unsigned open_fds(void)
{
    g_autoptr(GDir) directory = g_dir_open("/proc/self/fd", 0, NULL);
    unsigned count = 0;

    while (g_dir_read_name(directory))
        count++;
    return count;
}

static void start_adopting(Fixture *fixture, const char *path, int fd)
{
    g_autoptr(GError) error = NULL;

    fixture->port =
        port_new("test", PORT_VIRTIO_SERIAL, path, &RECORDING, fixture->recorder, &error);
    g_assert_no_error(error);
    port_adopt(fixture->port, fd);
    g_assert_true(port_open(fixture->port, &error));
    g_assert_no_error(error);
}

/* What the host sends while neither program reads is read by the new one, by the same fd. */
static void test_nothing_is_lost(Fixture *fixture, gconstpointer unused)
{
    char slave[64];
    int master = pty_new(slave), kept = -1;

    (void)unused;
    start(fixture, PORT_VIRTIO_SERIAL, slave);
    make_raw(port_device(fixture->port));
    put(master, "before");
    PUMP_UNTIL(fixture->recorder->data->len == 6);
    kept = fcntl(port_device(fixture->port), F_DUPFD_CLOEXEC, 0);
    port_free(fixture->port);
    put(master, "meanwhile");
    start_adopting(fixture, slave, kept);
    g_assert_cmpint(port_device(fixture->port), ==, kept);
    PUMP_UNTIL(fixture->recorder->data->len == 15);
    g_assert_cmpstr(fixture->recorder->data->str, ==, "beforemeanwhile");
    close(master);
}

static void test_another_device_is_not_used(Fixture *fixture, gconstpointer unused)
{
    char slave[64], other[64];
    int master = pty_new(slave), other_master = pty_new(other);
    int fd = open(other, O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct stat opened, named;

    (void)unused;
    start_adopting(fixture, slave, fd);
    g_assert_cmpint(fstat(port_device(fixture->port), &opened), ==, 0);
    g_assert_cmpint(stat(slave, &named), ==, 0);
    g_assert_true(opened.st_rdev == named.st_rdev);
    close(master);
    close(other_master);
}

/* Whatever becomes of it, an adopted fd is not left open. */
static void test_no_fd_is_left(Fixture *fixture, gconstpointer unused)
{
    unsigned before = open_fds();
    Port *port = port_new("test", PORT_VIRTIO_SERIAL, "/dev/null", &RECORDING, NULL, NULL);
    Port *listening = port_new("test", PORT_UNIX_LISTEN, fixture->path, &RECORDING, NULL, NULL);

    (void)unused;
    port_adopt(port, open("/dev/zero", O_RDWR | O_CLOEXEC));
    port_adopt(port, open("/dev/zero", O_RDWR | O_CLOEXEC));
    port_adopt(listening, open("/dev/zero", O_RDWR | O_CLOEXEC));
    g_assert_cmpuint(open_fds(), ==, before + 1);
    g_assert_cmpint(port_device(port), ==, -1);
    port_free(port);
    port_free(listening);
    g_assert_cmpuint(open_fds(), ==, before);
}

#define ADD(function) g_test_add("/port/adopt/" #function, Fixture, NULL, setup, function, teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD(test_nothing_is_lost);
    ADD(test_another_device_is_not_used);
    ADD(test_no_fd_is_left);
    return g_test_run();
}
