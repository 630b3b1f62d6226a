/*
 * fdstore: see fdstore.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/fdstore.h"

#include "keeper/message.h"
#include "sys/fdpass.h"
#include "sys/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define INDEX_MAX (KEEPER_FILESYSTEMS_MAX - 1)
#define GROUP_MAX 128u /* fds in one message, of FDPASS_MAX */
#define GROUP     "hold-these"

static const char *const PREFIXES[] = {[FDSTORE_HOLDS] = "hold-", [FDSTORE_PORTS] = "port-"};

typedef struct {
    char *text;
    int fds[GROUP_MAX]; /* owned */
    unsigned n_fds;     /* 0: something else than a store is said */
    unsigned index;     /* of what is stored or removed */
} Packet;

struct FdStore {
    const char *prefix;
    int fd;            /* -1: no manager */
    bool grouped;      /* GROUP was put or found */
    GHashTable *alone; /* index + 1 of what was put or found under a name of its own */
    GQueue queue;
    GSource *writable, *barrier, *timer;
    int barrier_fd;
    FdStoreDone done;
    gpointer user_data;
};

static void packet_free(gpointer data)
{
    Packet *packet = data;

    for (unsigned i = 0; i < packet->n_fds; i++)
        (void)close(packet->fds[i]);
    g_free(packet->text);
    g_free(packet);
}

/* 0, or an errno: EAGAIN and ENOBUFS when the manager's socket is full. */
static int send_packet(const FdStore *store, const Packet *packet)
{
    ssize_t sent = fdpass_send(store->fd, packet->text, strlen(packet->text), packet->fds,
                               packet->n_fds, MSG_DONTWAIT);

    return sent >= 0 ? 0 : errno;
}

static gboolean on_deadline(gpointer user_data);

/* What was put is not stored, or not all of it. The pipe of the barrier hangs up as well when its
 * message is dropped, which confirms nothing. */
static void fail(FdStore *store)
{
    if (!store->timer)
        return; /* nobody waits */
    deadline_source_clear(&store->barrier);
    deadline_source_clear(&store->timer);
    store->timer = deadline_source_new(deadline_in(0), on_deadline, store);
}

static gboolean on_writable(int fd, GIOCondition condition, gpointer user_data)
{
    FdStore *store = user_data;
    Packet *packet = NULL;

    (void)fd;
    (void)condition;
    while ((packet = g_queue_peek_head(&store->queue))) {
        int error_number = send_packet(store, packet);

        if (error_number == EAGAIN || error_number == ENOBUFS)
            return G_SOURCE_CONTINUE;
        if (error_number)
            fail(store);
        packet_free(g_queue_pop_head(&store->queue));
    }
    deadline_source_clear(&store->writable);
    return G_SOURCE_REMOVE;
}

static GSource *watch(int fd, GIOCondition condition, GUnixFDSourceFunc func, FdStore *store)
{
    GSource *source = g_unix_fd_source_new(fd, condition);

    g_source_set_callback(source, G_SOURCE_FUNC(func), store, NULL);
    g_source_attach(source, NULL);
    return source;
}

/* Takes over the packet. */
static void say(FdStore *store, Packet *packet)
{
    g_queue_push_tail(&store->queue, packet);
    if (!store->writable)
        store->writable = watch(store->fd, G_IO_OUT, on_writable, store);
}

/* Takes over `text` and `fd`, which may be -1. */
static Packet *packet_new(char *text, int fd, unsigned index)
{
    Packet *packet = g_new0(Packet, 1);

    packet->text = text;
    packet->index = index;
    if (fd >= 0)
        packet->fds[packet->n_fds++] = fd;
    return packet;
}

/* --- the confirmation --------------------------------------------------------------------------
 */

static void end_wait(FdStore *store)
{
    deadline_source_clear(&store->barrier);
    deadline_source_clear(&store->timer);
    if (store->barrier_fd >= 0)
        (void)close(store->barrier_fd);
    store->barrier_fd = -1;
}

static void tell(FdStore *store, bool stored)
{
    FdStoreDone done = store->done;

    end_wait(store);
    store->done = NULL;
    if (done)
        done(stored, store->user_data);
}

/* The manager closed its end: it has read everything before. */
static gboolean on_barrier(int fd, GIOCondition condition, gpointer user_data)
{
    (void)fd;
    (void)condition;
    tell(user_data, true);
    return G_SOURCE_REMOVE;
}

static gboolean on_deadline(gpointer user_data)
{
    tell(user_data, false);
    return G_SOURCE_REMOVE;
}

static bool begin_barrier(FdStore *store)
{
    int pair[2];

    if (pipe2(pair, O_CLOEXEC | O_NONBLOCK) != 0)
        return false;
    store->barrier_fd = pair[0];
    store->barrier = watch(pair[0], G_IO_HUP | G_IO_ERR, on_barrier, store);
    say(store, packet_new(g_strdup("BARRIER=1"), pair[1], 0));
    return true;
}

/* FDPOLL=0: the manager must not watch it, nor drop it for what it sees. */
static char *store_text(const char *name)
{
    return g_strdup_printf("FDSTORE=1\nFDNAME=%s\nFDPOLL=0", name);
}

/* Takes over `fd`. */
static void put_alone(FdStore *store, int fd, unsigned index)
{
    g_autofree char *name = g_strdup_printf("%s%u", store->prefix, index);

    g_hash_table_add(store->alone, GUINT_TO_POINTER(index + 1));
    say(store, packet_new(store_text(name), fd, index));
}

/* Takes over `fd`. In one message with others, which costs the manager little more than one. */
static void put_together(FdStore *store, Packet **group, int fd)
{
    if (!*group)
        *group = packet_new(store_text(GROUP), -1, 0);
    (*group)->fds[(*group)->n_fds++] = fd;
    store->grouped = true;
    if ((*group)->n_fds == GROUP_MAX)
        say(store, g_steal_pointer(group));
}

void fdstore_put(FdStore *store, const int *fds, const dev_t *devices, unsigned count,
                 Deadline deadline, FdStoreDone done, gpointer user_data)
{
    bool complete = store->fd >= 0;
    Packet *group = NULL;

    end_wait(store);
    store->done = done;
    store->user_data = user_data;
    for (unsigned i = 0; i < count && complete; i++) {
        int copy = fds[i] >= 0 ? fcntl(fds[i], F_DUPFD_CLOEXEC, 0) : -1;
        struct stat status;

        if (fds[i] < 0)
            continue;
        complete = copy >= 0;
        if (!complete)
            break;
        if (devices && fstat(copy, &status) == 0 && status.st_dev == devices[i])
            put_together(store, &group, copy);
        else
            put_alone(store, copy, i);
    }
    if (group)
        say(store, group);
    if (!complete || !begin_barrier(store))
        deadline = deadline_in(0);
    store->timer = deadline_source_new(deadline, on_deadline, store);
}

void fdstore_cancel(FdStore *store)
{
    if (!store)
        return;
    end_wait(store);
    store->done = NULL;
}

/* What was not sent yet need not be: stores, and removals that are about to be said again. */
static void drop_unsent(FdStore *store, unsigned count)
{
    GList *next = NULL;

    for (GList *link = store->queue.head; link; link = next) {
        Packet *packet = link->data;

        next = link->next;
        if (packet->n_fds == 0 && packet->index >= count)
            continue;
        if (packet->n_fds > 0)
            fail(store);
        packet_free(packet);
        g_queue_delete_link(&store->queue, link);
    }
}

void fdstore_remove(FdStore *store, unsigned count)
{
    if (!store || store->fd < 0)
        return;
    drop_unsent(store, count);
    if (store->grouped)
        say(store, packet_new(g_strdup("FDSTOREREMOVE=1\nFDNAME=" GROUP), -1, INDEX_MAX + 1));
    store->grouped = false;
    for (unsigned i = 0; i < count; i++) {
        if (!g_hash_table_remove(store->alone, GUINT_TO_POINTER(i + 1)))
            continue;
        say(store,
            packet_new(g_strdup_printf("FDSTOREREMOVE=1\nFDNAME=%s%u", store->prefix, i), -1, i));
    }
}

void fdstore_found(FdStore *store, int index)
{
    if (index < 0)
        store->grouped = true;
    else
        g_hash_table_add(store->alone, GUINT_TO_POINTER((unsigned)index + 1));
}

/* --- life --------------------------------------------------------------------------------------
 */

FdStore *fdstore_new(const char *socket_address, FdStoreKind kind)
{
    FdStore *store = g_new0(FdStore, 1);
    struct sockaddr_un address;
    socklen_t length = 0;

    store->prefix = PREFIXES[kind];
    store->alone = g_hash_table_new(NULL, NULL);
    store->fd = store->barrier_fd = -1;
    g_queue_init(&store->queue);
    if (!socket_address || !notify_address(socket_address, &address, &length))
        return store;
    store->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (store->fd >= 0 &&
        connect(store->fd, (const struct sockaddr *)(const void *)&address, length) != 0) {
        (void)close(store->fd);
        store->fd = -1;
    }
    return store;
}

void fdstore_free(FdStore *store)
{
    if (!store)
        return;
    end_wait(store);
    deadline_source_clear(&store->writable);
    g_queue_clear_full(&store->queue, packet_free);
    g_hash_table_unref(store->alone);
    if (store->fd >= 0)
        (void)close(store->fd);
    g_free(store);
}

bool fdstore_is_group(const char *name)
{
    return name && strcmp(name, GROUP) == 0;
}

bool fdstore_index(const char *name, FdStoreKind kind, unsigned *ret_index)
{
    const char *prefix = PREFIXES[kind];
    guint64 index = 0;

    if (!name || !g_str_has_prefix(name, prefix) ||
        !g_ascii_string_to_unsigned(name + strlen(prefix), 10, 0, INDEX_MAX, &index, NULL))
        return false;
    *ret_index = (unsigned)index;
    return true;
}
