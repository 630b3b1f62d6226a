/*
 * interfaces: the network interfaces, their addresses and counters.
 *
 * Addresses come from the kernel by rtnetlink (getifaddrs), which waits while an interface is being
 * changed; counters from procfs, as netlink's are 32 bits wide there. For offload threads.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define INTERFACES_TABLE_MAX ((size_t)16 << 20) /* of /proc/net/dev: 100 000 lines */
#define INTERFACE_COUNTERS   8u

/* As /proc/net/dev has them: bytes, packets, errs, drop received, then sent. */
typedef struct {
    uint64_t values[INTERFACE_COUNTERS];
} InterfaceCounters;

typedef struct {
    char text[46]; /* INET6_ADDRSTRLEN */
    bool ipv6;
    unsigned prefix;
} InterfaceAddress;

typedef struct {
    char *name;
    bool has_hardware;
    uint8_t hardware[6];
    GArray *addresses; /* InterfaceAddress */
    bool has_counters;
    InterfaceCounters counters;
} Interface;

/* Interface *, in the kernel's order; labels of addresses ("eth0:1") are entries of their own. */
GPtrArray *interfaces_list(const char *procfs, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The counters by name (InterfaceCounters), of the text of /proc/net/dev. New. */
GHashTable *interfaces_counters(const char *text);
