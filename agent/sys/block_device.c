/*
 * block_device: see block_device.h; block_address.c finds the place on a bus.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/block_device.h"

#include "sys/block_address.h"
#include "sys/procfile.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#define UDEV_BYTES_MAX ((size_t)64 << 10) /* a record has some KiB, most of them links */
#define ATTRIBUTE_SIZE 4096u              /* a page: the most a file of sysfs holds */

/* --- places ------------------------------------------------------------------------------------
 */

/* The target of a link to a device, below the top of sysfs. */
static char *follow(const char *sysfs, const char *folder, const char *name)
{
    g_autofree char *path = g_build_filename(sysfs, folder, name, NULL);
    char target[PATH_MAX];
    ssize_t length = readlink(path, target, sizeof(target) - 1);
    const char *rest = target;

    if (length <= 0)
        return NULL;
    target[length] = '\0';
    while (g_str_has_prefix(rest, "../"))
        rest += strlen("../");
    return g_str_has_prefix(rest, "devices/") ? g_strdup(rest) : NULL;
}

char *block_device_place(const char *sysfs, const char *name)
{
    return strchr(name, ':') ? follow(sysfs, "dev/block", name)
                             : follow(sysfs, "class/block", name);
}

bool block_device_virtual(const char *place)
{
    return g_str_has_prefix(place, "devices/virtual/block/");
}

/* Of places, all of which have slashes. */
static gint by_name(gconstpointer left, gconstpointer right)
{
    return strverscmp(strrchr(*(const char *const *)left, '/'),
                      strrchr(*(const char *const *)right, '/'));
}

GPtrArray *block_device_parts(const char *sysfs, const char *place)
{
    g_autofree char *path = g_build_filename(sysfs, place, "slaves", NULL);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    GPtrArray *parts = NULL;
    const char *entry = NULL;

    if (!dir)
        return NULL;
    parts = g_ptr_array_new_with_free_func(g_free);
    while ((entry = g_dir_read_name(dir))) {
        char *part = block_device_place(sysfs, entry);

        if (part)
            g_ptr_array_add(parts, part);
    }
    g_ptr_array_sort(parts, by_name);
    return parts;
}

char *block_device_attribute(const char *sysfs, const char *place, const char *name)
{
    g_autofree char *path = g_build_filename(sysfs, place, name, NULL);
    char text[ATTRIBUTE_SIZE + 1];

    if (!procfile_attribute(AT_FDCWD, path, text, sizeof(text)))
        return NULL;
    text[strcspn(text, "\n")] = '\0';
    return g_strdup(text);
}

/* --- names and numbers -------------------------------------------------------------------------
 */

/* What follows `key` on its line, new; NULL: no such line. */
static char *line_value(const char *text, const char *key)
{
    size_t length = strlen(key);

    for (; text; text = strchr(text, '\n')) {
        text += *text == '\n';
        if (strncmp(text, key, length) == 0)
            return g_strndup(text + length, strcspn(text + length, "\n"));
    }
    return NULL;
}

/* NULL also when it is blank. Takes `text`. */
static char *stripped(char *text)
{
    if (text && *g_strstrip(text))
        return text;
    g_free(text);
    return NULL;
}

/* Without udev the disk itself is asked, as far as sysfs has its answer. */
static char *serial_of_disk(const char *sysfs, const char *place)
{
    g_autofree char *above = g_path_get_dirname(place); /* the disk of a partition */
    const char *const places[] = {place, above};
    char *serial = NULL;

    for (unsigned i = 0; !serial && i < G_N_ELEMENTS(places); i++) {
        serial = stripped(block_device_attribute(sysfs, places[i], "serial"));
        if (!serial)
            serial = stripped(block_device_attribute(sysfs, places[i], "device/serial"));
    }
    return serial;
}

static char *find_serial(const char *sysfs, const char *run, const char *place, const char *uevent)
{
    g_autofree char *major = line_value(uevent, "MAJOR=");
    g_autofree char *minor = line_value(uevent, "MINOR=");
    g_autofree char *path =
        g_strdup_printf("%s/udev/data/b%s:%s", run, major ? major : "", minor ? minor : "");
    g_autofree char *record = major && minor ? procfile_whole(path, UDEV_BYTES_MAX, NULL) : NULL;

    return record ? stripped(line_value(record, "E:ID_SERIAL=")) : serial_of_disk(sysfs, place);
}

BlockDevice *block_device_read(const char *sysfs, const char *run, const char *place)
{
    BlockDevice *device = g_new0(BlockDevice, 1);
    g_autofree char *path = g_build_filename(sysfs, place, "uevent", NULL);
    g_autofree char *name = NULL;
    char uevent[ATTRIBUTE_SIZE + 1];

    device->bus = "unknown";
    device->domain = device->pci_bus = device->slot = device->function = -1;
    if (procfile_attribute(AT_FDCWD, path, uevent, sizeof(uevent))) {
        name = line_value(uevent, "DEVNAME=");
        device->node = name ? g_strdup_printf("/dev/%s", name) : NULL;
        device->serial = find_serial(sysfs, run, place, uevent);
    }
    block_address_find(sysfs, place, device);
    return device;
}

void block_device_free(BlockDevice *device)
{
    if (!device)
        return;
    g_free(device->node);
    g_free(device->serial);
    g_free(device);
}
