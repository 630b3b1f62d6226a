/*
 * procfs_rig: see procfs_rig.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "procfs_rig.h"

#include <glib/gstdio.h>
#include <unistd.h>

void rig_put(const char *procfs, const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(procfs, name, NULL);
    g_autofree char *folder = g_path_get_dirname(path);

    g_assert_cmpint(g_mkdir_with_parents(folder, 0700), ==, 0);
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

void rig_link(const char *procfs, const char *name, const char *target)
{
    g_autofree char *path = g_build_filename(procfs, name, NULL);
    g_autofree char *folder = g_path_get_dirname(path);

    g_assert_cmpint(g_mkdir_with_parents(folder, 0700), ==, 0);
    (void)g_unlink(path);
    g_assert_cmpint(symlink(target, path), ==, 0);
}

void rig_process(const char *procfs, const char *pid, unsigned inode, const char *root,
                 const char *table)
{
    g_autofree char *ns = g_strdup_printf("%s/ns/mnt", pid);
    g_autofree char *top = g_strdup_printf("%s/root", pid);
    g_autofree char *mountinfo = g_strdup_printf("%s/mountinfo", pid);
    g_autofree char *target = g_strdup_printf("mnt:[%u]", inode);

    rig_link(procfs, ns, target);
    rig_link(procfs, top, root);
    if (table)
        rig_put(procfs, mountinfo, table);
}

char *rig_new(const char *own_table)
{
    char *procfs = g_dir_make_tmp("procfs-XXXXXX", NULL);

    rig_process(procfs, "self", RIG_OWN, "/", own_table);
    return procfs;
}

void rig_remove(const char *path)
{
    g_autoptr(GDir) dir =
        g_file_test(path, G_FILE_TEST_IS_SYMLINK) ? NULL : g_dir_open(path, 0, NULL);
    const char *entry = NULL;

    while (dir && (entry = g_dir_read_name(dir))) {
        g_autofree char *child = g_build_filename(path, entry, NULL);
        rig_remove(child);
    }
    g_assert_cmpint(g_remove(path), ==, 0);
}

void rig_free(char *procfs)
{
    rig_remove(procfs);
    g_free(procfs);
}
