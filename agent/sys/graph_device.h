/*
 * graph_device: block devices and what they sit on, read from sysfs, each device once.
 *
 * For graph.c only. A device that sysfs does not tell about sits on nothing.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

typedef struct {
    GPtrArray *below;   /* "MAJ:MIN": slaves, the whole disk of a partition, bcache's backing */
    char *name;         /* below /dev; NULL: not known */
    char *backing_file; /* of a loop device: its path, without " (deleted)"; NULL: none */
} GraphDevice;

typedef struct GraphDevices GraphDevices;

GraphDevices *graph_devices_new(const char *sysfs);
void graph_devices_free(GraphDevices *devices);
/* Owned by `devices`. `name` is "MAJ:MIN". */
const GraphDevice *graph_device(GraphDevices *devices, const char *name);
/* The devices of a filesystem with an invented device number, by its source ("/dev/vdb",
 * "/dev/mapper/vg-data", bcachefs: "/dev/vdb:/dev/vdc"); for btrfs all devices of the same
 * filesystem. New array of "MAJ:MIN", each once. */
GPtrArray *graph_devices_of_source(GraphDevices *devices, const char *source);
