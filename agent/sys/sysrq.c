/*
 * sysrq: see sysrq.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/sysrq.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

bool sysrq_thaw_all(const char *procfs, GError **error)
{
    g_autofree char *path = g_build_filename(procfs, "sysrq-trigger", NULL);
    int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    int failed = 0;

    if (fd < 0)
        return agent_error_errno(error, AGENT_ERROR_UNAVAILABLE, errno, "%s", path);
    if (write(fd, "j", 1) != 1)
        failed = errno;
    (void)close(fd);
    if (failed)
        return agent_error_errno(error, AGENT_ERROR_UNAVAILABLE, failed, "%s", path);
    return true;
}
