/*
 * port_peer: one connection's output queue and its end. See port.h.
 *
 * What write() does not take is kept in a chain of chunks: small replies fill the last chunk up, so
 * that a flood of them costs what it counts, and nothing is ever moved in memory. Peers are closed
 * from the main loop when their owner caused it (overflow, a failed write, finish), so that no
 * callback runs inside port_peer_send().
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/port_internal.h"
#include "sys/port_reader.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHUNK_SIZE ((size_t)4080 - sizeof(PortChunk)) /* with malloc's own share one page */
#define TAKE_SIZE  ((size_t)64 << 10) /* what is smaller costs less to copy than to keep */
#define TRIM_SIZE                                                                                  \
    ((size_t)1 << 20) /* a queue that was longer gives its memory back to the system */

struct PortChunk {
    PortChunk *next;
    size_t start, end, size;
    uint8_t *taken; /* malloc'ed; the bytes are there instead of here */
    uint8_t bytes[];
};

PortPeer *port_peer_ref(PortPeer *peer)
{
    peer->refs++;
    return peer;
}

void port_peer_unref(PortPeer *peer)
{
    if (!peer || --peer->refs > 0)
        return;
    g_free(peer->doom);
    g_free(peer);
}

PortPeer *port_peer_open(Port *port, int fd)
{
    PortPeer *peer = g_new0(PortPeer, 1);

    peer->refs = 1;
    peer->port = port;
    peer->fd = fd;
    g_ptr_array_add(port->peers, port_peer_ref(peer));
    if (port->events->peer_opened && !port->freed)
        port->events->peer_opened(port, peer, port->user_data);
    return peer;
}

static void chunk_free(PortChunk *chunk)
{
    free(chunk->taken);
    g_free(chunk);
}

static const uint8_t *chunk_bytes(const PortChunk *chunk)
{
    return chunk->taken ? chunk->taken : chunk->bytes;
}

static void queue_clear(PortPeer *peer)
{
    while (peer->first) {
        PortChunk *chunk = peer->first;

        peer->first = chunk->next;
        chunk_free(chunk);
    }
    peer->last = NULL;
    peer->queued = 0;
    if (peer->peak > TRIM_SIZE)
        malloc_trim(0);
    peer->peak = 0;
}

static void queue_link(PortPeer *peer, PortChunk *chunk)
{
    if (peer->last)
        peer->last->next = chunk;
    else
        peer->first = chunk;
    peer->last = chunk;
}

static void queue_count(PortPeer *peer, size_t count)
{
    peer->queued += count;
    peer->peak = MAX(peer->peak, peer->queued);
}

/* What is left of `bytes` after `done`. */
static void queue_take(PortPeer *peer, uint8_t *bytes, size_t done, size_t count)
{
    PortChunk *chunk = g_malloc(sizeof(*chunk));

    *chunk = (PortChunk){.start = done, .end = count, .size = count, .taken = bytes};
    queue_count(peer, count - done);
    queue_link(peer, chunk);
}

static void queue_append(PortPeer *peer, const uint8_t *bytes, size_t count)
{
    PortChunk *chunk = peer->last;
    size_t part = chunk ? MIN(count, chunk->size - chunk->end) : 0;

    queue_count(peer, count);
    if (part > 0) {
        memcpy(chunk->bytes + chunk->end, bytes, part);
        chunk->end += part;
    }
    if (part == count)
        return;
    count -= part;
    chunk = g_malloc(sizeof(*chunk) + MAX(count, CHUNK_SIZE));
    *chunk = (PortChunk){.end = count, .size = MAX(count, CHUNK_SIZE)};
    memcpy(chunk->bytes, bytes + part, count);
    queue_link(peer, chunk);
}

/* The main loop closes it. What is queued will never be written. */
static void peer_doom(PortPeer *peer, const char *reason)
{
    if (peer->doom || peer->closed)
        return;
    peer->doom = g_strdup(reason);
    queue_clear(peer);
    port_reap_later(peer->port);
}

static void peer_write_failed(PortPeer *peer, int code)
{
    g_autofree char *reason = NULL;

    if (code == EPIPE || code == ECONNRESET)
        reason = g_strdup("hang-up");
    else
        reason = g_strdup_printf("write failed: %s", g_strerror(code));
    peer_doom(peer, reason);
    /* A device that is gone says so when it is read. */
    if (port_is_serial(peer->port))
        port_rearm(peer->port, peer->fd, NULL);
}

/* Writes until the other side takes no more or it is others' turn. Returns the bytes written. */
static size_t peer_write(PortPeer *peer, const uint8_t *bytes, size_t count, size_t *budget)
{
    bool serial = port_is_serial(peer->port);
    size_t done = 0;

    while (done < count) {
        size_t part = MIN(count - done, *budget);
        ssize_t result;

        if (part == 0) {
            port_rearm(peer->port, peer->fd, serial ? NULL : peer);
            break;
        }
        result = serial ? write(peer->fd, bytes + done, part)
                        : send(peer->fd, bytes + done, part, MSG_NOSIGNAL);
        if (result < 0 && errno == EINTR)
            continue;
        /* The edge of EPOLLOUT tells when to go on. */
        if (result == 0 || (result < 0 && errno == EAGAIN))
            break;
        if (result < 0) {
            peer_write_failed(peer, errno);
            break;
        }
        done += (size_t)result;
        *budget -= (size_t)result;
    }
    peer->taking |= done > 0;
    return done;
}

static void peer_finish_if_flushed(PortPeer *peer)
{
    if (peer->finishing && peer->queued == 0)
        peer_doom(peer, peer->read_ended ? "end of file" : "finished");
}

void port_peer_flush(PortPeer *peer)
{
    size_t budget = PORT_WRITE_BURST;

    while (peer->first && !peer->closed && !peer->doom) {
        PortChunk *chunk = peer->first;
        size_t count = chunk->end - chunk->start;
        size_t done = peer_write(peer, chunk_bytes(chunk) + chunk->start, count, &budget);

        if (peer->doom)
            return;
        chunk->start += done;
        peer->queued -= done;
        if (done < count)
            return;
        if (peer->queued == 0) {
            queue_clear(peer);
            break;
        }
        peer->first = chunk->next;
        chunk_free(chunk);
    }
    peer_finish_if_flushed(peer);
}

/* Writes what is taken now. False: nothing more is to be sent. */
static bool send_now(PortPeer *peer, const uint8_t *bytes, size_t count, size_t *ret_done)
{
    size_t budget = PORT_WRITE_BURST;

    *ret_done = 0;
    if (peer->closed || peer->doom || peer->finishing)
        return false;
    if (!peer->first)
        *ret_done = peer_write(peer, bytes, count, &budget);
    if (peer->doom)
        return false;
    if (count - *ret_done > PORT_QUEUE_MAX - peer->queued) {
        peer_doom(peer, "queue overflow");
        return false;
    }
    return true;
}

bool port_peer_send(PortPeer *peer, const void *bytes, size_t count)
{
    size_t done = 0;

    if (!send_now(peer, bytes, count, &done))
        return false;
    if (done < count)
        queue_append(peer, (const uint8_t *)bytes + done, count - done);
    return true;
}

bool port_peer_send_taken(PortPeer *peer, void *bytes, size_t count)
{
    size_t done = 0;
    bool good = send_now(peer, bytes, count, &done);

    if (good && count - done >= TAKE_SIZE) {
        queue_take(peer, bytes, done, count);
        return true;
    }
    if (good && done < count)
        queue_append(peer, (const uint8_t *)bytes + done, count - done);
    free(bytes);
    return good;
}

static gboolean finish_overdue(gpointer user_data)
{
    PortPeer *peer = user_data;

    if (peer->taking) {
        peer->taking = false;
        return G_SOURCE_CONTINUE;
    }
    peer_doom(peer, "takes nothing more");
    port_source_clear(&peer->finish_timer);
    return G_SOURCE_REMOVE;
}

void port_peer_finish(PortPeer *peer)
{
    if (peer->closed || peer->finishing)
        return;
    peer->finishing = true;
    peer->taking = false;
    peer_finish_if_flushed(peer);
    if (!peer->doom)
        peer->finish_timer =
            port_after(peer->port, PORT_FINISH_SECONDS * 1000, finish_overdue, peer);
}

void port_peer_deliver(PortPeer *peer, const uint8_t *bytes, size_t count)
{
    Port *port = peer->port;

    if (port->events->peer_data && !peer->closed)
        port->events->peer_data(peer, bytes, count, port->user_data);
}

void port_peer_ended(PortPeer *peer)
{
    Port *port = peer->port;

    peer->read_ended = true;
    if (!port->events->peer_eof)
        port_peer_finish(peer);
    else if (!peer->closed)
        port->events->peer_eof(peer, port->user_data);
}

bool port_peer_parted(PortPeer *peer)
{
    Port *port = peer->port;
    bool owed = port->events->peer_parted && !peer->closed && !port->freed &&
                port->events->peer_parted(peer, port->user_data);

    return owed || peer->queued > 0;
}

void port_peer_close(PortPeer *peer, const char *reason)
{
    Port *port = peer->port;
    g_autoptr(PortPeer) held = NULL;

    if (peer->closed)
        return;
    held = port_peer_ref(peer);
    peer->closed = true;
    port_source_clear(&peer->finish_timer);
    queue_clear(peer);
    if (!port_is_serial(port)) {
        port_disarm(port, peer->fd);
        close(peer->fd);
    }
    peer->fd = -1;
    g_ptr_array_remove(port->peers, peer);
    if (port->events->peer_closed && !port->freed)
        port->events->peer_closed(peer, reason, port->user_data);
    if (!port_is_serial(port))
        port_listen_resume(port);
}

size_t port_peer_queued(const PortPeer *peer)
{
    return peer->queued;
}

void port_peer_set_data(PortPeer *peer, gpointer data)
{
    peer->data = data;
}

gpointer port_peer_data(const PortPeer *peer)
{
    return peer->data;
}

Port *port_peer_port(const PortPeer *peer)
{
    return peer->port;
}

ssize_t port_reader_next(PortReader *reader, int fd, const uint8_t **ret_bytes)
{
    size_t size = sizeof(reader->small);
    uint8_t *buffer = reader->small;
    ssize_t count;

    if (reader->reads == PORT_READS)
        return -EINPROGRESS;
    if (reader->filled) {
        size = PORT_READ_SIZE;
        if (!reader->large)
            reader->large = g_malloc(size);
        buffer = reader->large;
    }
    do {
        count = read(fd, buffer, size);
    } while (count < 0 && errno == EINTR);
    reader->reads++;
    reader->filled = count == (ssize_t)size;
    *ret_bytes = buffer;
    return count < 0 ? -errno : count;
}

void port_reader_clear(PortReader *reader)
{
    g_free(reader->large);
}
