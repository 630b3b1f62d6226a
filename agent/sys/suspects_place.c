/*
 * suspects_place: where a mount, a path or an open file of a process is; see suspects_internal.h.
 *
 * A mount id is the same number in fdinfo, in fanotify's marks and in mountinfo, and unique over
 * all namespaces. Mounts of a namespace are read when a process of it has an id not seen before.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/suspects_internal.h"

#include "sys/mountinfo.h"
#include "sys/procfile.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FDINFO_SIZE 512u /* pos, flags and mnt_id are its first lines */

int suspects_of_device(const SuspectsScan *scan, unsigned major, unsigned minor)
{
    const GArray *filesystems = scan->input->filesystems;

    for (unsigned i = 0; i < filesystems->len; i++) {
        const SuspectsFilesystem *one = &g_array_index(filesystems, SuspectsFilesystem, i);

        if (one->major == major && one->minor == minor)
            return (int)i;
    }
    return -1;
}

static bool take_mount(const MountinfoLine *line, void *user_data)
{
    SuspectsScan *scan = user_data;
    int index = suspects_of_device(scan, line->major, line->minor);

    if (index >= 0)
        g_hash_table_insert(scan->mount_ids, GINT_TO_POINTER(line->mount_id),
                            GINT_TO_POINTER(index + 1));
    return !suspects_over(scan);
}

static void read_namespace(SuspectsScan *scan, const char *process)
{
    char *name = suspects_link(scan, process, "ns/mnt");
    g_autofree char *path = NULL;

    /* Without the link it may be any: then it counts as one of its own. */
    if (!g_hash_table_add(scan->namespaces, name ? name : g_strdup(process)))
        return;
    path = suspects_path(scan, process, "mountinfo");
    (void)mountinfo_each(path, take_mount, scan);
}

int suspects_of_mount(SuspectsScan *scan, const char *process, int mount_id)
{
    gpointer key = GINT_TO_POINTER(mount_id);

    if (!g_hash_table_contains(scan->mount_ids, key))
        read_namespace(scan, process);
    return GPOINTER_TO_INT(g_hash_table_lookup(scan->mount_ids, key)) - 1;
}

int suspects_of_path(SuspectsScan *scan, const char *process, const char *path)
{
    g_autofree char *mountinfo = suspects_path(scan, process, "mountinfo");
    unsigned major = 0, minor = 0;

    if (!mountinfo_of_path(mountinfo, path, &major, &minor))
        return -1;
    return suspects_of_device(scan, major, minor);
}

int suspects_of_fd(SuspectsScan *scan, const char *process, const char *fd, bool *ret_written)
{
    g_autofree char *name = g_strdup_printf("fdinfo/%s", fd);
    g_autofree char *path = suspects_path(scan, process, name);
    char text[FDINFO_SIZE];
    const char *flags = NULL, *mount_id = NULL;

    if (!procfile_read(path, text, sizeof(text)))
        return -1;
    flags = strstr(text, "flags:\t");
    mount_id = strstr(text, "mnt_id:\t");
    if (!mount_id)
        return -1;
    if (ret_written) {
        unsigned long mode = flags ? strtoul(flags + strlen("flags:\t"), NULL, 8) & O_ACCMODE : 0;

        *ret_written = mode == O_WRONLY || mode == O_RDWR;
    }
    return suspects_of_mount(scan, process, atoi(mount_id + strlen("mnt_id:\t")));
}
