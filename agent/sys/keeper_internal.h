/*
 * keeper_internal: what keeper.c (messages) and keeper_connect.c (getting a connection) share.
 *
 * References: one of the owner's until keeper_free(), one for the time of a dispatch, one of a
 * spawn under way. Whoever calls an event looks at `freed` and `link` afterwards; `link` counts
 * connections, so that nobody reads on from one that ended.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "sys/keeper.h"

struct Keeper {
    unsigned refs;
    bool freed;
    char *socket_path, *program;
    const KeeperEvents *events;
    gpointer user_data;

    int fd; /* -1: not connected */
    unsigned link;
    bool ready; /* HELLO was exchanged */
    int64_t ready_us;
    bool arm_sent;       /* ARM was, DISARM was not */
    uint32_t pending;    /* calls that the keeper still has of a service before, by its HELLO */
    uint32_t pid;        /* of the keeper connected to */
    int pidfd;           /* of the keeper connected to; -1: none */
    GArray *leaving;     /* int: pidfds of those before it that are not gone yet */
    unsigned unanswered; /* BEATs in a row without any message */
    int64_t asked_us;    /* since when keeper_is_idle() has no answer; 0: it has */
    char *reason;        /* why not ready */
    char *doom;          /* why the main loop will drop the connection */
    GQueue queue;        /* of KeeperPacket */
    GSource *read_source, *write_source, *beat_source, *doom_source;

    bool wanted; /* keeper_connect() was called */
    bool spawning;
    unsigned failures; /* connections in a row that failed or did not last */
    GSource *retry_timer, *inotify_source;
    int inotify_fd, inotify_id;
};

Keeper *keeper_ref(Keeper *keeper);
void keeper_unref(Keeper *keeper);

void keeper_set_reason(Keeper *keeper, const char *format, ...) G_GNUC_PRINTF(2, 3);
void keeper_linked(Keeper *keeper, int fd); /* connected; owns fd; sends HELLO */
void keeper_again(Keeper *keeper);          /* the connection ended: get another one */
void keeper_connect_clear(Keeper *keeper);
