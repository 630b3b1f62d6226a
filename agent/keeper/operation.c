/*
 * operation: see server.h. From ARM to its end; all that is allocated is allocated here.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "keeper/operation.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <unistd.h>

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

static void set_timer(int fd, int64_t first_us, int64_t every_us, int flags)
{
    const struct itimerspec spec = {
        .it_value = {first_us / 1000000, first_us % 1000000 * 1000},
        .it_interval = {every_us / 1000000, every_us % 1000000 * 1000},
    };

    (void)timerfd_settime(fd, flags, &spec, NULL);
}

static void tell(Server *server, KeeperMessageType type)
{
    const KeeperMessage answer = {.type = type, .version = KEEPER_VERSION, .count = server->count};

    serve_answer(server, &answer);
}

/* No worker is left: nobody but the loop touches any of this. */
static void forget(Server *server)
{
    set_timer(server->tick_fd, 0, 0, 0);
    set_timer(server->limit_fd, 0, 0, 0);
    pool_clear(&server->pool);
    for (uint32_t i = 0; i < server->count; i++)
        if (server->entries[i].fd >= 0)
            (void)close(server->entries[i].fd);
    memory_unlock();
    memory_ledger_end();
    memory_free(server->memory, server->memory_size);
    server->memory = NULL;
    server->entries = NULL;
    server->ledger = NULL;
    server->count = 0;
    server->hold = (Hold){0};
    server->pool.hold = NULL;
    server->state = OP_NONE;
    server->pool_stopped = server->orphaned = false;
    (void)prctl(PR_SET_IO_FLUSHER, 0, 0, 0, 0);
    (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    if (server->tell_disarmed)
        tell(server, KEEPER_DISARMED);
    server->tell_disarmed = false;
}

static int lay_out(Server *server, uint32_t count)
{
    server->memory_size =
        count * (sizeof(HoldEntry) + sizeof(uint32_t)) + (count + 1) * sizeof(int);
    server->memory = memory_new(server->memory_size);
    if (!server->memory)
        return errno;
    server->entries = server->memory;
    server->order = (uint32_t *)(void *)(server->entries + count);
    server->keep = (int *)(void *)(server->order + count);
    for (uint32_t i = 0; i < count; i++)
        server->entries[i].fd = -1;
    server->count = count;
    server->received = 0;
    return 0;
}

/* What a worker keeps, ascending. */
static unsigned list_kept(Server *server)
{
    unsigned n = 0;

    for (uint32_t i = 0; i <= server->count; i++) {
        int fd = i < server->count ? server->entries[i].fd : server->event_fd;
        unsigned at = n++;

        for (; at > 0 && server->keep[at - 1] > fd; at--)
            server->keep[at] = server->keep[at - 1];
        server->keep[at] = fd;
    }
    return n;
}

static int start(Server *server)
{
    unsigned n_kept = list_kept(server);
    int error_number;

    hold_init(&server->hold, server->entries, server->order, server->count,
              memory_ledger_filesystems(server->ledger));
    __atomic_store_n(&server->ledger->keeper_pid, (uint32_t)getpid(), __ATOMIC_RELEASE);
    server->state = OP_STARTING;
    error_number = pool_start(&server->pool, &server->hold, server->keep, n_kept);
    if (error_number)
        operation_end(server, KEEPER_CAUSE_REQUEST);
    return error_number;
}

int operation_arm(Server *server, uint32_t count, int ledger_fd)
{
    int error_number = 0;

    if (server->state != OP_NONE)
        error_number = EBUSY;
    else if (ledger_fd < 0)
        error_number = EBADF;
    else if (count > KEEPER_FILESYSTEMS_MAX)
        error_number = E2BIG;
    else
        error_number = memory_ledger(ledger_fd, count, &server->ledger);
    if (ledger_fd >= 0)
        (void)close(ledger_fd);
    if (error_number)
        return error_number;
    error_number = lay_out(server, count);
    if (error_number) {
        memory_ledger_end();
        return error_number;
    }
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    server->state = OP_COLLECTING;
    return count == 0 ? start(server) : 0;
}

int operation_filesystem(Server *server, const KeeperMessage *message, int fd)
{
    HoldEntry *entry;
    int error_number = 0;
    int status = fd < 0 ? -1 : fcntl(fd, F_GETFL);

    if (server->state != OP_COLLECTING)
        error_number = server->state == OP_NONE ? ENXIO : EBUSY;
    else if (status < 0 || (status & O_PATH))
        error_number = EBADF;
    else if (message->index >= server->count)
        error_number = ERANGE;
    else if (server->entries[message->index].fd >= 0)
        error_number = EEXIST;
    if (error_number) {
        if (fd >= 0)
            (void)close(fd);
        if (server->state == OP_COLLECTING)
            forget(server);
        return error_number;
    }
    entry = &server->entries[message->index];
    entry->fd = fd;
    entry->rank = message->rank;
    entry->flags = message->flags;
    return ++server->received == server->count ? start(server) : 0;
}

static void kick(Server *server)
{
    pool_kick(&server->pool, keeper_now());
}

int operation_sync(Server *server, bool (*begin)(Hold *))
{
    bool begun;

    if (server->state != OP_ARMED)
        return ENXIO;
    pool_lock(&server->pool);
    begun = begin(&server->hold);
    kick(server);
    pool_unlock(&server->pool);
    return begun ? 0 : EBUSY;
}

int operation_freeze(Server *server, int64_t limit_us)
{
    bool begun;

    if (server->state != OP_ARMED)
        return ENXIO;
    if (limit_us <= 0 || limit_us > SERVER_LIMIT_MAX_US)
        return EINVAL;
    pool_lock(&server->pool);
    begun = hold_freeze(&server->hold);
    if (begun) {
        /* First the limit, then what it limits. */
        server->limit_at_us = keeper_now() + limit_us;
        server->limit_extended = false;
        set_timer(server->limit_fd, server->limit_at_us, 0, TFD_TIMER_ABSTIME);
        kick(server);
    }
    pool_unlock(&server->pool);
    return begun ? 0 : EALREADY;
}

/* Lock held. The cause is in the ledger before the first thaw: if both processes die in between,
 * whoever recovers knows why. */
static void begin_thaw(Server *server, KeeperCause cause)
{
    if (server->hold.phase == HOLD_THAW)
        return;
    if (server->hold.phase != HOLD_READY)
        __atomic_store_n(&server->ledger->thaw_cause, (uint32_t)cause + 1, __ATOMIC_RELEASE);
    hold_thaw(&server->hold, cause, keeper_now());
    set_timer(server->limit_fd, 0, 0, 0);
    kick(server);
}

void operation_thaw(Server *server, KeeperCause cause)
{
    const KeeperMessage nothing = {
        .type = KEEPER_THAW_DONE, .version = KEEPER_VERSION, .cause = cause};

    if (server->state != OP_ARMED) {
        serve_answer(server, &nothing);
        return;
    }
    pool_lock(&server->pool);
    hold_thaw_again(&server->hold);
    begin_thaw(server, cause);
    pool_unlock(&server->pool);
}

void operation_thaw_if_held(Server *server, KeeperCause cause)
{
    if (server->state != OP_ARMED)
        return;
    pool_lock(&server->pool);
    if (server->hold.phase == HOLD_FREEZE || server->hold.phase == HOLD_HELD)
        begin_thaw(server, cause);
    pool_unlock(&server->pool);
}

void operation_end(Server *server, KeeperCause cause)
{
    switch (server->state) {
    case OP_COLLECTING:
        forget(server);
        break;
    case OP_STARTING:
    case OP_ARMED:
        pool_lock(&server->pool);
        if (hold_pending(&server->hold) == 0)
            hold_quiet(&server->hold);
        else
            begin_thaw(server, cause);
        pool_unlock(&server->pool);
        server->state = OP_ENDING;
        break;
    case OP_NONE:
        if (server->tell_disarmed)
            forget(server);
        break;
    case OP_ENDING:
        break;
    }
}

unsigned operation_pending(Server *server)
{
    unsigned pending;

    if (server->state < OP_STARTING)
        return 0;
    pool_lock(&server->pool);
    pending = hold_pending(&server->hold);
    pool_unlock(&server->pool);
    return pending;
}

static void started(Server *server)
{
    KeeperMessage refusal = {
        .type = KEEPER_REFUSED, .version = KEEPER_VERSION, .cause = KEEPER_ARM};
    int error_number;

    if (!pool_ready(&server->pool, &error_number))
        return;
    if (error_number) {
        refusal.error = error_number;
        serve_answer(server, &refusal);
        operation_end(server, KEEPER_CAUSE_REQUEST);
        return;
    }
    memory_lock();
    (void)prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
    server->state = OP_ARMED;
    server->silent_ticks = 0;
    set_timer(server->tick_fd, server->ops->tick_us, server->ops->tick_us, 0);
    tell(server, KEEPER_ARMED);
}

static void ending(Server *server)
{
    bool released;

    pool_lock(&server->pool);
    released = hold_pending(&server->hold) == 0 && !hold_busy(&server->hold);
    pool_unlock(&server->pool);
    if (released && !server->pool_stopped) {
        memory_unlock(); /* or the stacks of ended threads could not be given back */
        pool_stop(&server->pool);
        server->pool_stopped = true;
    }
    if (server->pool_stopped && pool_gone(&server->pool))
        forget(server);
}

void operation_step(Server *server)
{
    int64_t now_us = keeper_now();

    if (server->state == OP_ARMED || server->state == OP_ENDING) {
        pool_lock(&server->pool);
        if (server->hold.phase == HOLD_THAW && !server->pool_stopped) {
            pool_kick(&server->pool, now_us);
            pool_relieve(&server->pool, now_us);
        }
        pool_unlock(&server->pool);
    }
    serve_flush(server);
    if (server->state == OP_STARTING)
        started(server);
    if (server->state == OP_ENDING)
        ending(server);
    serve_flush(server);
}

int64_t operation_next_us(Server *server)
{
    int64_t next;

    if (server->state != OP_ARMED && server->state != OP_ENDING)
        return INT64_MAX;
    pool_lock(&server->pool);
    next = hold_next_us(&server->hold, keeper_now());
    pool_unlock(&server->pool);
    return next;
}
