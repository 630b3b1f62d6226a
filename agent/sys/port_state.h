/*
 * port_state: a port and its peers, as port.c and the other port_*.c files see them.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "sys/port.h"
#include "sys/port_watch.h"

#include <sys/stat.h>

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
    gint64 fresh_us;    /* when bytes came last while nothing was queued */
    struct stat node;   /* the device as it was opened */
    /* listening methods */
    unsigned vsock_cid, vsock_port;
    bool handed_over, paused; /* by systemd: kept until port_free(); not accepting */
    GSource *rest_timer;      /* accept() failed for want of something */
    struct stat socket_node;  /* our socket in the file system; st_ino 0: none */
};
