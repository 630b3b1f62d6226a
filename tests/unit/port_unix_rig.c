/*
 * port_unix_rig: see port_unix_rig.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "port_unix_rig.h"

#include <glib/gstdio.h>
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

void put(int fd, const char *text)
{
    g_assert_cmpint(write(fd, text, strlen(text)), ==, (ssize_t)strlen(text));
}

void setup_closed(Fixture *fixture, gconstpointer unused)
{
    g_autoptr(GError) error = NULL;

    (void)unused;
    fixture->directory = g_dir_make_tmp("port-XXXXXX", &error);
    g_assert_no_error(error);
    fixture->path = g_build_filename(fixture->directory, "agent.sock", NULL);
    fixture->recorder = recorder_new();
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

void teardown(Fixture *fixture, gconstpointer unused)
{
    (void)unused;
    port_free(fixture->port);
    recorder_free(fixture->recorder);
    g_unlink(fixture->path);
    g_assert_cmpint(g_rmdir(fixture->directory), ==, 0);
    g_free(fixture->path);
    g_free(fixture->directory);
}
