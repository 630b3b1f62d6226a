/*
 * port_peer: what the owner of a port does with one connection on it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "sys/port_events.h"

#define PORT_QUEUE_MAX      ((size_t)72 << 20) /* for one peer; a 48 MiB file read fits */
#define PORT_FINISH_SECONDS 30u                /* a finished peer that takes nothing goes then */

/* Queues bytes. False: the peer overflowed or hung up and will be closed from the main loop, or it
 * was finished or closed already. */
bool port_peer_send(PortPeer *peer, const void *bytes, size_t count);
/* The same with malloc'ed bytes that are taken over, and so need no copy. */
bool port_peer_send_taken(PortPeer *peer, void *bytes, size_t count);
/* Nothing more will be sent and nothing more is read: closes the peer from the main loop once what
 * is queued has been written (or nothing was taken for PORT_FINISH_SECONDS). */
void port_peer_finish(PortPeer *peer);
size_t port_peer_queued(const PortPeer *peer);
void port_peer_set_data(PortPeer *peer, gpointer data); /* the owner's session; not freed here */
gpointer port_peer_data(const PortPeer *peer);
Port *port_peer_port(const PortPeer *peer);
