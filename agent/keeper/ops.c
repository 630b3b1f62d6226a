/*
 * ops: see ops.h. The only file of the keeper that can freeze anything.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "keeper/ops.h"
#include "keeper/message.h"

#include <errno.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int freeze_fd(int fd)
{
    return ioctl(fd, FIFREEZE, 0) == 0 ? 0 : errno;
}

static int thaw_fd(int fd)
{
    return ioctl(fd, FITHAW, 0) == 0 ? 0 : errno;
}

static int sync_fd(int fd)
{
    return syncfs(fd) == 0 ? 0 : errno;
}

static int commit_fd(int fd)
{
    return fsync(fd) == 0 ? 0 : errno;
}

const KeeperOps *keeper_ops(void)
{
    static const KeeperOps OPS = {
        .freeze = freeze_fd,
        .thaw = thaw_fd,
        .sync = sync_fd,
        .commit = commit_fd,
        .tick_us = KEEPER_BEAT_US,
        .late_us = KEEPER_LATE_US,
        .grace_us = KEEPER_GRACE_US,
    };

    return &OPS;
}
