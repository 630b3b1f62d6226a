/*
 * reach: see reach.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/reach_internal.h"

#include "sys/offload_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* A mount that moves each time it is found anew is somebody's game. */
#define SEARCHES_MAX 3u

const char *reach_procfs(const ReachPlace *place)
{
    return place->procfs ? place->procfs : "/proc";
}

ReachPlace reach_place(const Mount *mount, const char *procfs, bool exact)
{
    ReachPlace place = {
        .path = mount->mountpoint, .mount_id = -1, .where = mount->where, .procfs = procfs};

    if (exact) {
        place.mount_id = mount->mount_id;
        place.major = mount->major;
        place.minor = mount->minor;
        place.hidden = mount->hidden;
    }
    return place;
}

ReachPlace *reach_place_copy(const ReachPlace *place)
{
    ReachPlace *copy = g_new0(ReachPlace, 1);

    *copy = *place;
    copy->path = g_strdup(place->path);
    copy->procfs = g_strdup(place->procfs);
    return copy;
}

void reach_place_free(ReachPlace *place)
{
    if (!place)
        return;
    g_free((char *)place->path);
    g_free((char *)place->procfs);
    g_free(place);
}

/* The mount is not where it was. */
static bool is_gone(int result)
{
    return result == -ENOENT || result == -ENOTDIR || result == -ELOOP || result == -EXDEV ||
           result == -ENODEV || result == -ENXIO;
}

static int open_at(const ReachPlace *place)
{
    bool enter = place->where.inode != 0 && !place->where.rooted;

    return place->hidden || enter ? reach_copy(place) : reach_path(place);
}

static const Mount *find_device(GPtrArray *mounts, unsigned major, unsigned minor)
{
    for (unsigned i = 0; i < mounts->len; i++) {
        const Mount *mount = g_ptr_array_index(mounts, i);

        if (mount->major == major && mount->minor == minor)
            return mount;
    }
    return NULL;
}

static int search(const ReachPlace *place)
{
    const char *procfs = reach_procfs(place);
    g_autofree char *mountinfo = g_build_filename(procfs, "self", "mountinfo", NULL);
    MountsOptions options = {.mountinfo = mountinfo, .procfs = procfs};
    g_autofree char *unseen = NULL;
    g_autoptr(GPtrArray) mounts = mounts_list(&options, &unseen, NULL);
    const Mount *mount = mounts ? find_device(mounts, place->major, place->minor) : NULL;
    ReachPlace now;

    if (!mount)
        return unseen || !mounts ? -EACCES : -ENODEV;
    now = reach_place(mount, procfs, true);
    return open_at(&now);
}

/* Of a place that is known by its device only: what its path leads to, if that is the device.
 * Looking through all mounts takes longer the more there are, and a recovery may have many to open.
 */
static int open_if_there(const ReachPlace *place)
{
    struct statx status = {0};
    ReachPlace now = *place;
    int found = reach_look_up(-1, place->path);
    int result = -ENODEV;

    if (found < 0)
        return -ENODEV;
    if (statx(found, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &status) == 0 &&
        status.stx_dev_major == place->major && status.stx_dev_minor == place->minor)
        result = now.mount_id = reach_mount_id(found);
    offload_close(found);
    if (result >= 0)
        result = reach_path(&now);
    return result < 0 ? -ENODEV : result; /* to be searched for */
}

int reach_open(const ReachPlace *place)
{
    bool known = place->major != 0 || place->minor != 0;
    int result = -ENODEV;

    if (!known)
        return reach_path(place);
    if (place->mount_id >= 0)
        result = open_at(place);
    else if (place->where.inode == 0 && !place->hidden)
        result = open_if_there(place);
    for (unsigned i = 0; i < SEARCHES_MAX && is_gone(result); i++) {
        result = search(place);
        if (result == -ENODEV)
            break;
    }
    return result;
}
