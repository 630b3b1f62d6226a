/*
 * Tests of sys/reach as far as it needs no privileges: a folder that looks like /proc, with this
 * process's own mounts in its tables. Copies of namespaces are for the virtual machine.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/reach.h"

#include "procfs_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    char *procfs, *folder;
    int mount_id; /* of `folder` */
} Fixture;

static void set_up(Fixture *fixture, gconstpointer data)
{
    struct statx status;

    (void)data;
    fixture->procfs = rig_new("1 0 8:1 / / rw - ext4 /dev/sda1 rw\n");
    fixture->folder = g_build_filename(fixture->procfs, "mounted here", NULL);
    g_assert_cmpint(g_mkdir(fixture->folder, 0700), ==, 0);
    g_assert_cmpint(statx(AT_FDCWD, fixture->folder, 0, STATX_MNT_ID, &status), ==, 0);
    fixture->mount_id = (int)status.stx_mnt_id;
}

static void tear_down(Fixture *fixture, gconstpointer data)
{
    (void)data;
    rig_free(fixture->procfs);
    g_free(fixture->folder);
}

/* A line for `folder` as a mount of its own of 8:16. */
static char *line(const Fixture *fixture)
{
    g_auto(GStrv) words = g_strsplit(fixture->folder, " ", -1);
    g_autofree char *target = g_strjoinv("\\040", words);

    return g_strdup_printf("%d 1 8:16 / %s rw - ext4 /dev/sdb rw\n", fixture->mount_id, target);
}

static ReachPlace place(const Fixture *fixture)
{
    return (ReachPlace){.path = fixture->folder,
                        .mount_id = fixture->mount_id,
                        .major = 8,
                        .minor = 16,
                        .procfs = fixture->procfs};
}

static void assert_opens(const Fixture *fixture, const ReachPlace *at)
{
    struct stat found, expected;
    int fd = reach_open(at);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(fstat(fd, &found), ==, 0);
    g_assert_cmpint(close(fd), ==, 0);
    g_assert_cmpint(stat(fixture->folder, &expected), ==, 0);
    g_assert_true(found.st_ino == expected.st_ino);
}

static void in_the_own_namespace(Fixture *fixture, gconstpointer data)
{
    ReachPlace at = place(fixture);

    (void)data;
    assert_opens(fixture, &at);
}

static void in_another_namespace(Fixture *fixture, gconstpointer data)
{
    ReachPlace at = place(fixture);

    (void)data;
    at.where = (Namespace){.inode = 7, .pid = 10, .rooted = true};
    rig_process(fixture->procfs, "10", 7, "/", "");
    assert_opens(fixture, &at);
    /* Its process ended; the namespace has others. */
    rig_process(fixture->procfs, "10", 8, "/jail", "");
    rig_process(fixture->procfs, "11", 7, "/", "");
    assert_opens(fixture, &at);
    /* Another namespace by the same process: not this one. */
    rig_process(fixture->procfs, "11", 8, "/", "");
    g_assert_cmpint(reach_open(&at), ==, -ENODEV);
}

static void moved(Fixture *fixture, gconstpointer data)
{
    ReachPlace at = place(fixture);
    g_autofree char *here = line(fixture);
    g_autofree char *table = g_strconcat("1 0 8:1 / / rw - ext4 /dev/sda1 rw\n", here, NULL);

    (void)data;
    at.path = "/no/longer/here";
    g_assert_cmpint(reach_open(&at), ==, -ENODEV);
    rig_put(fixture->procfs, "self/mountinfo", table);
    assert_opens(fixture, &at);
    /* Another mount is there now. */
    at.path = fixture->folder;
    at.mount_id++;
    assert_opens(fixture, &at);
    /* As after a restart: only the device is known. */
    at = (ReachPlace){.path = "/x", .mount_id = -1, .major = 8, .minor = 16};
    at.procfs = fixture->procfs;
    assert_opens(fixture, &at);
}

static void moved_to_another_namespace(Fixture *fixture, gconstpointer data)
{
    ReachPlace at = place(fixture);
    g_autofree char *here = line(fixture);

    (void)data;
    at.path = "/no/longer/here";
    rig_process(fixture->procfs, "10", 7, "/", here);
    assert_opens(fixture, &at);
}

/* "Unmounted" is only said when every namespace was looked at. */
static void nowhere_that_could_be_seen(Fixture *fixture, gconstpointer data)
{
    ReachPlace at = place(fixture);

    (void)data;
    at.path = "/no/longer/here";
    rig_link(fixture->procfs, "10/ns/mnt", "unreadable");
    g_assert_cmpint(reach_open(&at), ==, -EACCES);
}

/* A table that names a place where it is not: tried anew, and given up. */
/* A recovery knows the device; with a hundred to open it must not look through all mounts for each.
 */
static void where_it_was_by_its_device(Fixture *fixture, gconstpointer data)
{
    ReachPlace at = place(fixture);
    struct statx status;

    (void)data;
    g_assert_cmpint(statx(AT_FDCWD, fixture->folder, 0, STATX_TYPE, &status), ==, 0);
    at.mount_id = -1;
    at.major = status.stx_dev_major;
    at.minor = status.stx_dev_minor;
    at.procfs = "/nowhere"; /* nothing to look through */
    assert_opens(fixture, &at);
    at.minor++;
    g_assert_cmpint(reach_open(&at), <, 0);
}

static void a_game_of_hide_and_seek_ends(Fixture *fixture, gconstpointer data)
{
    ReachPlace at = place(fixture);

    (void)data;
    at.path = "/no/longer/here";
    rig_put(fixture->procfs, "self/mountinfo",
            "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n9 1 8:16 / /nor/here rw - ext4 /dev/sdb rw\n");
    g_assert_cmpint(reach_open(&at), ==, -ENOENT);
}

static void hostile_paths(Fixture *fixture, gconstpointer data)
{
    g_autofree char *link = g_build_filename(fixture->folder, "link", NULL);
    g_autofree char *fifo = g_build_filename(fixture->folder, "fifo", NULL);
    ReachPlace at = {.path = link, .mount_id = -1, .procfs = fixture->procfs};

    (void)data;
    at.where = (Namespace){.inode = 7, .pid = 10, .rooted = true};
    rig_process(fixture->procfs, "10", 7, "/", "");
    g_assert_cmpint(symlink("/", link), ==, 0);
    g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
    g_assert_cmpint(reach_open(&at), ==, -ELOOP);
    at.path = fifo;
    g_assert_cmpint(reach_open(&at), ==, -EOPNOTSUPP);
    at.path = "/proc/self/root";
    g_assert_cmpint(reach_open(&at), ==, -ELOOP);
}

static void copies_own_their_strings(Fixture *fixture, gconstpointer data)
{
    ReachPlace at = place(fixture), *copy = reach_place_copy(&at);

    (void)data;
    g_assert_true(copy->path != at.path && copy->procfs != at.procfs);
    assert_opens(fixture, copy);
    reach_place_free(copy);
    reach_place_free(NULL);
}

#define add(name, function) g_test_add("/reach/" name, Fixture, NULL, set_up, function, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("in_the_own_namespace", in_the_own_namespace);
    add("in_another_namespace", in_another_namespace);
    add("moved", moved);
    add("moved_to_another_namespace", moved_to_another_namespace);
    add("nowhere_that_could_be_seen", nowhere_that_could_be_seen);
    add("where_it_was_by_its_device", where_it_was_by_its_device);
    add("a_game_of_hide_and_seek_ends", a_game_of_hide_and_seek_ends);
    add("hostile_paths", hostile_paths);
    add("copies_own_their_strings", copies_own_their_strings);
    return g_test_run();
}
