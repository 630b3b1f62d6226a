/*
 * port_events: what a port tells its owner. A callback not wanted may be NULL.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Port Port;
typedef struct PortPeer PortPeer;

typedef struct {
    /* A host is there. `peer` stays valid until peer_closed returns. */
    void (*peer_opened)(Port *port, PortPeer *peer, gpointer user_data);
    void (*peer_data)(PortPeer *peer, const uint8_t *bytes, size_t count, gpointer user_data);
    /* Serial methods: the host closed its side; what it sent just before may have been the next
     * host's, as the kernel tells of data sooner. Forget what is half received; true: answers are
     * owed, so the peer may go on if a host is there soon. NULL: none are, but for what is queued.
     */
    bool (*peer_parted)(PortPeer *peer, gpointer user_data);
    /* `reason` is for the log: "hang-up", "end of file", "queue overflow", … */
    void (*peer_closed)(PortPeer *peer, const char *reason, gpointer user_data);
    /* The port became usable or unusable (unplugged, busy, cannot be opened: `error` says why).
     * Also from within port_open(); not for port_close(). */
    void (*state_changed)(Port *port, bool open, const GError *error, gpointer user_data);
    /* Listening methods: the client will send no more (`printf … | socat`) but still reads. The
     * owner answers what it was asked and then calls port_peer_finish(). NULL: finished at once,
     * so that replies not yet sent are lost. A client that closed altogether gets peer_closed. */
    void (*peer_eof)(PortPeer *peer, gpointer user_data);
} PortEvents;
