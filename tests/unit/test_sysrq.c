/*
 * test_sysrq: one letter to the trigger of an invented procfs. Nothing here opens /proc.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/sysrq.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    char *procfs, *trigger;
} Fixture;

static void set_up(Fixture *fixture, gconstpointer data)
{
    (void)data;
    fixture->procfs = g_dir_make_tmp("sysrq-XXXXXX", NULL);
    fixture->trigger = g_build_filename(fixture->procfs, "sysrq-trigger", NULL);
}

static void tear_down(Fixture *fixture, gconstpointer data)
{
    (void)data;
    (void)g_unlink(fixture->trigger);
    g_assert_cmpint(g_rmdir(fixture->procfs), ==, 0); /* and nothing else was made there */
    g_free(fixture->trigger);
    g_free(fixture->procfs);
}

/* As the kernel's: each write is one command, by its first letter. */
static void writes_one_letter_once(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    char text[8] = "";
    int end;

    (void)data;
    g_assert_cmpint(mkfifo(fixture->trigger, 0600), ==, 0);
    end = open(fixture->trigger, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    g_assert_true(sysrq_thaw_all(fixture->procfs, &error));
    g_assert_no_error(error);
    g_assert_cmpint(read(end, text, sizeof text), ==, 1);
    g_assert_cmpint(text[0], ==, 'j');
    g_assert_cmpint(read(end, text, sizeof text), ==, 0); /* its end is closed */
    close(end);
}

static void assert_refused(const Fixture *fixture, int error_number)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(sysrq_thaw_all(fixture->procfs, &error));
    g_assert_error(error, AGENT_ERROR, AGENT_ERROR_UNAVAILABLE);
    g_assert_nonnull(strstr(error->message, fixture->trigger));
    g_assert_nonnull(strstr(error->message, g_strerror(error_number)));
}

static void a_kernel_without_it_is_an_error(Fixture *fixture, gconstpointer data)
{
    (void)data;
    assert_refused(fixture, ENOENT);
    g_assert_cmpint(g_access(fixture->trigger, F_OK), !=, 0); /* not created */
}

static void a_write_that_fails_is_an_error(Fixture *fixture, gconstpointer data)
{
    (void)data;
    g_assert_cmpint(symlink("/dev/full", fixture->trigger), ==, 0);
    assert_refused(fixture, ENOSPC);
}

#define ADD(function) g_test_add("/sysrq/" #function, Fixture, NULL, set_up, function, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD(writes_one_letter_once);
    ADD(a_kernel_without_it_is_an_error);
    ADD(a_write_that_fails_is_an_error);
    return g_test_run();
}
