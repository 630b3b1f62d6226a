/*
 * bus: the agent on the system bus: connects, takes the name org.quiesced, comes back.
 *
 * The agent is complete without a bus: it connects on the side, with a deadline, and when the bus
 * is not there or goes it tries again by itself: a few times soon, then when the socket of the bus
 * changes. All of that also while filesystems are frozen. Nothing waits for the bus.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "quiesce/coordinator.h"

#define BUS_NAME       "org.quiesced"
#define BUS_CONNECT_US (10 * USEC_PER_SEC) /* a bus that accepts and says nothing */
/* Tries after a failure: this long after it, then twice as long each, so many in all. */
#define BUS_RETRY_US  (100 * USEC_PER_MSEC)
#define BUS_RETRY_MAX 9u /* the last after 26 s: what restarts is back by then */

typedef struct Bus Bus;

Bus *bus_new(Log *log, Coordinator *coordinator, const Config *config);
/* After the coordinator is gone, or when it will not answer any more. NULL is fine. */
void bus_free(Bus *bus);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Bus, bus_free)
void bus_start(Bus *bus);
void bus_set_config(Bus *bus, const Config *config);
void bus_changed(Bus *bus); /* the coordinator's state, or whether it is ready */
bool bus_connected(const Bus *bus);
