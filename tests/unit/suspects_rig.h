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

void tree_set_up(Tree *tree);
void tree_tear_down(Tree *tree);
/* A process, or a task of one. */
void rig_daemon(const Tree *tree, const char *process, const char *comm);
/* `folder` is a process or a task; `info` what its fdinfo says. */
void rig_fd(const Tree *tree, const char *folder, int fd, const char *target, const char *info);
/* An open file; `flags` in octal as the kernel writes them: 0100001 for O_WRONLY. */
void rig_file(const Tree *tree, const char *folder, int fd, const char *path, int mount_id,
              const char *flags);
/* A fanotify group with these marks. */
void rig_listener(const Tree *tree, const char *process, int fd, const char *marks);
