/*
 * graph_rig: see graph_rig.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "graph_rig.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

void set_up(Fixture *fixture, gconstpointer data)
{
    static const char *const FOLDERS[] = {"dev/block", "class/block", "fs/btrfs", "devices"};

    (void)data;
    fixture->sysfs = g_dir_make_tmp("graph-XXXXXX", NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(FOLDERS); i++) {
        g_autofree char *path = g_build_filename(fixture->sysfs, FOLDERS[i], NULL);
        g_assert_cmpint(g_mkdir_with_parents(path, 0700), ==, 0);
    }
}

static void remove_tree(const char *path)
{
    g_autoptr(GDir) dir =
        g_file_test(path, G_FILE_TEST_IS_SYMLINK) ? NULL : g_dir_open(path, 0, NULL);
    const char *entry = NULL;

    while (dir && (entry = g_dir_read_name(dir))) {
        g_autofree char *child = g_build_filename(path, entry, NULL);
        remove_tree(child);
    }
    g_assert_cmpint(g_remove(path), ==, 0);
}

void tear_down(Fixture *fixture, gconstpointer data)
{
    (void)data;
    g_clear_pointer(&fixture->mounts, g_ptr_array_unref);
    remove_tree(fixture->sysfs);
    g_free(fixture->sysfs);
}

/* --- building ----------------------------------------------------------------------------------
 */

void put(Fixture *fixture, const char *folder, const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(fixture->sysfs, folder, name, NULL);
    g_autofree char *parent = g_path_get_dirname(path);

    g_assert_cmpint(g_mkdir_with_parents(parent, 0700), ==, 0);
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

void put_link(Fixture *fixture, const char *name, const char *to)
{
    g_autofree char *path = g_build_filename(fixture->sysfs, name, NULL);
    g_autofree char *parent = g_path_get_dirname(path);
    g_autofree char *target = g_build_filename(fixture->sysfs, "devices", to, NULL);

    g_assert_cmpint(g_mkdir_with_parents(parent, 0700), ==, 0);
    g_assert_cmpint(symlink(target, path), ==, 0);
}

void device(Fixture *fixture, const char *place, const char *number)
{
    g_autofree char *folder = g_build_filename("devices", place, NULL);
    g_autofree char *base = g_path_get_basename(place);
    g_autofree char *dev = g_strconcat(number, "\n", NULL);
    g_autofree char *by_number = g_build_filename("dev/block", number, NULL);
    g_autofree char *by_name = g_build_filename("class/block", base, NULL);

    put(fixture, folder, "dev", dev);
    put_link(fixture, by_number, place);
    put_link(fixture, by_name, place);
    if (strchr(place, '/'))
        put(fixture, folder, "partition", "1\n");
}

void slave(Fixture *fixture, const char *holder, const char *of)
{
    g_autofree char *base = g_path_get_basename(of);
    g_autofree char *name = g_build_filename("devices", holder, "slaves", base, NULL);

    put_link(fixture, name, of);
}

void loop(Fixture *fixture, const char *name, const char *number, const char *backing)
{
    g_autofree char *folder = g_build_filename("devices", name, NULL);
    g_autofree char *text = g_strconcat(backing, "\n", NULL);

    device(fixture, name, number);
    put(fixture, folder, "loop/backing_file", text);
}

void rank_again(Fixture *fixture)
{
    GraphOptions options = {.sysfs = fixture->sysfs};

    graph_rank(fixture->mounts, &options);
}

void rank_file(Fixture *fixture, const char *mountinfo)
{
    MountsOptions options = {.mountinfo = mountinfo};
    g_autoptr(GError) error = NULL;

    g_clear_pointer(&fixture->mounts, g_ptr_array_unref);
    fixture->mounts = mounts_list(&options, NULL, &error);
    g_assert_no_error(error);
    rank_again(fixture);
}

void rank(Fixture *fixture, const char *text)
{
    g_autofree char *path = g_build_filename(fixture->sysfs, "mountinfo", NULL);

    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    rank_file(fixture, path);
}

const Mount *at(Fixture *fixture, const char *mountpoint)
{
    for (unsigned i = 0; i < fixture->mounts->len; i++) {
        const Mount *mount = g_ptr_array_index(fixture->mounts, i);

        if (mount_has_mountpoint(mount, mountpoint))
            return mount;
    }
    g_assert_not_reached();
}

void assert_rank(Fixture *fixture, const char *mountpoint, unsigned expected, const char *carriers)
{
    const Mount *mount = at(fixture, mountpoint);
    g_autoptr(GString) text = g_string_new(NULL);

    for (unsigned i = 0; i < mount->carriers->len; i++)
        g_string_append_printf(text, "%s%s", i ? " " : "",
                               (const char *)g_ptr_array_index(mount->carriers, i));
    g_test_message("%s: rank %u on %s", mountpoint, mount->rank, text->str);
    g_assert_cmpuint(mount->rank, ==, expected);
    g_assert_cmpstr(text->str, ==, carriers);
}
