/*
 * port_pty_rig: see port_pty_rig.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "port_pty_rig.h"

#include <fcntl.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

void make_raw(int fd)
{
    struct termios line;

    g_assert_cmpint(tcgetattr(fd, &line), ==, 0);
    cfmakeraw(&line);
    g_assert_cmpint(tcsetattr(fd, TCSANOW, &line), ==, 0);
}

int pty_new(char slave[64])
{
    int fd = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(unlockpt(fd), ==, 0);
    g_assert_cmpint(ptsname_r(fd, slave, 64), ==, 0);
    return fd;
}

void setup(Fixture *fixture, gconstpointer unused)
{
    (void)unused;
    fixture_begin(fixture, "port");
}

void start(Fixture *fixture, PortMethod method, const char *path)
{
    g_autoptr(GError) error = NULL;

    fixture->port = port_new("test", method, path, &RECORDING, fixture->recorder, &error);
    g_assert_no_error(error);
    g_assert_true(port_open(fixture->port, &error));
    g_assert_no_error(error);
}
