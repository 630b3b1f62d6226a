/*
 * test_port_pty: a serial port on a pty, and a directory for its device links.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "sys/port_internal.h"
#include "test_port.h"

#include <glib/gstdio.h>
#include <stdlib.h>
#include <termios.h>

#define MIB ((size_t)1 << 20)

typedef struct {
    char *directory, *path;
    Recorder *recorder;
    Port *port;
} Fixture;

static inline void make_raw(int fd)
{
    struct termios line;

    g_assert_cmpint(tcgetattr(fd, &line), ==, 0);
    cfmakeraw(&line);
    g_assert_cmpint(tcsetattr(fd, TCSANOW, &line), ==, 0);
}

/* A new pty's master; `slave` gets the path of the other side. */
static inline int pty_new(char slave[64])
{
    int fd = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(unlockpt(fd), ==, 0);
    g_assert_cmpint(ptsname_r(fd, slave, 64), ==, 0);
    return fd;
}

static inline void put(int fd, const char *text)
{
    g_assert_cmpint(write(fd, text, strlen(text)), ==, (ssize_t)strlen(text));
}

static inline void setup(Fixture *fixture, gconstpointer unused)
{
    (void)unused;
    fixture->directory = g_dir_make_tmp("port-XXXXXX", NULL);
    g_assert_nonnull(fixture->directory);
    fixture->path = g_build_filename(fixture->directory, "port", NULL);
    fixture->recorder = recorder_new();
}

static inline void teardown(Fixture *fixture, gconstpointer unused)
{
    (void)unused;
    port_free(fixture->port);
    recorder_free(fixture->recorder);
    g_unlink(fixture->path);
    g_assert_cmpint(g_rmdir(fixture->directory), ==, 0);
    g_free(fixture->path);
    g_free(fixture->directory);
}

static inline void start(Fixture *fixture, PortMethod method, const char *path)
{
    g_autoptr(GError) error = NULL;

    fixture->port = port_new("test", method, path, &RECORDING, fixture->recorder, &error);
    g_assert_no_error(error);
    g_assert_true(port_open(fixture->port, &error));
    g_assert_no_error(error);
}
