/*
 * interfaces: see interfaces.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/interfaces.h"

#include "sys/procfile.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <netpacket/packet.h>
#include <string.h>

/* --- counters ----------------------------------------------------------------------------------
 */

/* "  eth0: 1 2 3 ...": 16 numbers, 8 received and 8 sent; the first four of each are ours. */
static bool parse_counters(const char *cursor, InterfaceCounters *counters)
{
    for (unsigned i = 0; i < 12; i++) {
        char *end = NULL;
        uint64_t value = 0;

        cursor += strspn(cursor, " ");
        if (!g_ascii_isdigit(*cursor))
            return false;
        value = g_ascii_strtoull(cursor, &end, 10);
        cursor = end;
        if (i < 4)
            counters->values[i] = value;
        else if (i >= 8)
            counters->values[i - 4] = value;
    }
    return true;
}

GHashTable *interfaces_counters(const char *text)
{
    GHashTable *table = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);

    while (*text) {
        const char *end = strchrnul(text, '\n');
        const char *name = text + strspn(text, " ");
        /* The last one: a name may hold a colon, numbers do not. */
        const char *colon = name < end ? memrchr(name, ':', (size_t)(end - name)) : NULL;
        InterfaceCounters counters = {0};

        if (colon && parse_counters(colon + 1, &counters))
            g_hash_table_replace(table, g_strndup(name, (size_t)(colon - name)),
                                 g_memdup2(&counters, sizeof(counters)));
        text = *end ? end + 1 : end;
    }
    return table;
}

static void add_counters(GPtrArray *interfaces, const char *procfs)
{
    g_autofree char *path = g_build_filename(procfs, "net", "dev", NULL);
    g_autofree char *text = procfile_whole(path, INTERFACES_TABLE_MAX, NULL);
    g_autoptr(GHashTable) table = text ? interfaces_counters(text) : NULL;

    for (unsigned i = 0; table && i < interfaces->len; i++) {
        Interface *interface = g_ptr_array_index(interfaces, i);
        const InterfaceCounters *counters = g_hash_table_lookup(table, interface->name);

        interface->has_counters = counters != NULL;
        if (counters)
            interface->counters = *counters;
    }
}

/* --- addresses ---------------------------------------------------------------------------------
 */

static void interface_free(gpointer data)
{
    Interface *interface = data;

    g_free(interface->name);
    g_array_unref(interface->addresses);
    g_free(interface);
}

static Interface *interface_of(GPtrArray *interfaces, GHashTable *by_name, const char *name)
{
    Interface *interface = g_hash_table_lookup(by_name, name);

    if (interface)
        return interface;
    interface = g_new0(Interface, 1);
    interface->name = g_strdup(name);
    interface->addresses = g_array_new(FALSE, FALSE, sizeof(InterfaceAddress));
    g_ptr_array_add(interfaces, interface);
    g_hash_table_insert(by_name, interface->name, interface);
    return interface;
}

static unsigned prefix_length(const uint8_t *mask, size_t size)
{
    unsigned bits = 0;

    for (size_t i = 0; i < size; i++)
        bits += (unsigned)__builtin_popcount(mask[i]);
    return bits;
}

static void add_address(Interface *interface, const struct ifaddrs *entry)
{
    InterfaceAddress address = {.ipv6 = entry->ifa_addr->sa_family == AF_INET6};

    if (address.ipv6) {
        const struct sockaddr_in6 *own = (const void *)entry->ifa_addr;
        const struct sockaddr_in6 *mask = (const void *)entry->ifa_netmask;

        (void)inet_ntop(AF_INET6, &own->sin6_addr, address.text, sizeof(address.text));
        address.prefix = mask ? prefix_length(mask->sin6_addr.s6_addr, 16) : 0;
    } else {
        const struct sockaddr_in *own = (const void *)entry->ifa_addr;
        const struct sockaddr_in *mask = (const void *)entry->ifa_netmask;

        (void)inet_ntop(AF_INET, &own->sin_addr, address.text, sizeof(address.text));
        address.prefix = mask ? prefix_length((const void *)&mask->sin_addr, 4) : 0;
    }
    g_array_append_val(interface->addresses, address);
}

static void add_entry(Interface *interface, const struct ifaddrs *entry)
{
    if (!entry->ifa_addr)
        return;
    if (entry->ifa_addr->sa_family == AF_PACKET) {
        const struct sockaddr_ll *link = (const void *)entry->ifa_addr;

        /* Six bytes whatever the kind, as hosts expect them: without an address zeros. */
        memcpy(interface->hardware, link->sll_addr,
               MIN(link->sll_halen, sizeof(interface->hardware)));
        interface->has_hardware = true;
    } else if (entry->ifa_addr->sa_family == AF_INET || entry->ifa_addr->sa_family == AF_INET6) {
        add_address(interface, entry);
    }
}

/* "eth0:1" has the hardware address of "eth0". */
static void inherit_hardware(GPtrArray *interfaces, GHashTable *by_name)
{
    for (unsigned i = 0; i < interfaces->len; i++) {
        Interface *interface = g_ptr_array_index(interfaces, i);
        const char *colon = strchr(interface->name, ':');
        g_autofree char *parent_name =
            colon ? g_strndup(interface->name, (size_t)(colon - interface->name)) : NULL;
        const Interface *parent = parent_name ? g_hash_table_lookup(by_name, parent_name) : NULL;

        if (interface->has_hardware || !parent)
            continue;
        interface->has_hardware = parent->has_hardware;
        memcpy(interface->hardware, parent->hardware, sizeof(interface->hardware));
    }
}

GPtrArray *interfaces_list(const char *procfs, GError **error)
{
    g_autoptr(GPtrArray) interfaces = g_ptr_array_new_with_free_func(interface_free);
    g_autoptr(GHashTable) by_name = g_hash_table_new(g_str_hash, g_str_equal);
    struct ifaddrs *entries = NULL;

    if (getifaddrs(&entries) < 0) {
        agent_error_errno(error, AGENT_ERROR_UNAVAILABLE, errno, "getifaddrs failed");
        return NULL;
    }
    for (const struct ifaddrs *entry = entries; entry; entry = entry->ifa_next)
        if (entry->ifa_name)
            add_entry(interface_of(interfaces, by_name, entry->ifa_name), entry);
    freeifaddrs(entries);
    inherit_hardware(interfaces, by_name);
    add_counters(interfaces, procfs);
    return g_steal_pointer(&interfaces);
}
