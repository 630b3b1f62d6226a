/*
 * worker: the threads that make the calls which may never return.
 *
 * Started by pool_start() when all fds have arrived, ended by pool_stop() when none is in a call.
 * They have an fd table apart from the loop's (unshare(CLONE_FILES)) with the filesystems and the
 * event fd in it and nothing else, so that one stuck in D neither keeps the service's socket open
 * after the keeper was killed nor a fd that the loop has closed. One table for all of them: the
 * first worker makes it and begins the others. With one each, a hundred filesystems would be closed
 * by dozens of dying threads before the service hears of the keeper's death. The loop never waits
 * for them: they write to `event_fd` when there is something to report.
 *
 * The pool's lock guards the Hold. It is never held across a call that may wait.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "keeper/hold.h"
#include "keeper/ops.h"
#include <pthread.h>

/* The most that begin; see pool_relieve() for when all of them are stuck. */
#define KEEPER_WORKERS (HOLD_SLOW_MAX + HOLD_THAW_KEPT)

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    const KeeperOps *ops;
    Hold *hold;
    const int *keep; /* ascending: what a worker's fd table keeps */
    unsigned n_keep;
    int event_fd;
    unsigned started, ready, gone; /* threads */
    unsigned wanted, sharing;      /* to begin in all; those with the common fd table */
    unsigned idle;
    int error; /* of a worker that could not begin */
    bool quit;
    pthread_t threads[KEEPER_WORKERS]; /* those of pool_start() */
    unsigned n_threads;
    char *stacks; /* of them, one mapping */
    size_t stacks_size;
} Pool;

void pool_init(Pool *pool, const KeeperOps *ops, int event_fd);

/* `keep` has the filesystems' fds and event_fd, ascending, and stays valid until pool_gone().
 * Returns an errno value; the loop goes on when pool_ready() says so. */
int pool_start(Pool *pool, Hold *hold, const int *keep, unsigned n_keep);
bool pool_ready(Pool *pool, int *ret_error); /* all threads are there, or one failed to begin */
void pool_stop(Pool *pool);                  /* idle workers end */
bool pool_gone(Pool *pool);                  /* none is left that could touch an fd or the Hold */
/* After pool_gone(): gives back the stacks. Waits for the threads' last instructions, which wait
 * for nothing. */
void pool_clear(Pool *pool);
void pool_abandon(Pool *pool); /* instead of it when the process ends: one may be stuck */

void pool_lock(Pool *pool);
void pool_unlock(Pool *pool);
void pool_kick(Pool *pool, int64_t now_us); /* lock held; has the next job begun */
/* Lock held. Thaws wait and no worker is free: starts more threads, so that filesystems on one dead
 * device cannot hold up the thaw of all others. */
void pool_relieve(Pool *pool, int64_t now_us);

int64_t keeper_now(void); /* CLOCK_MONOTONIC, microseconds */
