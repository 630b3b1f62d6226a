/*
 * port: one channel's byte transport, from device or socket to peers.
 *
 * A Port stands for one [channel NAME] group. A PortPeer is one host connection on it: for the
 * serial methods the time between the host's open and close (at most one peer), for the listening
 * ones an accepted socket (at most PORT_PEERS_MAX). Bytes read are delivered at once; bytes sent
 * are written without waiting, what does not fit is queued up to PORT_QUEUE_MAX. A peer that lets
 * its queue overflow is dropped: it does not read.
 *
 * Everything runs on the default main context, never blocks, and wakes up only for events: a
 * virtio port is watched edge-triggered (it reports hang-up level-triggered while the host is
 * away), a port that vanished or is busy is reopened when inotify says that something changed.
 * Callbacks may call any function here, port_free() included.
 *
 * A hang-up and a new connection that both happen before the agent gets to run cannot be told
 * apart on a virtio port: the kernel reports states, not changes. Hosts send a sync for that.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "sys/port_peer.h"

#define PORT_PEERS_MAX 16u                /* clients at once on a listening channel */
#define PORT_READ_SIZE ((size_t)64 << 10) /* a dispatch reads at most four times */

typedef enum {
    PORT_VIRTIO_SERIAL,
    PORT_ISA_SERIAL,
    PORT_UNIX_LISTEN,
    PORT_VSOCK_LISTEN,
} PortMethod;

bool port_method_parse(const char *name, PortMethod *ret_method); /* "virtio-serial", … */
const char *port_method_name(PortMethod method);

/* `path`: device, socket path, or "CID:PORT" for vsock. `events` must outlive the port. Opens
 * nothing yet; a bad `path` is an error here. */
Port *port_new(const char *name, PortMethod method, const char *path, const PortEvents *events,
               gpointer user_data, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* A listening socket handed over by systemd (LISTEN_FDS); takes the fd over. The method follows
 * from its address family (AF_UNIX, AF_VSOCK); others are an error (the fd is closed). */
Port *port_new_from_fd(const char *name, int fd, const PortEvents *events, gpointer user_data,
                       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Before port_open(), serial methods: `fd` is the device as the program before this one had it
 * open; used instead of opening it if it is the one that `path` names, else closed. Takes the fd
 * over. */
void port_adopt(Port *port, int fd);
int port_device(const Port *port); /* what port_adopt() takes: the serial device's fd, or -1 */
void port_free(Port *port);        /* closes peers without callbacks; unlinks its own unix socket */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Port, port_free)

/* Opens or starts to listen; when that is not possible now, watches for the moment it is (serial
 * methods; true, state_changed says why) or returns the error (listening methods, or inotify
 * refused to watch: then it may be called again). */
bool port_open(Port *port, GError **error);
/* Closes device or listener and every peer (peer_closed is called); port_open() opens again. This
 * is how the agent tells the host NoGuestAgent. A listener from systemd stays, unattended. */
void port_close(Port *port);
bool port_is_open(const Port *port);
const char *port_name(const Port *port);
