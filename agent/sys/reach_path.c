/*
 * reach_path: opening a filesystem by a path that leads to it.
 *
 * The path is first looked up without opening what it leads to (O_PATH), so that a FIFO, a device
 * or a foreign filesystem that somebody mounted there is turned away before it gets to run.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/reach_internal.h"

#include "sys/offload_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int reach_look_up(int root, const char *path)
{
    const struct open_how how = {
        .flags = O_PATH | O_CLOEXEC,
        .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
                   (root >= 0 ? (uint64_t)RESOLVE_IN_ROOT : 0),
    };
    int fd = (int)syscall(SYS_openat2, root >= 0 ? root : AT_FDCWD, path, &how, sizeof(how));

    if (fd < 0)
        return -errno;
    return fd;
}

static int status_of(int place, struct statx *ret_status)
{
    /* DONT_SYNC: a dead server is not asked. */
    if (statx(place, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_MNT_ID,
              ret_status) < 0)
        return -errno;
    return 0;
}

int reach_check(int place, int mount_id, mode_t *ret_mode)
{
    struct statx status = {0};
    int result = status_of(place, &status);

    if (result < 0)
        return result;
    *ret_mode = status.stx_mode;
    if (mount_id >= 0 &&
        (!(status.stx_mask & STATX_MNT_ID) || status.stx_mnt_id != (uint64_t)mount_id))
        return -EXDEV;
    return S_ISDIR(status.stx_mode) || S_ISREG(status.stx_mode) ? 0 : -EOPNOTSUPP;
}

int reach_mount_id(int place)
{
    struct statx status = {0};
    int result = status_of(place, &status);

    if (result < 0)
        return result;
    return status.stx_mask & STATX_MNT_ID ? (int)status.stx_mnt_id : -ENOSYS;
}

int reach_open_found(int place, mode_t mode, int proc)
{
    const int flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
    char link[sizeof("thread-self/fd/") + 12];
    int from = S_ISDIR(mode) ? place : proc;
    const char *name = S_ISDIR(mode) ? "." : link;
    int fd = -1;

    /* The table is this thread's own, so "self" would be another. */
    g_snprintf(link, sizeof(link), "thread-self/fd/%d", place);
    fd = openat(from, name, flags | O_NOATIME);
    if (fd < 0 && errno == EPERM) /* not the owner; only tests run like that */
        fd = openat(from, name, flags);
    if (fd < 0)
        return -errno;
    return fd;
}

static int open_below(int root, const ReachPlace *place)
{
    mode_t mode = 0;
    int found = reach_look_up(root, place->path);
    int proc = -1, result = 0;

    if (found < 0)
        return found;
    result = reach_check(found, place->mount_id, &mode);
    if (result == 0 && !S_ISDIR(mode)) {
        proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (proc < 0)
            result = -errno;
    }
    if (result == 0)
        result = reach_open_found(found, mode, proc);
    offload_close(found);
    if (proc >= 0)
        offload_close(proc);
    return result;
}

int reach_path(const ReachPlace *place)
{
    int root = -1, result = 0;

    if (place->where.inode != 0) {
        root = namespace_root(reach_procfs(place), &place->where);
        if (root < 0)
            return root;
    }
    result = open_below(root, place);
    if (root >= 0)
        offload_close(root);
    return result;
}
