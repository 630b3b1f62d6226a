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
#include <sys/mman.h>
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
    case JOB_COMMIT:
        return pool->ops->commit(job->fd);
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

static int own_table(const Pool *pool)
{
    if (unshare(CLONE_FILES) != 0)
        return errno;
    close_all_but(pool->keep, pool->n_keep);
    return 0;
}

/* Lock held at entry and exit. */
static void serve(Pool *pool)
{
    HoldJob job;

    pool->ready++;
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
}

/* Lock held. The filesystems' fds are closed here and not by the kernel some time after the last
 * thread: once that is gone they can be unmounted. */
static void leave(Pool *pool, bool last_of_table)
{
    if (last_of_table)
        close_all_but(&pool->event_fd, 1);
    pool->gone++;
    tell_loop(pool);
}

static void *worker_main(void *data)
{
    Pool *pool = data;

    touch_stack();
    pool_lock(pool);
    pool->sharing++;
    serve(pool);
    leave(pool, --pool->sharing == 0);
    pool_unlock(pool);
    return NULL;
}

static int start_worker(Pool *pool);

/* The first worker: what it begins has its fd table. */
static void *first_main(void *data)
{
    Pool *pool = data;
    int error_number = own_table(pool);

    touch_stack();
    pool_lock(pool);
    pool->sharing++;
    pool->error = error_number;
    while (pool->error == 0 && !pool->quit && pool->started < pool->wanted)
        pool->error = start_worker(pool);
    pool->wanted = pool->started;
    serve(pool);
    /* Without a table of its own it would close the loop's. */
    leave(pool, --pool->sharing == 0 && error_number == 0);
    pool_unlock(pool);
    return NULL;
}

static void *relief_main(void *data)
{
    Pool *pool = data;
    bool own = own_table(pool) == 0;

    touch_stack();
    pool_lock(pool);
    serve(pool);
    leave(pool, own);
    pool_unlock(pool);
    return NULL;
}

static size_t stack_size(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t smallest = page + (size_t)sysconf(_SC_THREAD_STACK_MIN) + STACK_TOUCH;

    smallest = (smallest + page - 1) / page * page;
    return smallest > STACK_SIZE ? smallest : STACK_SIZE;
}

/* The C library keeps the stacks of ended threads, and what was touched of them, for good: the
 * stacks are ours. */
static int map_stacks(Pool *pool, unsigned count)
{
    char *stacks = NULL;

    pool->stacks_size = count * stack_size();
    stacks = mmap(NULL, pool->stacks_size, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
    if (stacks == MAP_FAILED)
        return errno;
    pool->stacks = stacks;
    for (unsigned i = 0; i < count; i++)
        (void)mprotect(stacks + i * stack_size(), (size_t)sysconf(_SC_PAGESIZE), PROT_NONE);
    return 0;
}

/* Lock held. The next of the mapped stacks. */
static int start_worker(Pool *pool)
{
    size_t guard = (size_t)sysconf(_SC_PAGESIZE);
    char *stack = pool->stacks + pool->n_threads * stack_size();
    pthread_attr_t attributes;
    int error_number;

    pthread_attr_init(&attributes);
    error_number = pthread_attr_setstack(&attributes, stack + guard, stack_size() - guard);
    if (error_number == 0)
        error_number = pthread_create(&pool->threads[pool->n_threads], &attributes,
                                      pool->n_threads == 0 ? first_main : worker_main, pool);
    pthread_attr_destroy(&attributes);
    pool->n_threads += error_number == 0;
    pool->started += error_number == 0;
    return error_number;
}

/* Lock held. Their stacks are the C library's. */
static void start_relief(Pool *pool, unsigned count)
{
    pthread_attr_t attributes;
    pthread_t thread;
    int error_number = 0;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, stack_size());
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    for (unsigned i = 0; i < count && error_number == 0; i++) {
        error_number = pthread_create(&thread, &attributes, relief_main, pool);
        pool->wanted += error_number == 0;
        pool->started += error_number == 0;
    }
    pthread_attr_destroy(&attributes);
}

int pool_start(Pool *pool, Hold *hold, const int *keep, unsigned n_keep)
{
    unsigned slow = hold->count < HOLD_SLOW_MAX ? hold->count : HOLD_SLOW_MAX;
    unsigned thaw = hold->count < HOLD_THAW_KEPT ? hold->count : HOLD_THAW_KEPT;
    int error_number = 0;

    pool_lock(pool);
    pool->hold = hold;
    pool->keep = keep;
    pool->n_keep = n_keep;
    pool->started = pool->ready = pool->gone = pool->idle = pool->sharing = 0;
    pool->wanted = slow + thaw;
    pool->error = 0;
    pool->quit = false;
    if (pool->wanted > 0)
        error_number = map_stacks(pool, pool->wanted);
    if (pool->wanted > 0 && error_number == 0)
        error_number = start_worker(pool);
    if (error_number)
        pool->wanted = 0;
    pool_unlock(pool);
    return error_number;
}

bool pool_ready(Pool *pool, int *ret_error)
{
    bool ready;

    pool_lock(pool);
    ready = pool->ready == pool->wanted;
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

void pool_clear(Pool *pool)
{
    for (unsigned i = 0; i < pool->n_threads; i++)
        (void)pthread_join(pool->threads[i], NULL);
    pool->n_threads = 0;
    if (pool->stacks)
        (void)munmap(pool->stacks, pool->stacks_size);
    pool->stacks = NULL;
}

void pool_abandon(Pool *pool)
{
    for (unsigned i = 0; i < pool->n_threads; i++)
        (void)pthread_detach(pool->threads[i]);
    pool->n_threads = 0;
}

void pool_kick(Pool *pool, int64_t now_us)
{
    if (hold_runnable(pool->hold, now_us))
        pthread_cond_signal(&pool->wake);
}

void pool_relieve(Pool *pool, int64_t now_us)
{
    unsigned waiting = pool->hold->thaw_left + pool->hold->unthawed;

    if (pool->idle == 0 && pool->ready == pool->wanted && hold_starved(pool->hold, now_us))
        start_relief(pool, waiting < RELIEF_ROUND ? waiting : RELIEF_ROUND);
}
