/*
 * Tests of sys/interfaces and sys/routes: what procfs shows, garbage, and very long tables.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "procfs_rig.h"
#include "sys/interfaces.h"
#include "sys/routes.h"

#include <string.h>

#define DEV_HEAD                                                                                   \
    "Inter-|   Receive                                                |  Transmit\n"               \
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop" \
    " fifo colls carrier compressed\n"

static void assert_counters(GHashTable *table, const char *name, const uint64_t *expected)
{
    const InterfaceCounters *counters = g_hash_table_lookup(table, name);

    g_assert_nonnull(counters);
    g_assert_cmpmem(counters->values, sizeof(counters->values), expected,
                    INTERFACE_COUNTERS * sizeof(*expected));
}

static void counters_by_name(void)
{
    g_autoptr(GHashTable) table = interfaces_counters(
        DEV_HEAD "    lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"
                 "eth0:18446744073709551615 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"
                 "a:b: 1 1 1 1 0 0 0 0 2 2 2 2 0 0 0 0\n"
                 "short: 1 2 3\n"
                 "nothing\n"
                 ":\n"
                 "\xff\xfe: 0 0 0 0 0 0 0 0 7 0 0 0 0 0 0 0");

    g_assert_cmpuint(g_hash_table_size(table), ==, 4);
    assert_counters(table, "lo", (uint64_t[]){1, 2, 3, 4, 9, 10, 11, 12});
    assert_counters(table, "eth0", (uint64_t[]){UINT64_MAX, 2, 3, 4, 9, 10, 11, 12});
    assert_counters(table, "a:b", (uint64_t[]){1, 1, 1, 1, 2, 2, 2, 2});
    assert_counters(table, "\xff\xfe", (uint64_t[]){0, 0, 0, 0, 7, 0, 0, 0});
}

static void very_many_counters(void)
{
    g_autoptr(GString) text = g_string_new(DEV_HEAD);
    g_autoptr(GHashTable) table = NULL;

    for (unsigned i = 0; i < 100000; i++)
        g_string_append_printf(text, "veth%u: %u 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n", i, i);
    table = interfaces_counters(text->str);
    g_assert_cmpuint(g_hash_table_size(table), ==, 100000);
    assert_counters(table, "veth99999", (uint64_t[]){99999, 0, 0, 0, 0, 0, 0, 0});
}

/* Whatever this machine has, it has the loopback interface. */
static void interfaces_of_this_machine(void)
{
    g_autoptr(GError) error = NULL;
    char *procfs = rig_new("");
    g_autoptr(GPtrArray) interfaces = NULL;
    const Interface *loopback = NULL;

    rig_put(procfs, "net/dev", "lo: 4711 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n");
    interfaces = interfaces_list(procfs, &error);
    g_assert_no_error(error);
    for (unsigned i = 0; i < interfaces->len; i++) {
        const Interface *interface = g_ptr_array_index(interfaces, i);

        if (strcmp(interface->name, "lo") == 0)
            loopback = interface;
        else
            g_assert_false(interface->has_counters);
    }
    g_assert_nonnull(loopback);
    g_assert_true(loopback->has_counters);
    g_assert_cmpuint(loopback->counters.values[0], ==, 4711);
    g_assert_true(loopback->has_hardware);
    for (unsigned i = 0; i < loopback->addresses->len; i++) {
        const InterfaceAddress *address = &g_array_index(loopback->addresses, InterfaceAddress, i);

        if (strcmp(address->text, "127.0.0.1") == 0)
            g_assert_cmpuint(address->prefix, ==, 8);
        if (strcmp(address->text, "::1") == 0)
            g_assert_cmpuint(address->prefix, ==, 128);
    }
    rig_free(procfs);
}

#define ROUTE_HEAD                                                                                 \
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
#define ROUTE_DEFAULT "eth0\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t1500\t2\t3      \n"
#define ROUTE6                                                                                     \
    "20010db8000000000000000000000000 20 00000000000000000000000000000000 00 "                     \
    "fe800000000000000000000000000001 00000400 00000001 00000002 80200003     eth0\n"

static void both_tables_in_order(void)
{
    g_autoptr(GError) error = NULL;
    char *procfs = rig_new("");
    g_autoptr(GArray) routes = NULL;
    const Route *route = NULL;

    g_assert_null(routes_list(procfs, &error));
    g_assert_true(g_str_has_suffix(error->message, "/net/route\"): No such file or directory"));
    g_clear_error(&error);
    rig_put(procfs, "net/route", ROUTE_HEAD ROUTE_DEFAULT "garbage\n");
    routes = routes_list(procfs, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(routes->len, ==, 1);
    g_array_unref(routes);
    rig_put(procfs, "net/ipv6_route", ROUTE6 "20 \n" ROUTE6);
    routes = routes_list(procfs, &error);
    g_assert_cmpuint(routes->len, ==, 3);
    route = &g_array_index(routes, Route, 0);
    g_assert_cmpstr(route->interface, ==, "eth0");
    g_assert_cmpstr(route->destination, ==, "0.0.0.0");
    g_assert_cmpstr(route->gateway, ==, "192.0.2.1");
    g_assert_cmpstr(route->mask, ==, "0.0.0.0");
    g_assert_cmpuint(route->metric, ==, 100);
    g_assert_cmpuint(route->mtu, ==, 1500);
    g_assert_cmpuint(route->irtt, ==, 3);
    route = &g_array_index(routes, Route, 2);
    g_assert_true(route->ipv6);
    g_assert_cmpstr(route->destination, ==, "2001:db8::");
    g_assert_cmpuint(route->destination_length, ==, 32);
    g_assert_cmpstr(route->gateway, ==, "fe80::1");
    g_assert_cmpstr(route->source, ==, "::");
    g_assert_cmpuint(route->metric, ==, 1024);
    g_assert_cmpuint(route->flags, ==, 0x80200003);
    rig_free(procfs);
}

static void a_very_long_table_is_cut(void)
{
    char *procfs = rig_new("");
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GArray) routes = NULL;

    rig_put(procfs, "net/route", ROUTE_HEAD ROUTE_DEFAULT);
    for (unsigned i = 0; i <= ROUTES_MAX; i++)
        g_string_append(text, ROUTE6);
    rig_put(procfs, "net/ipv6_route", text->str);
    routes = routes_list(procfs, NULL);
    g_assert_cmpuint(routes->len, ==, ROUTES_MAX);
    g_assert_false(g_array_index(routes, Route, 0).ipv6);
    rig_free(procfs);
}

static void lines_that_are_no_routes(void)
{
    static const char *const LINES[] = {
        "",
        ROUTE_HEAD,
        "eth0 00000000 010200C0",
        "\xff\xfe\xfd",
        "2001 20 0 0 fe80 0 0 0 0 eth0",
        "20010db800000000000000000000000g 20 00000000000000000000000000000000 00 "
        "fe800000000000000000000000000001 00000400 00000001 00000002 80200003 eth0",
        "20010db80000000000000000000000000000 20 00000000000000000000000000000000 00 "
        "fe800000000000000000000000000001 00000400 00000001 00000002 80200003 eth0",
    };
    Route route;

    for (unsigned i = 0; i < G_N_ELEMENTS(LINES); i++) {
        g_assert_false(route_parse_ipv4(LINES[i], &route));
        g_assert_false(route_parse_ipv6(LINES[i], &route));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/interfaces/counters", counters_by_name);
    g_test_add_func("/interfaces/many", very_many_counters);
    g_test_add_func("/interfaces/machine", interfaces_of_this_machine);
    g_test_add_func("/routes/tables", both_tables_in_order);
    g_test_add_func("/routes/long", a_very_long_table_is_cut);
    g_test_add_func("/routes/garbage", lines_that_are_no_routes);
    return g_test_run();
}
