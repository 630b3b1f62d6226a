/*
 * graph_device: see graph_device.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/graph_device.h"

#include "sys/procfile.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#define DELETED " (deleted)"

struct GraphDevices {
    int sysfs;            /* -1: there is none */
    GHashTable *known;    /* "MAJ:MIN" -> GraphDevice */
    GHashTable *dm_names; /* device-mapper name -> "MAJ:MIN"; NULL: not read yet */
    GHashTable *members;  /* "MAJ:MIN" -> GPtrArray of all devices of its btrfs; NULL: not yet */
};

static void device_free(gpointer data)
{
    GraphDevice *device = data;

    g_ptr_array_unref(device->below);
    g_free(device->name);
    g_free(device->backing_file);
    g_free(device);
}

GraphDevices *graph_devices_new(const char *sysfs)
{
    GraphDevices *devices = g_new0(GraphDevices, 1);

    devices->sysfs = open(sysfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
    devices->known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, device_free);
    return devices;
}

void graph_devices_free(GraphDevices *devices)
{
    if (devices->sysfs >= 0)
        (void)close(devices->sysfs);
    g_hash_table_unref(devices->known);
    g_clear_pointer(&devices->dm_names, g_hash_table_unref);
    g_clear_pointer(&devices->members, g_hash_table_unref);
    g_free(devices);
}

/* The text of a sysfs attribute without its newline; NULL: there is none. A file of sysfs is at
 * most a page, which a path is, too. */
static char *read_attribute(int directory, const char *name)
{
    char text[PATH_MAX + 1];

    size_t length = 0;

    if (directory < 0 || !procfile_attribute(directory, name, text, sizeof(text)) ||
        text[0] == '\0')
        return NULL;
    length = strlen(text);
    return g_strndup(text, text[length - 1] == '\n' ? length - 1 : length);
}

/* "MAJ:MIN" in the file `dev` of `folder`; NULL: none, or not that. */
static char *read_number(int directory, const char *folder)
{
    g_autofree char *path = g_build_filename(folder, "dev", NULL);
    g_autofree char *text = read_attribute(directory, path);
    const char *colon = text ? strchr(text, ':') : NULL;

    if (!colon || colon == text || text[strspn(text, "0123456789:")] != '\0')
        return NULL;
    return g_steal_pointer(&text);
}

/* Takes `name`. */
static void add_once(GPtrArray *names, char *name)
{
    if (!name || g_ptr_array_find_with_equal_func(names, name, g_str_equal, NULL))
        g_free(name);
    else
        g_ptr_array_add(names, name);
}

static gint by_text(gconstpointer left, gconstpointer right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static DIR *open_list(int directory, const char *folder)
{
    int fd = directory < 0 ? -1 : openat(directory, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (!dir && fd >= 0)
        (void)close(fd);
    return dir;
}

/* The numbers of all devices that the folder has entries for (slaves/, a btrfs's devices/). */
static void add_entries(GPtrArray *names, int directory, const char *folder)
{
    DIR *dir = open_list(directory, folder);
    const struct dirent *entry = NULL;

    while (dir && (entry = readdir(dir)))
        if (entry->d_name[0] != '.')
            add_once(names, read_number(dirfd(dir), entry->d_name));
    if (dir)
        (void)closedir(dir);
    g_ptr_array_sort(names, by_text); /* not as the folder happens to be hashed */
}

static char *number_of_name(const GraphDevices *devices, const char *kernel_name)
{
    g_autofree char *folder = g_build_filename("class", "block", kernel_name, NULL);

    return read_number(devices->sysfs, folder);
}

/* The device that `path` names. /dev/mapper/NAME and LVM's /dev/GROUP/VOLUME are links sysfs does
 * not know; device-mapper's own names are looked up instead, and /dev is left alone. */
static char *number_of_path(GraphDevices *devices, const char *path);

/* A bcache device names its cache as a slave, its backing device only by this link. On a backing
 * device `bcache` is a folder, not a link, and the number its own. */
static void add_bcache(GPtrArray *names, int directory, const char *own)
{
    g_autofree char *number = read_number(directory, "bcache/..");

    if (number && strcmp(number, own) != 0)
        add_once(names, g_steal_pointer(&number));
}

/* "DEVNAME=loop0" in a list of such lines. */
static char *read_name(int directory)
{
    g_autofree char *text = read_attribute(directory, "uevent");
    g_auto(GStrv) lines = text ? g_strsplit(text, "\n", -1) : NULL;

    for (unsigned i = 0; lines && lines[i]; i++)
        if (g_str_has_prefix(lines[i], "DEVNAME="))
            return g_strdup(lines[i] + strlen("DEVNAME="));
    return NULL;
}

static GraphDevice *device_read(GraphDevices *devices, const char *name)
{
    GraphDevice *device = g_new0(GraphDevice, 1);
    g_autofree char *path = g_build_filename("dev", "block", name, NULL);
    /* Looked up once, as it is at the end of a link and has some eight things to look for. */
    int directory =
        devices->sysfs < 0 ? -1 : openat(devices->sysfs, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    g_autofree char *partition = read_attribute(directory, "partition");
    char *file = read_attribute(directory, "loop/backing_file");

    device->below = g_ptr_array_new_with_free_func(g_free);
    add_entries(device->below, directory, "slaves");
    if (partition)
        add_once(device->below, read_number(directory, ".."));
    add_bcache(device->below, directory, name);
    if (file && g_str_has_suffix(file, DELETED))
        file[strlen(file) - strlen(DELETED)] = '\0';
    if (file && g_str_has_prefix(file, "/dev/")) {
        char *number = number_of_path(devices, file);

        if (number) {
            add_once(device->below, number);
            g_clear_pointer(&file, g_free);
        }
    }
    device->backing_file = file;
    device->name = file ? read_name(directory) : NULL;
    if (directory >= 0)
        (void)close(directory);
    return device;
}

const GraphDevice *graph_device(GraphDevices *devices, const char *name)
{
    GraphDevice *device = g_hash_table_lookup(devices->known, name);

    if (!device) {
        device = device_read(devices, name);
        g_hash_table_insert(devices->known, g_strdup(name), device);
    }
    return device;
}

/* --- by name -----------------------------------------------------------------------------------
 */

static GHashTable *dm_names(GraphDevices *devices)
{
    DIR *dir = NULL;
    const struct dirent *entry = NULL;

    if (devices->dm_names)
        return devices->dm_names;
    devices->dm_names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    dir = open_list(devices->sysfs, "class/block");
    while (dir && (entry = readdir(dir))) {
        g_autofree char *path = g_build_filename(entry->d_name, "dm", "name", NULL);
        char *name =
            g_str_has_prefix(entry->d_name, "dm-") ? read_attribute(dirfd(dir), path) : NULL;
        char *number = name ? read_number(dirfd(dir), entry->d_name) : NULL;

        if (number)
            g_hash_table_replace(devices->dm_names, name, number);
        else
            g_free(name);
    }
    if (dir)
        (void)closedir(dir);
    return devices->dm_names;
}

/* "GROUP/VOLUME" as device-mapper spells it: each `-` doubled, then one between them. */
static char *lvm_name(const char *path)
{
    GString *name = g_string_new(NULL);

    for (; *path; path++) {
        if (*path == '-')
            g_string_append(name, "--");
        else
            g_string_append_c(name, *path == '/' ? '-' : *path);
    }
    return g_string_free(name, FALSE);
}

static char *number_of_path(GraphDevices *devices, const char *path)
{
    g_autofree char *kernel_name = NULL;
    g_autofree char *volume = NULL;
    char *number = NULL;

    if (!g_str_has_prefix(path, "/dev/"))
        return NULL;
    path += strlen("/dev/");
    if (g_str_has_prefix(path, "mapper/"))
        return g_strdup(g_hash_table_lookup(dm_names(devices), path + strlen("mapper/")));
    kernel_name = g_strdelimit(g_strdup(path), "/", '!');
    number = number_of_name(devices, kernel_name);
    if (number || !strchr(path, '/'))
        return number;
    volume = lvm_name(path);
    return g_strdup(g_hash_table_lookup(dm_names(devices), volume));
}

/* --- btrfs -------------------------------------------------------------------------------------
 */

static GHashTable *btrfs_members(GraphDevices *devices)
{
    DIR *dir = NULL;
    const struct dirent *entry = NULL;

    if (devices->members)
        return devices->members;
    devices->members =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_ptr_array_unref);
    dir = open_list(devices->sysfs, "fs/btrfs");
    while (dir && (entry = readdir(dir))) {
        g_autofree char *list = g_build_filename(entry->d_name, "devices", NULL);
        g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);

        add_entries(names, dirfd(dir), list);
        for (unsigned i = 0; i < names->len; i++)
            g_hash_table_replace(devices->members, g_strdup(g_ptr_array_index(names, i)),
                                 g_ptr_array_ref(names));
    }
    if (dir)
        (void)closedir(dir);
    return devices->members;
}

GPtrArray *graph_devices_of_source(GraphDevices *devices, const char *source)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    g_auto(GStrv) paths = g_strsplit(source, ":", -1);

    for (unsigned i = 0; paths[i]; i++) {
        g_autofree char *number = number_of_path(devices, paths[i]);
        const GPtrArray *members = NULL;

        if (!number)
            continue;
        members = g_hash_table_lookup(btrfs_members(devices), number);
        for (unsigned k = 0; members && k < members->len; k++)
            add_once(names, g_strdup(g_ptr_array_index(members, k)));
        add_once(names, g_steal_pointer(&number));
    }
    return names;
}
