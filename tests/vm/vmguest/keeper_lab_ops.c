/*
 * keeper_lab_ops: the keeper's calls for the errors that no real filesystem gives on demand.
 *
 * Stands in for keeper/ops.c in a keeper that is built into the test machine's payload and runs
 * nowhere else: its calls are the real ones. While CONTROL has "MAJOR:MINOR ERRNO", FIFREEZE of
 * that filesystem fails with the number and is not called.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "keeper/message.h"
#include "keeper/ops.h"

#include <errno.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define CONTROL "/run/matrix/keeper-errno"

static int injected(int fd)
{
    FILE *file = fopen(CONTROL, "re");
    struct stat status;
    unsigned major_number, minor_number;
    int error = 0;

    if (!file)
        return 0;
    if (fscanf(file, "%u:%u %d", &major_number, &minor_number, &error) != 3 ||
        fstat(fd, &status) != 0 || status.st_dev != makedev(major_number, minor_number))
        error = 0;
    fclose(file);
    return error;
}

static int freeze_fd(int fd)
{
    int error = injected(fd);

    if (error)
        return error;
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
