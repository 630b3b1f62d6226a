/*
 * thaw: see thaw.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/thaw.h"

#include <errno.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

int thaw_filesystem(int fd)
{
    return ioctl(fd, FITHAW, 0) == 0 ? 0 : errno;
}
