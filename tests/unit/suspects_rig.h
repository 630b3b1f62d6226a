/*
 * suspects_rig: an invented procfs with processes that have files on invented filesystems.
 *
 *   /            254:1   mount id 22      /srv/data   254:16  mount id 31
 *   /run         0:25    mount id 25      /srv/btrfs  0:44    mount id 33
 *
 * A container's processes see 254:16 as mount id 77 at /data.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "procfs_rig.h"

#define RIG_MOUNTINFO                                                                              \
    "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n"                                    \
    "25 22 0:25 / /run rw,nosuid shared:5 - tmpfs tmpfs rw\n"                                      \
    "31 22 254:16 / /srv/data rw shared:7 - xfs /dev/vdb rw\n"                                     \
    "33 22 0:44 /@ /srv/btrfs rw - btrfs /dev/vdc rw,subvol=/@\n"
#define RIG_CONTAINER                                                                              \
    "70 60 0:60 / / rw - overlay overlay rw\n"                                                     \
    "77 70 254:16 /volume /data rw - xfs /dev/vdb rw\n"

typedef struct {
    char *root;
} Tree;

static inline void tree_set_up(Tree *tree)
{
    tree->root = rig_new(RIG_MOUNTINFO);
}

static inline void tree_tear_down(Tree *tree)
{
    rig_free(tree->root);
}

/* A process, or a task of one. */
static inline void rig_daemon(const Tree *tree, const char *process, const char *comm)
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

/* `folder` is a process or a task; `info` what its fdinfo says. */
static inline void rig_fd(const Tree *tree, const char *folder, int fd, const char *target,
                          const char *info)
{
    g_autofree char *link = g_strdup_printf("%s/fd/%d", folder, fd);
    g_autofree char *file = g_strdup_printf("%s/fdinfo/%d", folder, fd);

    rig_link(tree->root, link, target);
    rig_put(tree->root, file, info);
}

/* An open file; `flags` in octal as the kernel writes them: 0100001 for O_WRONLY. */
static inline void rig_file(const Tree *tree, const char *folder, int fd, const char *path,
                            int mount_id, const char *flags)
{
    g_autofree char *info =
        g_strdup_printf("pos:\t0\nflags:\t%s\nmnt_id:\t%d\nino:\t12\n", flags, mount_id);

    rig_fd(tree, folder, fd, path, info);
}

/* A fanotify group with these marks. */
static inline void rig_listener(const Tree *tree, const char *process, int fd, const char *marks)
{
    g_autofree char *info = g_strdup_printf("pos:\t0\nflags:\t02\nmnt_id:\t15\nino:\t1058\n"
                                            "fanotify flags:4 event-flags:0\n%s",
                                            marks);

    rig_fd(tree, process, fd, "anon_inode:[fanotify]", info);
}
