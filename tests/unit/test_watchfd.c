/*
 * test_watchfd: instances of inotify go round, empty, and none is closed.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/port_watch.h"
#include "sys/watchfd.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define EVENTS 200 /* many more than one read() takes */

static char *directory;

static void touch(const char *name)
{
    g_autofree char *path = g_build_filename(directory, name, NULL);

    g_assert_true(g_file_set_contents(path, "", 0, NULL));
    g_assert_cmpint(g_unlink(path), ==, 0);
}

/* Those of the process. */
static unsigned instances(void)
{
    g_autoptr(GDir) fds = g_dir_open("/proc/self/fd", 0, NULL);
    unsigned count = 0;
    const char *name;

    while ((name = g_dir_read_name(fds)) != NULL) {
        g_autofree char *path = g_build_filename("/proc/self/fd", name, NULL);
        g_autofree char *target = g_file_read_link(path, NULL);

        count += target && g_str_equal(target, "anon_inode:inotify");
    }
    return count;
}

static void assert_quiet(int fd)
{
    char byte[4096];

    g_assert_cmpint((int)read(fd, byte, sizeof(byte)), ==, -1);
    g_assert_cmpint(errno, ==, EAGAIN);
}

static void one_that_is_given_back_is_taken_again_and_empty(void)
{
    int fd = watchfd_take();
    int other, again, id;

    g_assert_cmpint(fd, >=, 0);
    other = watchfd_take();
    g_assert_cmpint(other, >=, 0);
    g_assert_cmpint(other, !=, fd);
    watchfd_give(other);
    watchfd_give(-1);
    id = inotify_add_watch(fd, directory, IN_CREATE | IN_DELETE);
    g_assert_cmpint(id, >=, 0);
    for (unsigned i = 0; i < EVENTS; i++)
        touch(i % 2 ? "some name that is not short, so that the events are large" : "a");
    g_assert_cmpint(inotify_rm_watch(fd, id), ==, 0);
    watchfd_give(fd);
    again = watchfd_take();
    g_assert_cmpint(again, ==, fd);
    assert_quiet(again);
    touch("later");
    assert_quiet(again);
    watchfd_give(again);
    g_assert_cmpuint(instances(), ==, 2);
}

static void count_call(gpointer user_data)
{
    unsigned *calls = user_data;

    (*calls)++;
}

static void spin_what_is_ready(void)
{
    while (g_main_context_iteration(NULL, FALSE))
        continue;
}

/* The path's directory and "/" are watched, or more of them: all the watches have to go. */
static void a_path_is_watched_again_and_again_with_one_instance(void)
{
    g_autofree char *path = g_build_filename(directory, "node", NULL);
    unsigned before = instances();

    for (unsigned i = 0; i < 5; i++) {
        g_autoptr(PortWatch) watch = NULL;
        unsigned calls = 0;

        watch = port_watch_new(path, count_call, &calls, NULL);
        g_assert_nonnull(watch);
        spin_what_is_ready();
        g_assert_cmpuint(calls, ==, 0); /* what the one before did not read is not this one's */
        touch("node");
        if (i % 2) {
            spin_what_is_ready();
            g_assert_cmpuint(calls, ==, 1);
        }
    }
    g_assert_cmpuint(instances(), ==, before);
}

int main(int argc, char **argv)
{
    int status = 0;

    g_test_init(&argc, &argv, NULL);
    directory = g_dir_make_tmp("watch-XXXXXX", NULL);
    g_test_add_func("/watchfd/again", one_that_is_given_back_is_taken_again_and_empty);
    g_test_add_func("/watchfd/port", a_path_is_watched_again_and_again_with_one_instance);
    status = g_test_run();
    g_assert_cmpint(g_rmdir(directory), ==, 0);
    g_free(directory);
    return status;
}
