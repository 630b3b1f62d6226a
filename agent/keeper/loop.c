/*
 * loop: see server.h. One epoll; nothing here waits for a disk, a worker or the service.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "keeper/operation.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define EVENTS_MAX  8
#define SEND_BUFFER (1 << 20) /* about a thousand messages; reports that do not fit wait */

static void watch(Server *server, int operation, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};

    (void)epoll_ctl(server->epoll_fd, operation, fd, &event);
}

static uint64_t drain(int fd)
{
    uint64_t value = 0;

    return read(fd, &value, sizeof value) == sizeof value ? value : 0;
}

static void serve_socket(Server *server, int fd)
{
    const int size = SEND_BUFFER;

    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    server->socket_fd = fd;
    server->socket_events = EPOLLIN | EPOLLRDHUP;
    watch(server, EPOLL_CTL_ADD, fd, server->socket_events);
}

static void accept_service(Server *server)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0)
        return;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 ||
        (peer.uid != 0 && peer.uid != geteuid())) {
        (void)close(fd);
        return;
    }
    watch(server, EPOLL_CTL_MOD, server->listen_fd, 0);
    serve_socket(server, fd);
}

void server_disconnect(Server *server)
{
    watch(server, EPOLL_CTL_DEL, server->socket_fd, 0);
    (void)close(server->socket_fd);
    server->socket_fd = -1;
    server->hello = server->blocked = server->arm_refused = server->tell_disarmed = false;
    server->n_answers = 0;
    server->served = true;
    server->orphaned = server->state != OP_NONE;
    operation_end(server, KEEPER_CAUSE_EOF);
    if (server->listen_fd >= 0 && !server->stopping)
        watch(server, EPOLL_CTL_MOD, server->listen_fd, EPOLLIN);
}

static void on_socket(Server *server, uint32_t events)
{
    if (events & (EPOLLHUP | EPOLLRDHUP | EPOLLERR)) {
        /* What it said last is not obeyed any more: a FREEZE among it would hold for nobody. */
        server_disconnect(server);
        return;
    }
    if (events & EPOLLOUT)
        server->blocked = false;
    if (events & EPOLLIN)
        serve_read(server);
}

static void on_tick(Server *server)
{
    struct pollfd newcomer = {.fd = server->listen_fd, .events = POLLIN};

    /* However many ticks were missed: the machine or the keeper did not run meanwhile. */
    if (drain(server->tick_fd) == 0 || server->state != OP_ARMED)
        return;
    if (server->silent_ticks < KEEPER_TICKS_MAX)
        server->silent_ticks++;
    if (server->silent_ticks < KEEPER_TICKS_MAX)
        return;
    operation_thaw_if_held(server, KEEPER_CAUSE_SILENCE);
    /* Killed with a thread stuck in the kernel a process sends no end of file; its successor is
     * there already. */
    if (server->socket_fd >= 0 && server->listen_fd >= 0 && poll(&newcomer, 1, 0) == 1)
        server_disconnect(server);
}

static void on_limit(Server *server)
{
    int64_t now_us = keeper_now();

    if (drain(server->limit_fd) == 0 || server->state != OP_ARMED)
        return;
    if (now_us - server->limit_at_us > server->ops->late_us && !server->limit_extended) {
        const struct itimerspec spec = {
            .it_value = {server->ops->grace_us / 1000000, server->ops->grace_us % 1000000 * 1000},
        };

        server->limit_extended = true;
        server->limit_at_us = now_us + server->ops->grace_us;
        (void)timerfd_settime(server->limit_fd, 0, &spec, NULL);
        return;
    }
    operation_thaw_if_held(server, KEEPER_CAUSE_LIMIT);
}

static void on_stop(Server *server)
{
    struct signalfd_siginfo info;

    while (read(server->signal_fd, &info, sizeof info) == sizeof info)
        server->stopping = true;
    if (server->listen_fd >= 0)
        watch(server, EPOLL_CTL_MOD, server->listen_fd, 0);
    operation_thaw_if_held(server, KEEPER_CAUSE_STOP);
}

/* Requests go first: a thaw that arrived in time is not overtaken by the limit. */
static void dispatch(Server *server, const struct epoll_event *events, int count)
{
    for (int i = 0; i < count; i++)
        if (events[i].data.fd == server->socket_fd)
            on_socket(server, events[i].events);
    for (int i = 0; i < count; i++) {
        int fd = events[i].data.fd;

        if (fd == server->event_fd)
            (void)drain(fd);
        else if (fd == server->signal_fd)
            on_stop(server);
        else if (fd == server->tick_fd)
            on_tick(server);
        else if (fd == server->limit_fd)
            on_limit(server);
        else if (fd == server->listen_fd && server->socket_fd < 0)
            accept_service(server);
    }
}

static void watch_socket(Server *server)
{
    uint32_t events = EPOLLRDHUP;

    if (server->socket_fd < 0)
        return;
    if (serve_may_read(server))
        events |= EPOLLIN;
    if (server->blocked)
        events |= EPOLLOUT;
    if (events != server->socket_events)
        watch(server, EPOLL_CTL_MOD, server->socket_fd, events);
    server->socket_events = events;
}

static int timeout_ms(Server *server)
{
    int64_t next = operation_next_us(server);
    int64_t left = next - keeper_now();

    if (next == INT64_MAX)
        return -1;
    return left <= 0 ? 0 : (int)(left / 1000 + 1);
}

/* An upgrade put another program in this one's place; see proc(5). */
static bool was_replaced(void)
{
    static const char MARK[] = " (deleted)";
    char target[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", target, sizeof target);

    return length >= (ssize_t)sizeof MARK &&
           memcmp(target + length - (sizeof MARK - 1), MARK, sizeof MARK - 1) == 0;
}

/* Between two services, with nothing held, the manager may start the new program on the socket. */
static bool may_be_replaced(Server *server)
{
    if (!server->served || server->socket_fd >= 0 || server->state != OP_NONE)
        return false;
    server->served = false;
    return was_replaced();
}

static bool over(Server *server)
{
    if (!server->stopping && (server->socket_fd >= 0 || server->listen_fd >= 0))
        return may_be_replaced(server);
    return operation_pending(server) == 0;
}

static bool open_events(Server *server)
{
    sigset_t stop, hang_up;

    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &stop, NULL);
    /* Of no meaning here, and no reason to give up a hold; never read. */
    sigemptyset(&hang_up);
    sigaddset(&hang_up, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &hang_up, NULL);
    server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    server->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    server->signal_fd = signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK);
    server->tick_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    server->limit_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (server->epoll_fd < 0 || server->event_fd < 0 || server->signal_fd < 0 ||
        server->tick_fd < 0 || server->limit_fd < 0)
        return false;
    watch(server, EPOLL_CTL_ADD, server->event_fd, EPOLLIN);
    watch(server, EPOLL_CTL_ADD, server->signal_fd, EPOLLIN);
    watch(server, EPOLL_CTL_ADD, server->tick_fd, EPOLLIN);
    watch(server, EPOLL_CTL_ADD, server->limit_fd, EPOLLIN);
    return true;
}

/* Workers may still be on their way out when all is released and the process ends, so the Server
 * is not in a stack frame and never freed. */
static Server *server_new(void)
{
    Server *server = memory_new(sizeof *server);

    if (!server)
        return NULL;
    server->ops = keeper_ops();
    server->listen_fd = server->socket_fd = -1;
    if (!open_events(server))
        return NULL;
    pool_init(&server->pool, server->ops, server->event_fd);
    return server;
}

int server_run(int fd, bool listening)
{
    Server *server = server_new();
    struct epoll_event events[EVENTS_MAX];

    if (!server)
        return 1;
    if (listening) {
        server->listen_fd = fd;
        watch(server, EPOLL_CTL_ADD, fd, EPOLLIN);
    } else {
        serve_socket(server, fd);
    }
    while (!over(server)) {
        int count = epoll_wait(server->epoll_fd, events, EVENTS_MAX, timeout_ms(server));

        dispatch(server, events, count);
        operation_step(server);
        watch_socket(server);
    }
    serve_flush(server);
    pool_lock(&server->pool); /* the first worker may be beginning others */
    pool_abandon(&server->pool);
    pool_unlock(&server->pool);
    return 0;
}
