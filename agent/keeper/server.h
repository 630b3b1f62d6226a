/*
 * server: the keeper's one object, shared by loop.c (events), serve.c (messages) and operation.c
 * (what is held). All of it belongs to the main thread; the Hold is shared with the workers under
 * the pool's lock.
 *
 *   NONE ──ARM──► COLLECTING ──all fds──► STARTING ──workers──► ARMED ──DISARM, EOF──► ENDING ──►
 * NONE
 *
 * ENDING releases what is held, waits for calls in the kernel and for the workers to end. A service
 * may connect meanwhile and gets its HELLO; its other messages are read when all that is over.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "keeper/memory.h"
#include "keeper/worker.h"

/* Answers waiting for a service that does not read (reports wait in the Hold); more are dropped. */
#define SERVER_ANSWERS_MAX 64u
/* A longer frozen limit is an error of the service's. */
#define SERVER_LIMIT_MAX_US (INT64_C(86400) * 1000000)
/* Messages read in a row, then it is the others' turn. */
#define SERVER_READS 64u

typedef enum { OP_NONE, OP_COLLECTING, OP_STARTING, OP_ARMED, OP_ENDING } OperationState;

typedef struct {
    const KeeperOps *ops;
    int epoll_fd, listen_fd, socket_fd, event_fd, signal_fd, tick_fd, limit_fd; /* -1: none */
    bool hello;             /* the service said HELLO */
    uint32_t socket_events; /* what epoll watches the socket for */
    bool blocked;           /* the socket is full */
    bool stopping;          /* SIGTERM */
    bool served;            /* a service left since the program was last looked at */
    unsigned silent_ticks;
    int64_t limit_at_us;
    bool limit_extended;
    KeeperMessage answers[SERVER_ANSWERS_MAX];
    unsigned n_answers;

    OperationState state;
    bool arm_refused;   /* the rest of the FILESYSTEMs of a refused ARM goes by in silence */
    bool tell_disarmed; /* when ENDING is over */
    bool pool_stopped;
    bool orphaned; /* its service is gone: its reports are not for the next one */
    uint32_t count, received;
    void *memory; /* entries, order, keep */
    size_t memory_size;
    HoldEntry *entries;
    uint32_t *order;
    int *keep;
    KeeperLedgerHeader *ledger;
    Pool pool;
    Hold hold;
} Server;

/* loop.c. `listening`: `fd` is a listening socket, else a connected one. Returns when there is
 * nothing more to do and nothing is held: the exit status. */
int server_run(int fd, bool listening);
void server_disconnect(Server *server);

/* serve.c */
bool serve_may_read(const Server *server);
void serve_read(Server *server);
void serve_answer(Server *server, const KeeperMessage *answer);
void serve_flush(Server *server);
