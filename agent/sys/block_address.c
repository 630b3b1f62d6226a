/*
 * block_address: see block_address.h.
 *
 * The path of a device in sysfs is the way to it: bridges, its controller (the last PCI address),
 * for SCSI and ATA the host, and HOST:CHANNEL:TARGET:LUN. What the numbers mean to a host depends
 * on the controller, so that a disk is found again in the machine's definition: virtio-blk  one
 * disk each          virtio-scsi  channel, target, LUN IDE         port, master or slave  SATA port
 *   other SCSI  target
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/block_address.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    const char *sysfs, *place;
    char *controller; /* the place of the PCI device; NULL: none */
    char *driver;     /* of it; NULL: none */
    bool has_target;  /* of SCSI */
    unsigned channel, target, lun;
} Way;

static bool parse_pci(const char *component, BlockDevice *device)
{
    unsigned domain = 0, bus = 0, slot = 0, function = 0;
    int end = 0;

    if (sscanf(component, "%x:%x:%x.%x%n", &domain, &bus, &slot, &function, &end) != 4 ||
        component[end] != '\0')
        return false;
    device->domain = (int)domain;
    device->pci_bus = (int)bus;
    device->slot = (int)slot;
    device->function = (int)function;
    return true;
}

static char *driver_of(const char *sysfs, const char *place)
{
    g_autofree char *path = g_build_filename(sysfs, place, "driver", NULL);
    char target[PATH_MAX];
    ssize_t length = readlink(path, target, sizeof(target) - 1);

    if (length <= 0)
        return NULL;
    target[length] = '\0';
    return g_path_get_basename(target);
}

static void walk(Way *way, BlockDevice *device)
{
    g_auto(GStrv) components = g_strsplit(way->place, "/", -1);
    g_autoptr(GString) so_far = g_string_new(NULL);
    bool pci = false;

    for (unsigned i = 0; components[i]; i++) {
        unsigned host = 0;
        int end = 0;

        g_string_append_printf(so_far, "%s%s", i > 0 ? "/" : "", components[i]);
        pci = pci || g_str_has_prefix(components[i], "pci");
        if (pci && parse_pci(components[i], device)) {
            g_free(way->controller);
            way->controller = g_strdup(so_far->str);
        } else if (sscanf(components[i], "%u:%u:%u:%u%n", &host, &way->channel, &way->target,
                          &way->lun, &end) == 4 &&
                   components[i][end] == '\0') {
            way->has_target = true;
        }
    }
    if (way->controller)
        way->driver = driver_of(way->sysfs, way->controller);
}

/* "ata3" or "host3" in the path, and how many of the controller's have a lower number. */
static bool port_index(const Way *way, unsigned *ret_index)
{
    const char *rest = way->place + strlen(way->controller);
    const char *kind = g_str_has_prefix(rest, "/ata") ? "ata" : "host";
    g_autofree char *path = g_build_filename(way->sysfs, way->controller, NULL);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *entry = NULL;
    guint64 own = 0;

    if (!dir || !g_str_has_prefix(rest + 1, kind))
        return false;
    own = g_ascii_strtoull(rest + 1 + strlen(kind), NULL, 10);
    *ret_index = 0;
    while ((entry = g_dir_read_name(dir)))
        if (g_str_has_prefix(entry, kind) && g_ascii_isdigit(entry[strlen(kind)]) &&
            g_ascii_strtoull(entry + strlen(kind), NULL, 10) < own)
            (*ret_index)++;
    return true;
}

/* False: what belongs to this kind of a controller is not in the path. */
static bool locate_ata(const Way *way, bool ide, BlockDevice *device)
{
    unsigned index = 0;

    if (!way->has_target || !port_index(way, &index))
        return false;
    device->bus = ide ? "ide" : "sata";
    device->bus_number = ide ? index : 0;
    device->unit = ide ? way->target : index;
    return true;
}

static bool locate_virtio(const Way *way, BlockDevice *device)
{
    device->bus = way->has_target ? "scsi" : "virtio";
    if (way->has_target) {
        device->bus_number = way->channel;
        device->target = way->target;
        device->unit = way->lun;
    }
    return true;
}

static bool has_driver(const Way *way, const char *const *prefixes)
{
    for (; way->driver && *prefixes; prefixes++)
        if (g_str_has_prefix(way->driver, *prefixes))
            return true;
    return false;
}

static bool locate_pci(const Way *way, BlockDevice *device)
{
    static const char *const IDE[] = {"ata_piix", "pata_", NULL};
    static const char *const SATA[] = {"ahci", "sata_", NULL};
    static const char *const USB[] = {"xhci", "ehci", "ohci", "uhci", NULL};
    static const char *const VIRTIO[] = {"virtio-pci", NULL};
    static const char *const NVME[] = {"nvme", NULL};
    static const char *const CARD[] = {"sdhci", NULL};

    if (has_driver(way, VIRTIO))
        return locate_virtio(way, device);
    if (has_driver(way, IDE) || has_driver(way, SATA))
        return locate_ata(way, has_driver(way, IDE), device);
    if (has_driver(way, NVME) || has_driver(way, USB) || has_driver(way, CARD)) {
        device->bus = has_driver(way, NVME) ? "nvme" : has_driver(way, USB) ? "usb" : "sd";
        return true;
    }
    if (!way->has_target)
        return false;
    device->bus = "scsi";
    device->unit = way->target;
    return true;
}

/* With several ways to a disk the kernel shows it at its subsystem; one of the ways is told. */
static bool locate_subsystem(const Way *way, BlockDevice *device)
{
    g_autofree char *above = g_path_get_dirname(way->place);
    g_autofree char *path = g_build_filename(way->sysfs, above, NULL);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *entry = NULL;

    while (dir && (entry = g_dir_read_name(dir))) {
        g_autofree char *link = g_build_filename(path, entry, NULL);
        char target[PATH_MAX];
        ssize_t length = readlink(link, target, sizeof(target) - 1);
        Way controller = {.sysfs = way->sysfs, .place = target};

        if (length <= 0 || !g_str_has_prefix(entry, "nvme"))
            continue;
        target[length] = '\0';
        walk(&controller, device);
        g_free(controller.driver);
        if (!controller.controller)
            continue;
        g_free(controller.controller);
        break;
    }
    device->bus = "nvme";
    return true;
}

static bool locate_ccw(const Way *way, BlockDevice *device)
{
    unsigned *ids = device->ccw_ids;

    if (sscanf(way->place, "devices/css%*x/%x.%x.%x/%*x.%*x.%x/", &ids[0], &ids[1], &ids[2],
               &ids[3]) != 4)
        return false;
    device->ccw = true;
    if (strstr(way->place, "/virtio"))
        (void)locate_virtio(way, device);
    return true;
}

void block_address_find(const char *sysfs, const char *place, BlockDevice *device)
{
    Way way = {.sysfs = sysfs, .place = place};

    walk(&way, device);
    if (way.controller)
        device->located = locate_pci(&way, device);
    else if (g_str_has_prefix(place, "devices/virtual/nvme-subsystem/"))
        device->located = locate_subsystem(&way, device);
    else if (g_str_has_prefix(place, "devices/css"))
        device->located = locate_ccw(&way, device);
    else if (strstr(place, "/virtio") && strstr(place, "/block"))
        device->located = locate_virtio(&way, device);
    else if (g_str_has_prefix(place, "devices/vbd-"))
        device->bus = "xen";
    g_free(way.controller);
    g_free(way.driver);
}
