/*
 * routes: see routes.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/routes.h"

#include "sys/procfile.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define LINE_FIELDS 11u

/* The kernel writes the address as one number in the byte order of the machine. */
static void show_ipv4(uint32_t number, char *text)
{
    struct in_addr address = {.s_addr = number};

    (void)inet_ntop(AF_INET, &address, text, ROUTE_ADDRESS);
}

/* 32 hexadecimal digits. */
static bool show_ipv6(const char *digits, char *text)
{
    struct in6_addr address = {0};

    for (unsigned i = 0; i < sizeof(address.s6_addr); i++) {
        int high = g_ascii_xdigit_value(digits[2 * i]);
        int low = high < 0 ? -1 : g_ascii_xdigit_value(digits[2 * i + 1]);

        if (low < 0)
            return false;
        address.s6_addr[i] = (uint8_t)(high << 4 | low);
    }
    return digits[2 * sizeof(address.s6_addr)] == '\0' &&
           inet_ntop(AF_INET6, &address, text, ROUTE_ADDRESS) != NULL;
}

bool route_parse_ipv4(const char *line, Route *ret_route)
{
    Route route = {0};
    uint32_t destination = 0, gateway = 0, mask = 0;

    if (sscanf(line, "%15s %x %x %x %u %u %u %x %u %u %u", route.interface, &destination, &gateway,
               &route.flags, &route.references, &route.uses, &route.metric, &mask, &route.mtu,
               &route.window, &route.irtt) != LINE_FIELDS)
        return false;
    show_ipv4(destination, route.destination);
    show_ipv4(gateway, route.gateway);
    show_ipv4(mask, route.mask);
    *ret_route = route;
    return true;
}

bool route_parse_ipv6(const char *line, Route *ret_route)
{
    Route route = {.ipv6 = true};
    char destination[33], source[33], next_hop[33];

    if (sscanf(line, "%32s %x %32s %x %32s %x %x %x %x %15s", destination,
               &route.destination_length, source, &route.source_length, next_hop, &route.metric,
               &route.references, &route.uses, &route.flags, route.interface) != LINE_FIELDS - 1)
        return false;
    if (!show_ipv6(destination, route.destination) || !show_ipv6(source, route.source) ||
        !show_ipv6(next_hop, route.gateway))
        return false;
    *ret_route = route;
    return true;
}

/* Lines are cut in place. */
static void add_lines(GArray *routes, char *text, bool (*parse)(const char *line, Route *route))
{
    while (text && *text && routes->len < ROUTES_MAX) {
        char *end = strchr(text, '\n');
        Route route;

        if (end)
            *end = '\0';
        if (parse(text, &route))
            g_array_append_val(routes, route);
        text = end ? end + 1 : NULL;
    }
}

GArray *routes_list(const char *procfs, GError **error)
{
    g_autofree char *ipv4_path = g_build_filename(procfs, "net", "route", NULL);
    g_autofree char *ipv6_path = g_build_filename(procfs, "net", "ipv6_route", NULL);
    g_autofree char *ipv4 = procfile_whole(ipv4_path, ROUTES_TABLE_MAX, error);
    g_autofree char *ipv6 = ipv4 ? procfile_whole(ipv6_path, ROUTES_TABLE_MAX, NULL) : NULL;
    GArray *routes = NULL;

    if (!ipv4)
        return NULL;
    routes = g_array_new(FALSE, FALSE, sizeof(Route));
    add_lines(routes, ipv4, route_parse_ipv4);
    add_lines(routes, ipv6, route_parse_ipv6);
    return routes;
}
