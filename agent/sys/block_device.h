/*
 * block_device: one block device as a host knows it: on which bus, at which address.
 *
 * From sysfs, and the serial number from what udev found out (/run/udev/data). Neither waits for a
 * disk, but many devices take their time: for offload threads. Devices are named by their place in
 * sysfs, below its top: "devices/pci0000:00/.../block/vda/vda1".
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct {
    char *node;      /* "/dev/vda1"; NULL: it has none */
    char *serial;    /* NULL: not known */
    const char *bus; /* the protocol's word: "virtio", "scsi", "nvme", ...; "unknown" */
    bool located;    /* on a bus that is known; else all below is 0 or -1 */
    unsigned bus_number, target, unit;
    int domain, pci_bus, slot, function; /* of the controller; -1: not on PCI */
    bool ccw;                            /* s390x */
    unsigned ccw_ids[4];                 /* cssid, ssid, subchno, devno */
} BlockDevice;

/* Where the device "MAJ:MIN" or "vda1" is, new; NULL: sysfs does not know it. */
char *block_device_place(const char *sysfs, const char *name);
bool block_device_virtual(const char *place); /* device-mapper, md, loop: nowhere on a bus */
/* The places of what it is made of (slaves), sorted; NULL: not that kind of a device. */
GPtrArray *block_device_parts(const char *sysfs, const char *place);

BlockDevice *block_device_read(const char *sysfs, const char *run, const char *place);
void block_device_free(BlockDevice *device);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BlockDevice, block_device_free)
/* The text of an attribute of the device without its newline, new; NULL: there is none. */
char *block_device_attribute(const char *sysfs, const char *place, const char *name);
