/*
 * storage: guest-get-fsinfo, guest-get-disks.
 *
 * What there is comes from the mount table and sysfs, which wait for no disk; how full a filesystem
 * is, and how healthy a disk, it is asked itself, and what does not answer is left out (ask.h).
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "commands/families.h"

#include "quiesce/json.h"
#include "sys/block_device.h"
#include "sys/fs_size.h"
#include "sys/graph_device.h"
#include "sys/mounts.h"
#include "sys/nvme_smart.h"

#include <errno.h>
#include <string.h>

#define DEVICE_DEPTH_MAX 16u  /* devices stacked on each other; deeper is not looked at */
#define DEVICE_DISKS_MAX 256u /* of one filesystem */

static void set_integer(json_t *object, const char *name, int64_t value)
{
    (void)json_object_set_new(object, name, json_integer(value));
}

static void set_size(json_t *object, const char *name, uint64_t value)
{
    set_integer(object, name, (int64_t)MIN(value, INT64_MAX));
}

/* --- addresses ---------------------------------------------------------------------------------
 */

static json_t *address_json(const BlockDevice *device)
{
    static const char *const CCW[] = {"cssid", "ssid", "subchno", "devno"};
    json_t *object = json_object();
    json_t *pci = json_object();
    json_t *ccw = NULL;

    set_integer(pci, "domain", device->domain);
    set_integer(pci, "bus", device->pci_bus);
    set_integer(pci, "slot", device->slot);
    set_integer(pci, "function", device->function);
    (void)json_object_set_new(object, "pci-controller", pci);
    json_set_text(object, "bus-type", device->bus);
    set_integer(object, "bus", device->bus_number);
    set_integer(object, "target", device->target);
    set_integer(object, "unit", device->unit);
    json_set_text(object, "serial", device->serial);
    json_set_text(object, "dev", device->node);
    if (!device->ccw)
        return object;
    ccw = json_object();
    for (unsigned i = 0; i < G_N_ELEMENTS(CCW); i++)
        set_integer(ccw, CCW[i], device->ccw_ids[i]);
    (void)json_object_set_new(object, "ccw-address", ccw);
    return object;
}

/* The disks that the device at `place` is made of, down to real ones. */
static void add_disks(json_t *list, const AskPaths *paths, const char *place, unsigned depth)
{
    g_autoptr(GPtrArray) parts = NULL;
    g_autoptr(BlockDevice) device = NULL;

    if (json_array_size(list) >= DEVICE_DISKS_MAX || depth > DEVICE_DEPTH_MAX)
        return;
    if (block_device_virtual(place)) {
        parts = block_device_parts(paths->sysfs, place);
        for (unsigned i = 0; parts && i < parts->len; i++)
            add_disks(list, paths, g_ptr_array_index(parts, i), depth + 1);
        return;
    }
    device = block_device_read(paths->sysfs, paths->run, place);
    if (device->located || device->node || device->serial)
        (void)json_array_append_new(list, address_json(device));
}

/* --- filesystems -------------------------------------------------------------------------------
 */

/* "MAJ:MIN" of what it lies on: several of a btrfs, whose own number is invented. */
static GPtrArray *devices_of(const Mount *mount, GraphDevices *graph)
{
    GPtrArray *devices = NULL;

    if (mount->major == 0)
        return graph_devices_of_source(graph, mount->device);
    devices = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(devices, g_strdup_printf("%u:%u", mount->major, mount->minor));
    return devices;
}

static json_t *filesystem_json(const Mount *mount, const AskPaths *paths, GraphDevices *graph)
{
    g_autoptr(GPtrArray) devices = devices_of(mount, graph);
    g_autofree char *number = g_strdup_printf("%u:%u", mount->major, mount->minor);
    g_autofree char *name = NULL;
    json_t *object = json_object();
    json_t *disks = json_array();

    for (unsigned i = 0; i < devices->len; i++) {
        g_autofree char *place = block_device_place(paths->sysfs, g_ptr_array_index(devices, i));

        if (!place)
            continue;
        if (!name)
            name = g_path_get_basename(place);
        add_disks(disks, paths, place, 0);
    }
    json_set_text(object, "name", name ? name : number);
    json_set_text(object, "mountpoint", mount->mountpoint);
    json_set_text(object, "type", mount->type);
    (void)json_object_set_new(object, "disk", disks);
    return object;
}

/* On a block device, whatever else may keep it from being frozen. */
static bool is_on_disk(const Mount *mount)
{
    return mount->major != 0 || mount->action == MOUNT_FREEZE;
}

static json_t *gather_filesystems(const AskPaths *paths, GPtrArray *names, GError **error)
{
    const MountsOptions options = {.mountinfo = paths->mountinfo};
    g_autoptr(GPtrArray) mounts = mounts_list(&options, NULL, error);
    GraphDevices *graph = mounts ? graph_devices_new(paths->sysfs) : NULL;
    json_t *list = mounts ? json_array() : NULL;
    size_t budget = ASK_REPLY_MAX;

    /* The last one mounted first, as the stock agent does. */
    for (unsigned i = mounts ? mounts->len : 0; i-- > 0;) {
        const Mount *mount = g_ptr_array_index(mounts, i);

        if (!is_on_disk(mount))
            continue;
        if (!ask_append(list, filesystem_json(mount, paths, graph), &budget))
            break;
        /* The path of a hidden one leads to another filesystem. */
        g_ptr_array_add(names, g_strdup(mount->hidden ? "" : mount->mountpoint));
    }
    if (graph)
        graph_devices_free(graph);
    return list;
}

static void add_size(json_t *element, const void *answer)
{
    const FsSize *size = answer;

    set_size(element, "used-bytes", size->used);
    set_size(element, "total-bytes", size->total);
    set_size(element, "total-bytes-privileged", size->privileged);
}

const Question FSINFO_QUESTION = {
    .name = "fsinfo",
    .gather = gather_filesystems,
    .disk = true,
    .probe = fs_size_ask,
    .answer_size = sizeof(FsSize),
    .add = add_size,
};

static void run_fsinfo(Call *call)
{
    commands_ask(&FSINFO_QUESTION, call);
}

/* --- disks -------------------------------------------------------------------------------------
 */

static json_t *nodes_json(const AskPaths *paths, GPtrArray *places)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < places->len; i++) {
        g_autoptr(BlockDevice) device =
            block_device_read(paths->sysfs, paths->run, g_ptr_array_index(places, i));

        if (device->node)
            (void)json_array_append_new(list, json_string(device->node));
    }
    return list;
}

static json_t *disk_json(const AskPaths *paths, const char *place, const BlockDevice *device)
{
    g_autofree char *alias = block_device_attribute(paths->sysfs, place, "dm/name");
    g_autoptr(GPtrArray) parts = block_device_parts(paths->sysfs, place);
    json_t *object = json_object();

    json_set_text(object, "name", device->node);
    (void)json_object_set_new(object, "partition", json_false());
    if (parts)
        (void)json_object_set_new(object, "dependencies", nodes_json(paths, parts));
    if (!block_device_virtual(place) && (device->located || device->node || device->serial))
        (void)json_object_set_new(object, "address", address_json(device));
    if (alias && *alias)
        json_set_text(object, "alias", alias);
    return object;
}

typedef struct {
    const AskPaths *paths;
    GPtrArray *names; /* nodes to be asked for their health */
    json_t *list;
    size_t budget;
} DiskListing;

static gint by_name(gconstpointer left, gconstpointer right)
{
    return strverscmp(*(const char *const *)left, *(const char *const *)right);
}

/* Sorted, so that it does not change as the kernel happens to hash. */
static GPtrArray *entries_of(const char *path, GError **error)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    GPtrArray *entries = NULL;
    const char *entry = NULL;

    if (!dir) {
        agent_error_errno(error, AGENT_ERROR_UNAVAILABLE, errno, "Can't open directory \"%s\"",
                          path);
        return NULL;
    }
    entries = g_ptr_array_new_with_free_func(g_free);
    while ((entry = g_dir_read_name(dir)))
        g_ptr_array_add(entries, g_strdup(entry));
    g_ptr_array_sort(entries, by_name);
    return entries;
}

/* Takes `object`. False: the list is full. */
static bool list_disk(DiskListing *listing, json_t *object, const char *smart_node)
{
    if (!ask_append(listing->list, object, &listing->budget))
        return false;
    g_ptr_array_add(listing->names, g_strdup(smart_node));
    return true;
}

static json_t *partition_json(const char *node, const char *disk_node)
{
    json_t *object = json_object();
    json_t *disks = json_array();

    json_set_text(object, "name", node);
    (void)json_object_set_new(object, "partition", json_true());
    (void)json_array_append_new(disks, json_string(disk_node));
    (void)json_object_set_new(object, "dependencies", disks);
    return object;
}

static bool list_partitions(DiskListing *listing, const char *place, const char *disk_node)
{
    const AskPaths *paths = listing->paths;
    g_autofree char *path = g_build_filename(paths->sysfs, place, NULL);
    g_autofree char *disk_name = g_path_get_basename(place);
    g_autoptr(GPtrArray) entries = entries_of(path, NULL);
    bool good = true;

    for (unsigned i = 0; good && entries && i < entries->len; i++) {
        const char *entry = g_ptr_array_index(entries, i);
        g_autofree char *below = g_build_filename(place, entry, NULL);
        g_autofree char *number = g_str_has_prefix(entry, disk_name)
                                      ? block_device_attribute(paths->sysfs, below, "partition")
                                      : NULL;
        g_autoptr(BlockDevice) device =
            number ? block_device_read(paths->sysfs, paths->run, below) : NULL;

        if (device && device->node)
            good = list_disk(listing, partition_json(device->node, disk_node), "");
    }
    return good;
}

static bool list_one(DiskListing *listing, const char *name)
{
    const AskPaths *paths = listing->paths;
    g_autofree char *place = block_device_place(paths->sysfs, name);
    g_autofree char *size = place ? block_device_attribute(paths->sysfs, place, "size") : NULL;
    g_autoptr(BlockDevice) device = NULL;

    if (!size || strcmp(size, "0") == 0)
        return true; /* a drive without a medium, a loop device without a file */
    device = block_device_read(paths->sysfs, paths->run, place);
    if (!device->node)
        return true;
    return list_disk(listing, disk_json(paths, place, device),
                     strcmp(device->bus, "nvme") == 0 ? device->node : "") &&
           list_partitions(listing, place, device->node);
}

static json_t *gather_disks(const AskPaths *paths, GPtrArray *names, GError **error)
{
    DiskListing listing = {.paths = paths, .names = names, .budget = ASK_REPLY_MAX};
    g_autofree char *path = g_build_filename(paths->sysfs, "block", NULL);
    g_autoptr(GPtrArray) entries = entries_of(path, error);

    if (!entries)
        return NULL;
    listing.list = json_array();
    for (unsigned i = 0; i < entries->len; i++)
        if (!list_one(&listing, g_ptr_array_index(entries, i)))
            break;
    return listing.list;
}

/* Numbers of 16 bytes are told in two halves. */
static void add_smart(json_t *element, const void *answer)
{
    static const struct {
        const char *name;
        size_t offset, size;
    } FIELDS[] = {
        {"critical-warning", 0, 1},
        {"temperature", 1, 2},
        {"available-spare", 3, 1},
        {"available-spare-threshold", 4, 1},
        {"percentage-used", 5, 1},
        {"data-units-read-lo", 32, 8},
        {"data-units-read-hi", 40, 8},
        {"data-units-written-lo", 48, 8},
        {"data-units-written-hi", 56, 8},
        {"host-read-commands-lo", 64, 8},
        {"host-read-commands-hi", 72, 8},
        {"host-write-commands-lo", 80, 8},
        {"host-write-commands-hi", 88, 8},
        {"controller-busy-time-lo", 96, 8},
        {"controller-busy-time-hi", 104, 8},
        {"power-cycles-lo", 112, 8},
        {"power-cycles-hi", 120, 8},
        {"power-on-hours-lo", 128, 8},
        {"power-on-hours-hi", 136, 8},
        {"unsafe-shutdowns-lo", 144, 8},
        {"unsafe-shutdowns-hi", 152, 8},
        {"media-errors-lo", 160, 8},
        {"media-errors-hi", 168, 8},
        {"number-of-error-log-entries-lo", 176, 8},
        {"number-of-error-log-entries-hi", 184, 8},
    };
    json_t *smart = json_pack("{s:s}", "type", "nvme");

    for (unsigned i = 0; i < G_N_ELEMENTS(FIELDS); i++)
        set_size(smart, FIELDS[i].name,
                 nvme_smart_number(answer, FIELDS[i].offset, FIELDS[i].size));
    (void)json_object_set_new(element, "smart", smart);
}

const Question DISKS_QUESTION = {
    .name = "disks",
    .gather = gather_disks,
    .disk = true,
    .probe = nvme_smart_ask,
    .answer_size = sizeof(NvmeSmart),
    .add = add_smart,
};

static void run_disks(Call *call)
{
    commands_ask(&DISKS_QUESTION, call);
}

const Command STORAGE_COMMANDS[] = {
    {.name = "guest-get-fsinfo", .while_frozen = true, .run = run_fsinfo},
    {.name = "guest-get-disks", .while_frozen = true, .run = run_disks},
};
const unsigned STORAGE_COMMANDS_COUNT = G_N_ELEMENTS(STORAGE_COMMANDS);
