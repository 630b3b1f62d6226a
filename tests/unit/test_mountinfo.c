/*
 * Tests of sys/mountinfo.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "procfs_rig.h"
#include "sys/mountinfo.h"

#include <string.h>

#define MOUNTINFO                                                                                  \
    "22 1 254:1 / / rw shared:1 - ext4 /dev/vda1 rw\n"                                             \
    "23 22 254:16 / /srv rw - xfs /dev/vdb rw\n"                                                   \
    "nonsense\n"                                                                                   \
    "24 x 254:17 / /bad rw - xfs /dev/vdb rw\n"                                                    \
    "25 22 254:18\n"                                                                               \
    "26 23 254:32 / /srv/with\\040blank rw - ext4 /dev/vdc rw\n"                                   \
    "27 23 254:48 / /srv/over rw - ext4 /dev/vdd rw\n"                                             \
    "28 27 254:64 / /srv/over rw - ext4 /dev/vde rw"

static void the_longest_mount_point_wins(void)
{
    static const struct {
        const char *path;
        unsigned minor;
    } CASES[] = {
        {"/", 1},
        {"/srv", 16},
        {"/srvx/file", 1},
        {"/srv/file", 16},
        {"/srv/with blank", 32},
        {"/srv/with blank/file", 32},
        {"/srv/with\\040blank/file", 16},
        {"/srv/over/file", 64}, /* the later one covers the earlier */
        {"/bad/file", 1},
    };
    g_autofree char *root = rig_new(MOUNTINFO);
    g_autofree char *path = g_build_filename(root, "self", "mountinfo", NULL);
    unsigned major = 0, minor = 0;

    for (unsigned i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_assert_true(mountinfo_of_path(path, CASES[i].path, &major, &minor));
        g_assert_cmpuint(major, ==, 254);
        g_assert_cmpuint(minor, ==, CASES[i].minor);
    }
    g_assert_false(mountinfo_of_path(path, "pipe:[12]", &major, &minor));
    g_assert_false(mountinfo_of_path("/nonexistent", "/srv", &major, &minor));
    rig_remove(root);
}

static bool count_two(const MountinfoLine *line, void *user_data)
{
    unsigned *count = user_data;

    g_assert_cmpint(line->mount_id, ==, 22 + (int)*count);
    return ++*count < 2;
}

static void the_reader_may_stop(void)
{
    g_autofree char *root = rig_new(MOUNTINFO);
    g_autofree char *path = g_build_filename(root, "self", "mountinfo", NULL);
    unsigned count = 0;

    g_assert_true(mountinfo_each(path, count_two, &count));
    g_assert_cmpuint(count, ==, 2);
    g_assert_false(mountinfo_each("/nonexistent", count_two, &count));
    rig_remove(root);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/mountinfo/path", the_longest_mount_point_wins);
    g_test_add_func("/mountinfo/stop", the_reader_may_stop);
    return g_test_run();
}
