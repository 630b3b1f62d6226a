/*
 * suspects_rig: see suspects_rig.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "suspects_rig.h"

void tree_set_up(Tree *tree)
{
    tree->root = rig_new(RIG_MOUNTINFO);
}

void tree_tear_down(Tree *tree)
{
    rig_free(tree->root);
}

void rig_daemon(const Tree *tree, const char *process, const char *comm)
{
    const char *const NAMES[] = {"exe", "cwd"}, *const TARGETS[] = {"/usr/sbin/daemon", "/"};
    g_autofree char *name = g_strdup_printf("%s/comm", process);
    g_autofree char *line = g_strdup_printf("%s\n", comm);

    rig_process(tree->root, process, RIG_OWN, "/", RIG_MOUNTINFO);
    rig_put(tree->root, name, line);
    for (unsigned i = 0; i < G_N_ELEMENTS(NAMES); i++) {
        g_autofree char *link = g_strdup_printf("%s/%s", process, NAMES[i]);

        rig_link(tree->root, link, TARGETS[i]);
    }
}

void rig_fd(const Tree *tree, const char *folder, int fd, const char *target, const char *info)
{
    g_autofree char *link = g_strdup_printf("%s/fd/%d", folder, fd);
    g_autofree char *file = g_strdup_printf("%s/fdinfo/%d", folder, fd);

    rig_link(tree->root, link, target);
    rig_put(tree->root, file, info);
}

void rig_file(const Tree *tree, const char *folder, int fd, const char *path, int mount_id,
              const char *flags)
{
    g_autofree char *info =
        g_strdup_printf("pos:\t0\nflags:\t%s\nmnt_id:\t%d\nino:\t12\n", flags, mount_id);

    rig_fd(tree, folder, fd, path, info);
}

void rig_listener(const Tree *tree, const char *process, int fd, const char *marks)
{
    g_autofree char *info = g_strdup_printf("pos:\t0\nflags:\t02\nmnt_id:\t15\nino:\t1058\n"
                                            "fanotify flags:4 event-flags:0\n%s",
                                            marks);

    rig_fd(tree, process, fd, "anon_inode:[fanotify]", info);
}
