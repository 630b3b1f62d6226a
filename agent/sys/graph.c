/*
 * graph: see graph.h.
 *
 * Three steps. Devices are read from sysfs, each once; a walk down from every filesystem's devices
 * finds the filesystems that carry it. Then what only might carry one (a loop file's path in
 * another namespace) where that contradicts nothing known. Then ranks: the longest chain of
 * filesystems above each.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/graph.h"

#include "sys/graph_device.h"
#include "sys/mount_kind.h"

#include <string.h>
#include <sys/sysmacros.h>

/* A filesystem in the graph. */
typedef struct {
    Mount *mount;
    GPtrArray *carriers; /* Node *: filesystems it sits on, directly or through devices */
    unsigned carried;    /* filesystems on it whose rank is not final yet */
    bool done;
} Node;

typedef struct {
    Node *nodes;
    unsigned count;
    GHashTable *places;    /* own mount point -> GPtrArray of Node *, visible ones first */
    GHashTable *by_device; /* "MAJ:MIN" -> Node * */
    GraphLoopFunc loop;
    GraphDevices *devices;
} Graph;

/* One walk down from a filesystem. */
typedef struct {
    Graph *graph;
    Node *from;
    GHashTable *seen; /* GraphDevice * */
} Walk;

/* --- which filesystem a path lies on -----------------------------------------------------------
 */

static void add_places(Graph *graph, bool visible)
{
    for (unsigned i = 0; i < graph->count; i++) {
        Node *node = &graph->nodes[i];
        unsigned first = visible ? 0 : node->mount->visible;
        unsigned end = visible ? node->mount->visible : node->mount->mountpoints->len;

        if (node->mount->where.inode != 0)
            continue;
        for (unsigned k = first; k < end; k++) {
            char *path = g_ptr_array_index(node->mount->mountpoints, k);
            GPtrArray *place = g_hash_table_lookup(graph->places, path);

            if (!place) {
                place = g_ptr_array_new();
                g_hash_table_insert(graph->places, path, place);
            }
            g_ptr_array_add(place, node);
        }
    }
}

/* The filesystem with the longest mount point that begins `path`. Not `except`: an image mounted
 * over its own folder shows a path inside itself. */
static Node *node_of_path(Graph *graph, const char *path, const Node *except)
{
    g_autofree char *prefix = g_strdup(path);

    while (prefix[0] == '/') {
        const GPtrArray *place = g_hash_table_lookup(graph->places, prefix);
        char *slash = strrchr(prefix, '/');

        for (unsigned i = 0; place && i < place->len; i++)
            if (g_ptr_array_index(place, i) != except)
                return g_ptr_array_index(place, i);
        if (prefix[1] == '\0')
            return NULL;
        slash[slash == prefix] = '\0';
    }
    return NULL;
}

/* --- what carries a filesystem -----------------------------------------------------------------
 */

static void add_name(Mount *mount, const char *name)
{
    for (unsigned i = 0; i < mount->carriers->len; i++)
        if (strcmp(g_ptr_array_index(mount->carriers, i), name) == 0)
            return;
    g_ptr_array_add(mount->carriers, g_strdup(name));
}

static void add_carrier(Node *node, Node *carrier)
{
    for (unsigned i = 0; i < node->carriers->len; i++)
        if (g_ptr_array_index(node->carriers, i) == carrier)
            return;
    g_ptr_array_add(node->carriers, carrier);
    carrier->carried++;
}

/* What the file of a loop device lies on. Its path may be one of another namespace, or of a mount
 * that is gone; the device knows better, but to ask it means to ask the file's server. */
static Node *node_of_loop(Graph *graph, const GraphDevice *device, const Node *from)
{
    Node *by_path = node_of_path(graph, device->backing_file, from), *by_device = NULL;
    dev_t number = 0;
    g_autofree char *name = NULL;

    if (!graph->loop || !device->name || (by_path && mount_kind_is_served(by_path->mount->type)))
        return by_path;
    number = graph->loop(device->name);
    name = g_strdup_printf("%u:%u", major(number), minor(number));
    by_device = g_hash_table_lookup(graph->by_device, name);
    return by_device && by_device != from ? by_device : by_path;
}

static void walk(Walk *state, const GraphDevice *device, unsigned depth)
{
    Node *carrier = NULL;

    if (depth > GRAPH_DEPTH_MAX || !g_hash_table_add(state->seen, (gpointer)device))
        return;
    if (device->backing_file)
        carrier = node_of_loop(state->graph, device, state->from);
    if (carrier) {
        add_carrier(state->from, carrier);
        if (depth == 1) {
            g_autofree char *name =
                g_strdup_printf("%u:%u", carrier->mount->major, carrier->mount->minor);
            add_name(state->from->mount, name);
        }
    }
    for (unsigned i = 0; i < device->below->len; i++) {
        const char *name = g_ptr_array_index(device->below, i);

        if (depth == 1)
            add_name(state->from->mount, name);
        walk(state, graph_device(state->graph->devices, name), depth + 1);
    }
}

static void find_carriers(Graph *graph, Node *node)
{
    Mount *mount = node->mount;
    Walk state = {graph, node, NULL};
    g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);

    state.seen = seen;
    g_ptr_array_set_size(mount->carriers, 0);
    if (mount->upper) {
        Node *upper = node_of_path(graph, mount->upper, node);
        g_autofree char *name =
            upper ? g_strdup_printf("%u:%u", upper->mount->major, upper->mount->minor) : NULL;

        if (upper) {
            add_carrier(node, upper);
            add_name(mount, name);
        }
    } else if (mount_kind_hides_device(mount->type)) {
        g_autoptr(GPtrArray) names = graph_devices_of_source(graph->devices, mount->device);

        for (unsigned i = 0; i < names->len; i++) {
            add_name(mount, g_ptr_array_index(names, i));
            walk(&state, graph_device(graph->devices, g_ptr_array_index(names, i)), 2);
        }
    } else if (mount->major != 0) {
        g_autofree char *name = g_strdup_printf("%u:%u", mount->major, mount->minor);

        walk(&state, graph_device(graph->devices, name), 1);
    }
}

/* `node` and all that carries it, directly or not. Set of Node *. */
static GHashTable *beneath(Node *node)
{
    GHashTable *found = g_hash_table_new(NULL, NULL);
    g_autoptr(GPtrArray) left = g_ptr_array_new();

    g_ptr_array_add(left, node);
    while (left->len > 0) {
        Node *next = g_ptr_array_steal_index_fast(left, left->len - 1);

        if (!g_hash_table_add(found, next))
            continue;
        for (unsigned i = 0; i < next->carriers->len; i++)
            g_ptr_array_add(left, g_ptr_array_index(next->carriers, i));
    }
    return found;
}

/* --- what a filesystem is used for -------------------------------------------------------------
 */

static void mark_unfit(Graph *graph, const char *state)
{
    Node *holder = node_of_path(graph, state, NULL);
    g_autoptr(GHashTable) below = holder ? beneath(holder) : NULL;
    GHashTableIter iterator;
    gpointer node = NULL;

    if (!below)
        return;
    g_hash_table_iter_init(&iterator, below);
    while (g_hash_table_iter_next(&iterator, &node, NULL)) {
        Mount *mount = ((Node *)node)->mount;

        if (mount->action == MOUNT_FREEZE)
            mount->unfit = "the agent's own state lies on it; mount a tmpfs on /run";
    }
}

static void mark_uses(Graph *graph, const GraphOptions *options)
{
    for (unsigned i = 0; i < graph->count; i++) {
        graph->nodes[i].mount->carries_swap = false;
        graph->nodes[i].mount->unfit = NULL;
    }
    for (unsigned i = 0; options->swap_files && options->swap_files[i]; i++) {
        Node *node = node_of_path(graph, options->swap_files[i], NULL);

        if (node)
            node->mount->carries_swap = true;
    }
    if (options->state)
        mark_unfit(graph, options->state);
}

/* --- ranks ------------------------------------------------------------------------------------ */

static void finish(Node *node, GQueue *ready)
{
    unsigned above = node->mount->rank + (node->mount->action == MOUNT_SKIP ? 0 : 1);

    node->done = true;
    for (unsigned i = 0; i < node->carriers->len; i++) {
        Node *carrier = g_ptr_array_index(node->carriers, i);

        if (carrier->done)
            continue;
        carrier->mount->rank = MAX(carrier->mount->rank, above);
        if (--carrier->carried == 0)
            g_queue_push_tail(ready, carrier);
    }
}

static void rank_all(Graph *graph)
{
    GQueue ready = G_QUEUE_INIT;

    for (unsigned i = 0; i < graph->count; i++)
        if (graph->nodes[i].carried == 0)
            g_queue_push_tail(&ready, &graph->nodes[i]);
    /* What is left when nothing is ready are cycles and what they sit on: cut at the first. */
    for (unsigned i = 0; i <= graph->count; i++) {
        Node *node = NULL;

        while ((node = g_queue_pop_head(&ready)))
            if (!node->done)
                finish(node, &ready);
        if (i < graph->count && !graph->nodes[i].done)
            finish(&graph->nodes[i], &ready);
    }
}

/* What carries it is frozen, too. */
static bool order_binds(const Node *node)
{
    for (unsigned i = 0; i < node->carriers->len; i++) {
        const Node *carrier = g_ptr_array_index(node->carriers, i);

        if (carrier->mount->action != MOUNT_SKIP || carrier->carriers->len > 0)
            return true;
    }
    return false;
}

static bool is_late(const Node *node)
{
    return (mount_has_mountpoint(node->mount, "/") && node->mount->where.inode == 0) ||
           node->mount->carries_swap;
}

static void put_root_last(Graph *graph)
{
    unsigned last = 0;
    bool others = false;

    for (unsigned i = 0; i < graph->count; i++) {
        const Node *node = &graph->nodes[i];

        if (node->mount->action == MOUNT_SKIP || is_late(node))
            continue;
        others = true;
        last = MAX(last, node->mount->rank);
    }
    for (unsigned i = 0; i < graph->count; i++) {
        Node *node = &graph->nodes[i];

        if (node->mount->action != MOUNT_SKIP && is_late(node) && others && !order_binds(node))
            node->mount->rank = MAX(node->mount->rank, last + 1);
    }
}

static void graph_build(Graph *graph, GPtrArray *mounts)
{
    for (unsigned i = 0; i < graph->count; i++) {
        graph->nodes[i].mount = g_ptr_array_index(mounts, i);
        graph->nodes[i].mount->rank = 0;
        graph->nodes[i].carriers = g_ptr_array_new();
        g_hash_table_insert(
            graph->by_device,
            g_strdup_printf("%u:%u", graph->nodes[i].mount->major, graph->nodes[i].mount->minor),
            &graph->nodes[i]);
    }
    add_places(graph, true);
    add_places(graph, false);
    for (unsigned i = 0; i < graph->count; i++)
        find_carriers(graph, &graph->nodes[i]);
}

void graph_rank(GPtrArray *mounts, const GraphOptions *options)
{
    Graph graph = {
        .nodes = g_new0(Node, MAX(mounts->len, 1)),
        .count = mounts->len,
        .places =
            g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)g_ptr_array_unref),
        .by_device = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
        .loop = options->loop,
        .devices = graph_devices_new(options->sysfs),
    };

    graph_build(&graph, mounts);
    mark_uses(&graph, options);
    rank_all(&graph);
    put_root_last(&graph);
    for (unsigned i = 0; i < graph.count; i++)
        g_ptr_array_unref(graph.nodes[i].carriers);
    graph_devices_free(graph.devices);
    g_hash_table_unref(graph.by_device);
    g_hash_table_unref(graph.places);
    g_free(graph.nodes);
}
