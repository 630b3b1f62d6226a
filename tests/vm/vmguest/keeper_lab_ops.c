/*
 * keeper_lab_ops: the keeper's calls for the errors that no real filesystem gives on demand.
 *
 * Stands in for keeper/ops.c in a keeper that is built into the test machine's payload and runs
 * nowhere else: its calls are the real ones. While CONTROL has "MAJOR:MINOR ERRNO", FIFREEZE of
 * that filesystem fails with the number and is not called.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
/* The real calls, under another name. */
#define keeper_ops kernel_ops
#include "keeper/ops.c"
#undef keeper_ops

#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

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

static int freeze_or_fail(int fd)
{
    int error = injected(fd);

    return error ? error : kernel_ops()->freeze(fd);
}

const KeeperOps *keeper_ops(void);

const KeeperOps *keeper_ops(void)
{
    static KeeperOps ops;

    ops = *kernel_ops();
    ops.freeze = freeze_or_fail;
    return &ops;
}
