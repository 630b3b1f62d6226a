/*
 * port_internal: what port.c, port_peer.c, port_serial.c and port_listen.c share. Nobody else
 * includes it but their tests.
 *
 * One private epoll per open port carries its device or listener (tag NULL; the listener
 * level-triggered) and the sockets of its peers (tag: the peer); all but the listener are
 * edge-triggered. One event is taken per dispatch, so no event outlives the peer it names. Whoever
 * calls a callback holds references and looks at `closed`, `freed` or `generation` afterwards.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "sys/port.h"
#include "sys/port_watch.h"

#include <sys/epoll.h>
#include <sys/stat.h>

#define PORT_READS       4u                /* reads per dispatch, then the others' turn */
#define PORT_WRITE_BURST ((size_t)1 << 20) /* bytes written per turn, for the same reason */
#define PORT_EDGES       (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP | EPOLLET)

typedef struct PortChunk PortChunk;

struct PortPeer {
    unsigned refs;
    Port *port;
    int fd;          /* its own socket (listening methods) or the port's device */
    bool closed;     /* no callback follows */
    bool read_ended; /* the other side sends no more */
    bool finishing;  /* port_peer_finish() was called */
    bool taking;     /* bytes were written since the finish timer last looked */
    char *doom;      /* why the main loop will close it; NULL: it lives */
    PortChunk *first, *last;
    size_t queued, peak;
    GSource *finish_timer;
    gpointer data;
};

struct Port {
    unsigned refs;
    char *name, *path;
    PortMethod method;
    const PortEvents *events;
    gpointer user_data;
    bool freed;          /* port_free() was called: no more callbacks */
    bool wanted;         /* port_open() was called, and port_close() not since */
    int fd;              /* device or listener, -1 */
    unsigned generation; /* counts closings of `fd` */
    int epoll_fd;
    GSource *epoll_source, *reap_source;
    GPtrArray *peers;
    /* serial methods */
    int adopted_fd; /* see port_adopt(); -1 */
    PortWatch *watch;
    GSource *retry_timer, *settle_timer;
    unsigned retry_step;
    int reported_errno; /* what state_changed(false) named last */
    bool await_data;    /* a peer was dropped: the next one begins with data */
    bool moved;         /* bytes came since the device was opened */
    struct stat node;   /* the device as it was opened */
    /* listening methods */
    unsigned vsock_cid, vsock_port;
    bool handed_over, paused; /* by systemd: kept until port_free(); not accepting */
    GSource *rest_timer;      /* accept() failed for want of something */
    struct stat socket_node;  /* our socket in the file system; st_ino 0: none */
};

/* port.c */
Port *port_ref(Port *port);
void port_unref(Port *port);
bool port_is_serial(const Port *port);
GSource *port_after(Port *port, unsigned milliseconds, GSourceFunc function, gpointer user_data);
void port_source_clear(GSource **source);
int port_epoll_start(Port *port); /* errno */
void port_epoll_stop(Port *port);
int port_arm(Port *port, int fd, PortPeer *tag, uint32_t events); /* errno */
void port_disarm(Port *port, int fd);
void port_rearm(Port *port, int fd, PortPeer *tag); /* have the present state told again */
void port_reap_later(Port *port);
void port_emit_state(Port *port, bool open, const GError *error);

/* port_peer.c */
/* Calls peer_opened; returns a reference, as that may have closed it. `fd`: see PortPeer. */
PortPeer *port_peer_open(Port *port, int fd) G_GNUC_WARN_UNUSED_RESULT;
PortPeer *port_peer_ref(PortPeer *peer);
void port_peer_unref(PortPeer *peer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PortPeer, port_peer_unref)
void port_peer_deliver(PortPeer *peer, const uint8_t *bytes, size_t count);
void port_peer_ended(PortPeer *peer); /* calls peer_eof */
void port_peer_flush(PortPeer *peer);
void port_peer_close(PortPeer *peer, const char *reason);

/* One dispatch's reading: a small buffer until there is evidence of more. */
typedef struct {
    uint8_t small[4096];
    uint8_t *large;
    unsigned reads;
    bool filled;
} PortReader;
/* Bytes read, 0 at the end, or a negative errno; -EINPROGRESS when this dispatch has had enough. */
ssize_t port_reader_next(PortReader *reader, int fd, const uint8_t **ret_bytes);
void port_reader_clear(PortReader *reader);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(PortReader, port_reader_clear)

/* port_serial.c */
bool port_serial_open(Port *port, GError **error);
void port_serial_close(Port *port);
void port_serial_disown(Port *port); /* an adopted device that was not used */
void port_serial_ready(Port *port, uint32_t events);

/* port_listen.c */
bool port_listen_check(Port *port, GError **error); /* the path */
bool port_listen_adopt(Port *port, int fd, GError **error);
bool port_listen_open(Port *port, GError **error);
void port_listen_close(Port *port);
void port_listen_ready(Port *port);
void port_listen_resume(Port *port); /* a peer left */
bool port_vsock_trusts(unsigned cid, unsigned port);
void port_socket_ready(PortPeer *peer, uint32_t events);
