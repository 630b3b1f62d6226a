/*
 * offload_path: the open that offload_open() runs in its threads.
 *
 * The path is first looked up without opening what it leads to (O_PATH), so that a FIFO, a device
 * or a foreign filesystem that somebody mounted there is turned away before it gets to run.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/offload_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int look_up(const char *path)
{
    const struct open_how how = {
        .flags = O_PATH | O_CLOEXEC,
        .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

    if (fd < 0)
        return -errno;
    return fd;
}

static int check(int place, int mount_id, mode_t *ret_mode)
{
    struct statx status;

    if (statx(place, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_MNT_ID, &status) <
        0)
        return -errno;
    *ret_mode = status.stx_mode;
    if (mount_id >= 0 &&
        (!(status.stx_mask & STATX_MNT_ID) || status.stx_mnt_id != (uint64_t)mount_id))
        return -EXDEV;
    return S_ISDIR(status.stx_mode) || S_ISREG(status.stx_mode) ? 0 : -EOPNOTSUPP;
}

static int open_place(int place, mode_t mode)
{
    const int flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
    char link[sizeof("/proc/thread-self/fd/") + 12];
    int from = S_ISDIR(mode) ? place : AT_FDCWD;
    const char *name = S_ISDIR(mode) ? "." : link;
    int fd = -1;

    /* The table is this thread's own, so "self" would be another. */
    g_snprintf(link, sizeof(link), "/proc/thread-self/fd/%d", place);
    fd = openat(from, name, flags | O_NOATIME);
    if (fd < 0 && errno == EPERM) /* not the owner; only tests run like that */
        fd = openat(from, name, flags);
    if (fd < 0)
        return -errno;
    return fd;
}

int offload_open_path(const char *path, int mount_id)
{
    mode_t mode = 0;
    int place = look_up(path);
    int result = 0;

    if (place < 0)
        return place;
    result = check(place, mount_id, &mode);
    if (result == 0)
        result = open_place(place, mode);
    offload_close(place);
    return result;
}
