/*
 * port_serial: the virtio-serial and isa-serial methods. See port.h.
 *
 * While no host has a virtio port open, it polls as hung up and reads as ended, level-triggered,
 * for as long as that lasts; only edges are of use. A host that comes makes the port writable
 * without hang-up, or sends data first. A device that went (unplugged, line hung up) is closed and
 * opened again when port_watch says that something changed; the only timers are the few tries after
 * the kernel announced that another opener closes it, which it does before the driver let go.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/port_internal.h"
#include "sys/port_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

/* Data can overtake the kernel's notes that a host has closed the port and the next one opened it:
 * two interrupts, and the notes are for a kernel thread that others hold up (22 ms seen between the
 * two notes on a busy machine). So what came shortly before the one note, or between them, is a
 * peer for so long; then it has hung up. */
#define SETTLE_MS 200u
/* inotify gave out (its limits are the system's): looking again is all that is left. */
#define BLIND_RETRY_MS 10000u

static const unsigned BUSY_RETRIES_MS[] = {5, 20, 100, 500};

static void serial_try(Port *port);

static PortPeer *serial_peer(const Port *port)
{
    return port->peers->len > 0 ? g_ptr_array_index(port->peers, 0) : NULL;
}

static int set_raw(int fd)
{
    struct termios line;

    if (tcgetattr(fd, &line) != 0)
        return errno;
    cfmakeraw(&line);
    cfsetspeed(&line, B38400);
    line.c_cflag |= CLOCAL | CREAD;
    line.c_cflag &= ~(tcflag_t)CRTSCTS;
    if (tcsetattr(fd, TCSANOW, &line) != 0 || tcflush(fd, TCIFLUSH) != 0)
        return errno;
    return 0;
}

static int serial_prepare(Port *port, int fd)
{
    int result;

    if (fstat(fd, &port->node) != 0)
        return errno;
    if (!S_ISCHR(port->node.st_mode) && !S_ISFIFO(port->node.st_mode))
        return ENOTTY;
    if (port->method == PORT_ISA_SERIAL && (result = set_raw(fd)) != 0)
        return result;
    result = port_epoll_start(port);
    return result != 0 ? result : port_arm(port, fd, NULL, PORT_EDGES);
}

void port_adopt(Port *port, int fd)
{
    port_serial_disown(port);
    port->adopted_fd = fd;
    if (!port_is_serial(port))
        port_serial_disown(port);
}

int port_device(const Port *port)
{
    return port_is_serial(port) ? port->fd : -1;
}

void port_serial_disown(Port *port)
{
    if (port->adopted_fd >= 0)
        (void)close(port->adopted_fd);
    port->adopted_fd = -1;
}

/* The adopted device, unless the path names another one by now. */
static int serial_open_device(Port *port)
{
    struct stat held, named;
    int fd = port->adopted_fd;

    if (fd >= 0 && fstat(fd, &held) == 0 && stat(port->path, &named) == 0 &&
        held.st_dev == named.st_dev && held.st_ino == named.st_ino) {
        port->adopted_fd = -1;
        return fd;
    }
    port_serial_disown(port);
    return open(port->path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
}

/* One try. Returns an errno. */
static int serial_attempt(Port *port)
{
    int fd = serial_open_device(port);
    int result;

    if (fd < 0)
        return errno;
    result = serial_prepare(port, fd);
    if (result != 0) {
        close(fd);
        port_epoll_stop(port);
        return result;
    }
    port->fd = fd;
    port->await_data = port->moved = false;
    return 0;
}

static const char *serial_advice(const Port *port, int code)
{
    switch (code) {
    case ENOENT:
    case ENOTDIR:
    case ENXIO:
    case ENODEV:
        return port->method == PORT_VIRTIO_SERIAL
                   ? "add a virtio-serial channel of that name to the virtual machine; it is used "
                     "as soon as it appears"
                   : "add the serial line to the virtual machine; it is used as soon as it appears";
    case EBUSY:
        return "another program has it open; stop that one (qemu-guest-agent?), it is taken over "
               "then";
    case EACCES:
    case EPERM:
        return "let the service read and write it (owner, mode, security policy)";
    case ENOTTY:
    case EISDIR:
    case EINVAL:
        return "it is not such a device; correct the channel's method or path";
    default:
        return "it is tried again when the device changes";
    }
}

static void serial_closed_device(Port *port)
{
    if (port->fd < 0)
        return;
    port_disarm(port, port->fd);
    /* What a serial line's host does not read would hold up close() for 30 s. */
    if (port->method == PORT_ISA_SERIAL)
        (void)tcflush(port->fd, TCOFLUSH);
    close(port->fd);
    port->fd = -1;
    port->generation++;
    port_source_clear(&port->settle_timer);
    port_epoll_stop(port);
}

static void serial_stop_waiting(Port *port)
{
    port_source_clear(&port->retry_timer);
    g_clear_pointer(&port->watch, port_watch_free);
    port->retry_step = 0;
}

static void serial_opened(Port *port)
{
    serial_stop_waiting(port);
    port->reported_errno = 0;
    port_emit_state(port, true, NULL);
}

static void serial_report(Port *port, int code)
{
    g_autoptr(GError) error = NULL;

    if (code == port->reported_errno)
        return;
    port->reported_errno = code;
    g_set_error(&error, AGENT_ERROR, AGENT_ERROR_UNAVAILABLE, "cannot open %s: %s; %s", port->path,
                g_strerror(code), serial_advice(port, code));
    port_emit_state(port, false, error);
}

static gboolean serial_retry(gpointer user_data)
{
    Port *port = port_ref(user_data);
    int result;

    port_source_clear(&port->retry_timer);
    if (!port->watch) {
        serial_try(port);
    } else if ((result = serial_attempt(port)) == 0) {
        serial_opened(port);
    } else if (result != EBUSY) {
        serial_try(port);
    } else if (port->retry_step < G_N_ELEMENTS(BUSY_RETRIES_MS)) {
        port->retry_timer =
            port_after(port, BUSY_RETRIES_MS[port->retry_step++], serial_retry, NULL);
    }
    port_unref(port);
    return G_SOURCE_REMOVE;
}

static void serial_changed(gpointer user_data)
{
    Port *port = port_ref(user_data);

    serial_try(port);
    port_unref(port);
}

/* Watches first and tries then, so that what changes in between is an event. */
static int serial_watch(Port *port, GError **error)
{
    int result;

    port->watch = port_watch_new(port->path, serial_changed, port, error);
    if (!port->watch)
        return -1;
    result = serial_attempt(port);
    if (result != EBUSY)
        return result;
    if (!port_watch_closings(port->watch, error)) {
        g_clear_pointer(&port->watch, port_watch_free);
        return -1;
    }
    port->retry_timer = port_after(port, BUSY_RETRIES_MS[port->retry_step++], serial_retry, NULL);
    return EBUSY;
}

/* Opens, or waits for what may change that it cannot. */
static void serial_try(Port *port)
{
    g_autoptr(GError) error = NULL;
    int result;

    serial_stop_waiting(port);
    result = serial_watch(port, &error);
    if (result == 0) {
        serial_opened(port);
    } else if (result > 0) {
        serial_report(port, result);
    } else {
        port->retry_timer = port_after(port, BLIND_RETRY_MS, serial_retry, NULL);
        port_emit_state(port, false, error);
    }
}

bool port_serial_open(Port *port, GError **error)
{
    int result;

    port->reported_errno = 0;
    result = serial_attempt(port);
    if (result != 0)
        result = serial_watch(port, error);
    if (result == 0)
        serial_opened(port);
    else if (result > 0)
        serial_report(port, result);
    return result >= 0;
}

void port_serial_close(Port *port)
{
    serial_stop_waiting(port);
    serial_closed_device(port);
}

static bool node_unchanged(const Port *port)
{
    struct stat now;

    return stat(port->path, &now) == 0 && now.st_dev == port->node.st_dev &&
           now.st_ino == port->node.st_ino && now.st_rdev == port->node.st_rdev &&
           now.st_ctim.tv_sec == port->node.st_ctim.tv_sec &&
           now.st_ctim.tv_nsec == port->node.st_ctim.tv_nsec;
}

static void serial_lost(Port *port, int code)
{
    g_autoptr(GError) error = NULL;
    PortPeer *peer = serial_peer(port);
    bool worked = port->moved;
    unsigned generation;

    serial_closed_device(port);
    generation = port->generation;
    if (peer)
        port_peer_close(peer, "unplugged");
    g_set_error(&error, AGENT_ERROR, AGENT_ERROR_UNAVAILABLE,
                "%s went away: %s; it is opened again when it comes back", port->path,
                g_strerror(code));
    if (port->wanted && port->generation == generation && port->fd < 0 && !port->watch) {
        port->reported_errno = ENOENT; /* that it is missing now goes without saying */
        port_emit_state(port, false, error);
    }
    if (!port->wanted || port->generation != generation || port->fd >= 0 || port->watch)
        return;
    /* A device that opens but never works must not be opened in a circle. */
    if (worked || !node_unchanged(port)) {
        serial_try(port);
        return;
    }
    g_clear_error(&error);
    port->watch = port_watch_new(port->path, serial_changed, port, &error);
    if (!port->watch || !node_unchanged(port))
        port->retry_timer = port_after(port, port->watch ? 0 : BLIND_RETRY_MS, serial_retry, NULL);
}

static gboolean serial_settled(gpointer user_data)
{
    Port *port = port_ref(user_data);
    PortPeer *peer = serial_peer(port);

    port_source_clear(&port->settle_timer);
    if (peer)
        port_peer_close(peer, "hang-up");
    port_unref(port);
    return G_SOURCE_REMOVE;
}

static void serial_settle(Port *port)
{
    port_source_clear(&port->settle_timer);
    port->settle_timer = port_after(port, SETTLE_MS, serial_settled, NULL);
}

/* The host closed its side: what is queued must never reach the next one, but for answers to what
 * may have been the next one's. True: such are owed. */
static bool serial_owes(const Port *port, PortPeer *peer)
{
    bool fresh = g_get_monotonic_time() < port->fresh_us + SETTLE_MS * G_TIME_SPAN_MILLISECOND;

    return port_peer_parted(peer) && fresh;
}

static void serial_host_away(Port *port)
{
    PortPeer *peer = serial_peer(port);
    unsigned generation = port->generation;

    port->await_data = false;
    if (!peer || port->settle_timer)
        return;
    port_peer_ref(peer);
    if (peer->doom || !serial_owes(port, peer))
        port_peer_close(peer, "hang-up");
    else if (port->generation == generation && !peer->closed)
        serial_settle(port);
    port_peer_unref(peer);
}

static void serial_deliver(Port *port, const uint8_t *bytes, size_t count, bool away)
{
    PortPeer *peer = serial_peer(port);
    unsigned generation = port->generation;

    port->moved = true;
    if (peer && peer->doom) {
        /* Dropped, but the main loop did not come to it yet: this is the next one's. */
        port_peer_close(peer, peer->doom);
        if (port->generation != generation)
            return;
        peer = serial_peer(port);
    }
    /* Behind what its host does not take is no other host's. */
    if (!peer || peer->queued == 0)
        port->fresh_us = g_get_monotonic_time();
    if (peer) {
        port_peer_ref(peer);
        if (port->settle_timer)
            serial_settle(port);
    } else {
        port->await_data = false;
        peer = port_peer_open(port, port->fd);
        if (away && !peer->closed && port->generation == generation)
            serial_settle(port);
    }
    if (!peer->doom)
        port_peer_deliver(peer, bytes, count);
    port_peer_unref(peer);
}

/* The event said that the host is away; it may be back, and what was read its own: then nobody who
 * left may have it. True: it is back. */
static bool serial_came_back(Port *port)
{
    struct pollfd now = {.fd = port->fd};
    PortPeer *peer = serial_peer(port);
    bool settling = port->settle_timer != NULL;

    if (port->method != PORT_VIRTIO_SERIAL || poll(&now, 1, 0) != 0)
        return false;
    port_source_clear(&port->settle_timer);
    if (peer)
        port_peer_ref(peer);
    if (peer && !settling && !serial_owes(port, peer))
        port_peer_close(peer, "hang-up");
    port_peer_unref(peer);
    return true;
}

/* Reads what there is. Returns what the last read said, 1 when the device is not ours any more. */
static ssize_t serial_read(Port *port, bool *away)
{
    g_auto(PortReader) reader = {.reads = 0};
    unsigned generation = port->generation;
    const uint8_t *bytes;
    ssize_t count;

    while ((count = port_reader_next(&reader, port->fd, &bytes)) > 0) {
        if (*away && serial_came_back(port))
            *away = false;
        if (port->generation != generation)
            return 1;
        serial_deliver(port, bytes, (size_t)count, *away);
        if (port->generation != generation)
            return 1;
    }
    return count;
}

static void serial_ended(Port *port, uint32_t events, int code)
{
    /* A tty in the port's place says EIO when nobody has its other side open. */
    bool away = code == 0 || code == EIO;

    if (port->method == PORT_VIRTIO_SERIAL && away && !(events & EPOLLERR))
        serial_host_away(port);
    else
        serial_lost(port, code == 0 ? ENODEV : code);
}

void port_serial_ready(Port *port, uint32_t events)
{
    unsigned generation = port->generation;
    bool away = (events & EPOLLHUP) != 0;
    PortPeer *peer;
    ssize_t result;

    if (!away) {
        port_source_clear(&port->settle_timer);
        if (!serial_peer(port) && !port->await_data)
            port_peer_unref(port_peer_open(port, port->fd));
        if (port->generation != generation)
            return;
    }
    result = serial_read(port, &away);
    if (result == 1)
        return;
    if (result == -EINPROGRESS) {
        port_rearm(port, port->fd, NULL);
    } else if (result != -EAGAIN) {
        serial_ended(port, events, (int)-result);
        return;
    } else if (away && port->method == PORT_VIRTIO_SERIAL) {
        serial_host_away(port); /* and came back since: an edge tells */
        return;
    }
    peer = serial_peer(port);
    if (peer && (events & EPOLLOUT)) {
        port_peer_ref(peer);
        port_peer_flush(peer);
        port_peer_unref(peer);
    }
}
