/*
 * worker: see worker.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "keeper/worker.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STACK_SIZE ((size_t)1 << 20)
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define STACK_SIZE ((size_t)1 << 20)
#endif
#endif
#ifndef STACK_SIZE
#define STACK_SIZE ((size_t)32 << 10) /* guard page included; about 4 KiB of it are used */
#endif
#define STACK_TOUCH  ((size_t)8 << 10) /* what a worker uses is there before anything is frozen */
#define RELIEF_ROUND 64u               /* threads more at a time */

int64_t keeper_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void pool_init(Pool *pool, const KeeperOps *ops, int event_fd)
{
    *pool = (Pool){.ops = ops, .event_fd = event_fd};
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
}

void pool_lock(Pool *pool)
{
    pthread_mutex_lock(&pool->lock);
}

void pool_unlock(Pool *pool)
{
    pthread_mutex_unlock(&pool->lock);
}

static void tell_loop(const Pool *pool)
{
    (void)eventfd_write(pool->event_fd, 1);
}

static void close_all_but(const int *keep, unsigned n_keep)
{
    unsigned from = 0;

    for (unsigned i = 0; i < n_keep; i++) {
        if ((unsigned)keep[i] > from)
            (void)close_range(from, (unsigned)keep[i] - 1, 0);
        from = (unsigned)keep[i] + 1;
    }
    (void)close_range(from, UINT_MAX, 0);
}

static void touch_stack(void)
{
    char bytes[STACK_TOUCH];

    explicit_bzero(bytes, sizeof bytes);
}

/* The clock is read at both ends of the call itself, without the lock. */
static int make_call(const Pool *pool, const HoldJob *job)
{
    switch (job->kind) {
    case JOB_SYNC:
        return pool->ops->sync(job->fd);
    case JOB_FREEZE:
        return pool->ops->freeze(job->fd);
    case JOB_THAW:
        return pool->ops->thaw(job->fd);
    }
    return EINVAL;
}

/* Lock held at entry and exit, not in between. */
static void work(Pool *pool, HoldJob job)
{
    bool again = true;

    if (pool->idle > 0 && hold_runnable(pool->hold, keeper_now()))
        pthread_cond_signal(&pool->wake);
    while (again) {
        int64_t start_us;
        int error_number;

        pool_unlock(pool);
        start_us = keeper_now();
        error_number = make_call(pool, &job);
        pool_lock(pool);
        again = hold_done(pool->hold, &job, error_number, start_us, keeper_now());
        tell_loop(pool);
    }
}

static int begin_thread(Pool *pool)
{
    if (unshare(CLONE_FILES) != 0)
        return errno;
    close_all_but(pool->keep, pool->n_keep);
    touch_stack();
    return 0;
}

static void *worker_main(void *data)
{
    Pool *pool = data;
    HoldJob job;
    int error_number = begin_thread(pool);

    pool_lock(pool);
    pool->ready++;
    if (error_number)
        pool->error = error_number;
    tell_loop(pool);
    while (!pool->quit) {
        if (hold_take(pool->hold, keeper_now(), &job)) {
            work(pool, job);
            continue;
        }
        /* Looking for a job may have ended a phase. */
        tell_loop(pool);
        pool->idle++;
        pthread_cond_wait(&pool->wake, &pool->lock);
        pool->idle--;
    }
    /* Without a table of its own it would close the loop's. The filesystems' fds are closed here
     * and not by the kernel some time after the thread: once it is gone they can be unmounted. */
    if (error_number == 0)
        close_all_but(&pool->event_fd, 1);
    pool->gone++;
    tell_loop(pool);
    pool_unlock(pool);
    return NULL;
}

/* Lock held. */
static int start_threads(Pool *pool, unsigned count)
{
    size_t smallest = (size_t)sysconf(_SC_THREAD_STACK_MIN) + STACK_TOUCH;
    pthread_attr_t attributes;
    pthread_t thread;
    int error_number = 0;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, smallest > STACK_SIZE ? smallest : STACK_SIZE);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    for (unsigned i = 0; i < count && error_number == 0; i++) {
        error_number = pthread_create(&thread, &attributes, worker_main, pool);
        pool->started += error_number == 0;
    }
    pthread_attr_destroy(&attributes);
    return error_number;
}

int pool_start(Pool *pool, Hold *hold, const int *keep, unsigned n_keep)
{
    unsigned slow = hold->count < HOLD_SLOW_MAX ? hold->count : HOLD_SLOW_MAX;
    unsigned thaw = hold->count < HOLD_THAW_KEPT ? hold->count : HOLD_THAW_KEPT;
    int error_number;

    pool_lock(pool);
    pool->hold = hold;
    pool->keep = keep;
    pool->n_keep = n_keep;
    pool->started = pool->ready = pool->gone = pool->idle = 0;
    pool->error = 0;
    pool->quit = false;
    error_number = start_threads(pool, slow + thaw);
    pool_unlock(pool);
    return error_number;
}

bool pool_ready(Pool *pool, int *ret_error)
{
    bool ready;

    pool_lock(pool);
    ready = pool->ready == pool->started;
    *ret_error = pool->error;
    pool_unlock(pool);
    return ready;
}

void pool_stop(Pool *pool)
{
    pool_lock(pool);
    pool->quit = true;
    pthread_cond_broadcast(&pool->wake);
    pool_unlock(pool);
}

bool pool_gone(Pool *pool)
{
    bool gone;

    pool_lock(pool);
    gone = pool->gone == pool->started;
    pool_unlock(pool);
    return gone;
}

void pool_kick(Pool *pool, int64_t now_us)
{
    if (hold_runnable(pool->hold, now_us))
        pthread_cond_signal(&pool->wake);
}

void pool_relieve(Pool *pool, int64_t now_us)
{
    unsigned waiting = pool->hold->thaw_left + pool->hold->unthawed;

    if (pool->idle == 0 && pool->ready == pool->started && hold_starved(pool->hold, now_us))
        (void)start_threads(pool, waiting < RELIEF_ROUND ? waiting : RELIEF_ROUND);
}
