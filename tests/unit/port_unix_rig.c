/*
 * port_unix_rig: see port_unix_rig.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "port_unix_rig.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int client(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_assert_cmpint(fd, >=, 0);
    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    g_assert_cmpint(connect(fd, (struct sockaddr *)&address, sizeof(address)), ==, 0);
    return fd;
}

int listener(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof(address)), ==, 0);
    g_assert_cmpint(listen(fd, 16), ==, 0);
    return fd;
}

void setup_closed(Fixture *fixture, gconstpointer unused)
{
    g_autoptr(GError) error = NULL;

    (void)unused;
    fixture_begin(fixture, "agent.sock");
    fixture->port =
        port_new("test", PORT_UNIX_LISTEN, fixture->path, &RECORDING, fixture->recorder, &error);
    g_assert_no_error(error);
}

void setup(Fixture *fixture, gconstpointer unused)
{
    g_autoptr(GError) error = NULL;

    setup_closed(fixture, unused);
    g_assert_true(port_open(fixture->port, &error));
    g_assert_no_error(error);
    g_assert_true(fixture->recorder->open);
}
