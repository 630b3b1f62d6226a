/*
 * reach_copy: reaches a filesystem that is mounted over, in a private copy of its namespace.
 *
 * A thread makes itself a copy of the mount namespace, cut off from the original (MS_PRIVATE), and
 * detaches there whatever covers the mount; the copy goes with the thread, the fd stays. The
 * original sees nothing of it: nothing is ever unmounted while one mount of the copy is shared.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/reach_internal.h"

#include "sys/mount_table.h"
#include "sys/offload_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Mounts taken away for one filesystem; the table is read anew after each. */
#define COVERS_MAX 64u

typedef struct {
    const ReachPlace *place;
    int proc;  /* the agent's /proc: in the copy that path is hostile */
    int space; /* -1: the agent's own */
} Copy;

/* --- the copy's table --------------------------------------------------------------------------
 */

static MountTable *read_table(const Copy *copy)
{
    static const char NAME[] = "thread-self/mountinfo";
    int fd = openat(copy->proc, NAME, O_RDONLY | O_CLOEXEC);
    g_autoptr(GString) text = fd >= 0 ? mount_table_read(fd, NAME, NULL) : NULL;

    if (fd >= 0)
        offload_close(fd);
    return text ? mount_table_parse(text, NAME, NULL) : NULL;
}

static const MountLine *find_target(const Copy *copy, GArray *lines)
{
    const ReachPlace *place = copy->place;

    for (unsigned i = 0; i < lines->len; i++) {
        const MountLine *line = &g_array_index(lines, MountLine, i);

        if (line->device_number == makedev(place->major, place->minor) &&
            strcmp(line->target, place->path) == 0)
            return line;
    }
    return NULL;
}

static bool any_shared(GArray *lines)
{
    for (unsigned i = 0; i < lines->len; i++)
        if (g_array_index(lines, MountLine, i).shared)
            return true;
    return false;
}

/* The mounts a look-up has to pass to get to `target`, itself included. Set of ids. */
static GHashTable *way_to(GArray *lines, const MountLine *target)
{
    GHashTable *way = g_hash_table_new(NULL, NULL);
    g_autoptr(GHashTable) by_id = g_hash_table_new(NULL, NULL);

    for (unsigned i = 0; i < lines->len; i++) {
        MountLine *line = &g_array_index(lines, MountLine, i);

        g_hash_table_insert(by_id, GINT_TO_POINTER(line->id), line);
    }
    while (target && g_hash_table_add(way, GINT_TO_POINTER(target->id)))
        target = g_hash_table_lookup(by_id, GINT_TO_POINTER(target->seat.parent));
    return way;
}

static bool is_above(const char *path, const char *below)
{
    size_t length = strcmp(path, "/") == 0 ? 0 : strlen(path);

    return strncmp(path, below, length) == 0 && (below[length] == '/' || below[length] == '\0');
}

/* What a look-up of the target's path is led astray by, the first on the way. */
static const MountLine *find_cover(GArray *lines, const MountLine *target, GHashTable *way)
{
    const MountLine *cover = NULL;

    for (unsigned i = 0; i < lines->len; i++) {
        const MountLine *line = &g_array_index(lines, MountLine, i);

        if (!g_hash_table_contains(way, GINT_TO_POINTER(line->id)) &&
            g_hash_table_contains(way, GINT_TO_POINTER(line->seat.parent)) &&
            is_above(line->target, target->target) &&
            (!cover || line->seat.length < cover->seat.length))
            cover = line;
    }
    return cover;
}

/* --- in the copy -------------------------------------------------------------------------------
 */

static int detach_cover(const Copy *copy, const MountLine *cover, GHashTable *way)
{
    char link[sizeof("thread-self/fd/") + 12];
    int found = reach_look_up(-1, cover->target);
    int id = found < 0 ? found : reach_mount_id(found);
    int result = 0;

    /* The topmost one there: the cover, or what lies on it. */
    if (id >= 0 && g_hash_table_contains(way, GINT_TO_POINTER(id)))
        id = -EBUSY;
    if (id >= 0) {
        g_snprintf(link, sizeof(link), "thread-self/fd/%d", found);
        /* By a link below the agent's own /proc, as umount2() takes no fd. */
        result = fchdir(copy->proc) < 0 || umount2(link, MNT_DETACH) < 0 ? -errno : 0;
        if (result == -EINVAL) /* locked: it came from a more privileged namespace */
            result = -EBUSY;
    } else {
        result = id;
    }
    if (found >= 0)
        offload_close(found);
    return result;
}

static int open_target(const Copy *copy, const MountLine *target)
{
    mode_t mode = 0;
    int found = reach_look_up(-1, target->target);
    int result = found < 0 ? found : reach_check(found, target->id, &mode);

    if (result == 0)
        result = reach_open_found(found, mode, copy->proc);
    if (found >= 0)
        offload_close(found);
    return result;
}

/* 1: something was taken away, look again; else an fd or a negative errno in `*ret_result`. */
static bool take_step(const Copy *copy, int *ret_result)
{
    g_autoptr(MountTable) table = read_table(copy);
    g_autoptr(GHashTable) way = NULL;
    const MountLine *target = NULL, *cover = NULL;

    *ret_result = -EIO;
    if (!table)
        return false;
    *ret_result = -ENODEV;
    target = find_target(copy, mount_table_lines(table));
    if (!target)
        return false;
    way = way_to(mount_table_lines(table), target);
    cover = find_cover(mount_table_lines(table), target, way);
    if (!cover)
        *ret_result = open_target(copy, target);
    else if (any_shared(mount_table_lines(table)))
        *ret_result = -EPERM;
    else
        *ret_result = detach_cover(copy, cover, way);
    return cover && *ret_result == 0;
}

static int reach_in_copy(gpointer data)
{
    const Copy *copy = data;
    int result = -EBUSY;

    if (copy->space >= 0 && setns(copy->space, CLONE_NEWNS) < 0)
        return -errno;
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return -errno;
    for (unsigned i = 0; i <= COVERS_MAX; i++)
        if (!take_step(copy, &result))
            return result;
    return -EBUSY;
}

int reach_copy(const ReachPlace *place)
{
    const char *procfs = reach_procfs(place);
    Copy copy = {.place = place, .space = -1};
    int result = 0;

    if (place->where.inode != 0) {
        copy.space = namespace_open(procfs, &place->where);
        if (copy.space < 0)
            return copy.space;
    }
    copy.proc = open(procfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
    result = copy.proc < 0 ? -errno : namespace_run(reach_in_copy, &copy);
    if (copy.proc >= 0)
        offload_close(copy.proc);
    if (copy.space >= 0)
        offload_close(copy.space);
    return result;
}
