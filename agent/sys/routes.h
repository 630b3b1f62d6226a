/*
 * routes: the routing tables of IPv4 and IPv6, as procfs shows them.
 *
 * Listing them may wait for whoever changes one: for offload threads. Plain text below that.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define ROUTES_TABLE_MAX ((size_t)4 << 20) /* of each: 128 bytes a line */
#define ROUTES_MAX       16384u            /* more fill no reply (ask.h), and take their time */
#define ROUTE_ADDRESS    46u               /* INET6_ADDRSTRLEN */
#define ROUTE_INTERFACE  16u               /* IFNAMSIZ */

typedef struct {
    bool ipv6;
    char interface[ROUTE_INTERFACE];
    char destination[ROUTE_ADDRESS];
    char gateway[ROUTE_ADDRESS];                /* IPv6: the next hop */
    char mask[ROUTE_ADDRESS];                   /* IPv4 */
    char source[ROUTE_ADDRESS];                 /* IPv6 */
    unsigned destination_length, source_length; /* IPv6: of the prefixes */
    uint32_t metric, flags, references, uses;
    unsigned mtu, window, irtt; /* IPv4 */
} Route;

/* Route, at most ROUTES_MAX, IPv4 first. A kernel without IPv6 has none of those. */
GArray *routes_list(const char *procfs, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* One line of /proc/net/route or ipv6_route; false: it is none. */
bool route_parse_ipv4(const char *line, Route *ret_route);
bool route_parse_ipv6(const char *line, Route *ret_route);
