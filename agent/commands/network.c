/*
 * network: guest-network-get-interfaces, guest-network-get-route.
 *
 * In a thread (ask.h): the kernel makes readers wait while an interface or a route is changed.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "commands/families.h"

#include "quiesce/json.h"
#include "sys/interfaces.h"
#include "sys/routes.h"

static void set_integer(json_t *object, const char *name, uint64_t value)
{
    (void)json_object_set_new(object, name, json_integer((json_int_t)MIN(value, INT64_MAX)));
}

/* --- interfaces --------------------------------------------------------------------------------
 */

static json_t *addresses_json(const Interface *interface)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < interface->addresses->len; i++) {
        const InterfaceAddress *address = &g_array_index(interface->addresses, InterfaceAddress, i);
        json_t *object = json_object();

        json_set_text(object, "ip-address", address->text);
        json_set_text(object, "ip-address-type", address->ipv6 ? "ipv6" : "ipv4");
        set_integer(object, "prefix", address->prefix);
        (void)json_array_append_new(list, object);
    }
    return list;
}

static json_t *interface_json(const Interface *interface)
{
    static const char *const COUNTERS[INTERFACE_COUNTERS] = {
        "rx-bytes", "rx-packets", "rx-errs", "rx-dropped",
        "tx-bytes", "tx-packets", "tx-errs", "tx-dropped",
    };
    json_t *object = json_object();
    json_t *statistics = NULL;
    char hardware[18];

    json_set_text(object, "name", interface->name);
    if (interface->has_hardware) {
        (void)g_snprintf(hardware, sizeof(hardware), "%02x:%02x:%02x:%02x:%02x:%02x",
                         interface->hardware[0], interface->hardware[1], interface->hardware[2],
                         interface->hardware[3], interface->hardware[4], interface->hardware[5]);
        json_set_text(object, "hardware-address", hardware);
    }
    if (interface->addresses->len > 0)
        (void)json_object_set_new(object, "ip-addresses", addresses_json(interface));
    if (!interface->has_counters)
        return object;
    statistics = json_object();
    for (unsigned i = 0; i < INTERFACE_COUNTERS; i++)
        set_integer(statistics, COUNTERS[i], interface->counters.values[i]);
    (void)json_object_set_new(object, "statistics", statistics);
    return object;
}

static json_t *gather_interfaces(const AskPaths *paths, GPtrArray *names, GError **error)
{
    g_autoptr(GPtrArray) interfaces = interfaces_list(paths->procfs, error);
    json_t *list = interfaces ? json_array() : NULL;
    size_t budget = ASK_REPLY_MAX;

    (void)names;
    for (unsigned i = 0; interfaces && i < interfaces->len; i++)
        if (!ask_append(list, interface_json(g_ptr_array_index(interfaces, i)), &budget))
            break;
    return list;
}

static const Question INTERFACES_QUESTION = {
    .name = "interfaces", .gather = gather_interfaces, .remember = true};

static void run_interfaces(Call *call)
{
    commands_ask(&INTERFACES_QUESTION, call);
}

/* --- routes ------------------------------------------------------------------------------------
 */

static void add_ipv4(json_t *object, const Route *route)
{
    json_set_text(object, "gateway", route->gateway);
    json_set_text(object, "mask", route->mask);
    set_integer(object, "mtu", route->mtu);
    set_integer(object, "window", route->window);
    set_integer(object, "irtt", route->irtt);
}

/* The lengths are strings, of all numbers here. */
static void add_ipv6(json_t *object, const Route *route)
{
    char length[12];

    json_set_text(object, "source", route->source);
    json_set_text(object, "nexthop", route->gateway);
    (void)g_snprintf(length, sizeof(length), "%u", route->destination_length);
    json_set_text(object, "desprefixlen", length);
    (void)g_snprintf(length, sizeof(length), "%u", route->source_length);
    json_set_text(object, "srcprefixlen", length);
}

static json_t *route_json(const void *item)
{
    const Route *route = item;
    json_t *object = json_object();

    json_set_text(object, "iface", route->interface);
    json_set_text(object, "destination", route->destination);
    set_integer(object, "metric", route->metric);
    set_integer(object, "flags", route->flags);
    set_integer(object, "refcnt", route->references);
    set_integer(object, "use", route->uses);
    if (route->ipv6)
        add_ipv6(object, route);
    else
        add_ipv4(object, route);
    set_integer(object, "version", route->ipv6 ? 6 : 4);
    return object;
}

static json_t *gather_routes(const AskPaths *paths, GPtrArray *names, GError **error)
{
    g_autoptr(GArray) routes = routes_list(paths->procfs, error);

    (void)names;
    return ask_list(routes, route_json);
}

static const Question ROUTES_QUESTION = {
    .name = "routes", .gather = gather_routes, .remember = true};

static void run_routes(Call *call)
{
    commands_ask(&ROUTES_QUESTION, call);
}

const Command NETWORK_COMMANDS[] = {
    {.name = "guest-network-get-interfaces", .while_frozen = true, .run = run_interfaces},
    {.name = "guest-network-get-route", .while_frozen = true, .run = run_routes},
};
const unsigned NETWORK_COMMANDS_COUNT = G_N_ELEMENTS(NETWORK_COMMANDS);
