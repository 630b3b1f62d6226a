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

#include "sys/port_state.h"

#include <sys/epoll.h>

#define PORT_WRITE_BURST ((size_t)1 << 20) /* bytes written per turn, then the others' */
#define PORT_EDGES       (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP | EPOLLET)

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
void port_peer_ended(PortPeer *peer);  /* calls peer_eof */
bool port_peer_parted(PortPeer *peer); /* calls peer_parted; true: something is to be sent */
void port_peer_flush(PortPeer *peer);
void port_peer_close(PortPeer *peer, const char *reason);

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
