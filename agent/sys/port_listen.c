/*
 * port_listen: the unix-listen and vsock-listen methods, and listeners from systemd. See port.h.
 *
 * Who may connect: to a unix socket whoever may write to it, mode 0600. To a vsock port the host;
 * of the guest's own processes only those with a privileged port number, as any user may open a
 * vsock connection to the own machine. Others are closed at once.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/port_internal.h"
#include "sys/port_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#define BACKLOG              16
#define VSOCK_PRIVILEGED_MAX 1023u
/* accept() for want of fds or memory: others must give some back first. */
#define REST_MS 1000u

static bool parse_number(const char *text, unsigned *ret_number)
{
    guint64 number;

    if (!g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT32 - 1, &number, NULL))
        return false;
    *ret_number = (unsigned)number;
    return true;
}

static bool vsock_parse(Port *port)
{
    g_auto(GStrv) parts = g_strsplit(port->path ? port->path : "", ":", -1);

    if (g_strv_length(parts) != 2 || !parse_number(parts[1], &port->vsock_port))
        return false;
    if (g_str_equal(parts[0], "any") || g_str_equal(parts[0], "-1")) {
        port->vsock_cid = VMADDR_CID_ANY;
        return true;
    }
    return parse_number(parts[0], &port->vsock_cid);
}

bool port_listen_check(Port *port, GError **error)
{
    const size_t longest = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;

    if (port->method == PORT_VSOCK_LISTEN) {
        if (vsock_parse(port))
            return true;
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_CONFIG,
                    "channel %s: path \"%s\" must be CID:PORT, for example \"any:1234\"",
                    port->name, port->path ? port->path : "");
        return false;
    }
    if (strlen(port->path) <= longest)
        return true;
    g_set_error(error, AGENT_ERROR, AGENT_ERROR_CONFIG,
                "channel %s: path \"%s\" is too long for a socket, %zu bytes at most", port->name,
                port->path, longest);
    return false;
}

static int socket_option(int fd, int option)
{
    int value = -1;
    socklen_t length = sizeof(value);

    return getsockopt(fd, SOL_SOCKET, option, &value, &length) == 0 ? value : -1;
}

static char *socket_path(int fd, int family)
{
    union {
        struct sockaddr any;
        struct sockaddr_un local;
        struct sockaddr_vm vsock;
    } address = {.any.sa_family = 0};
    socklen_t length = sizeof(address) - 1;

    if (getsockname(fd, &address.any, &length) != 0)
        return g_strdup("?");
    if (family == AF_VSOCK)
        return g_strdup_printf("%u:%u", address.vsock.svm_cid, address.vsock.svm_port);
    return g_strdup(address.local.sun_path);
}

bool port_listen_adopt(Port *port, int fd, GError **error)
{
    int family = socket_option(fd, SO_DOMAIN), flags = fcntl(fd, F_GETFL);

    port->fd = fd;
    port->handed_over = true;
    port->method = family == AF_VSOCK ? PORT_VSOCK_LISTEN : PORT_UNIX_LISTEN;
    if ((family != AF_UNIX && family != AF_VSOCK) || socket_option(fd, SO_TYPE) != SOCK_STREAM ||
        socket_option(fd, SO_ACCEPTCONN) != 1) {
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_CONFIG,
                    "channel %s: the file descriptor from systemd is not a listening unix or vsock "
                    "stream socket; correct ListenStream= in the .socket unit",
                    port->name);
        return false;
    }
    if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        return agent_error_errno(error, AGENT_ERROR_FAILED, errno, "channel %s", port->name);
    port->path = socket_path(fd, family);
    return true;
}

/* Removes a socket that nobody accepts on; anything else is somebody's. */
static bool unix_remove_stale(Port *port, const struct sockaddr_un *address, GError **error)
{
    struct stat status;
    int fd, code;

    if (lstat(port->path, &status) != 0)
        return errno == ENOENT || agent_error_errno(error, AGENT_ERROR_UNAVAILABLE, errno,
                                                    "cannot look at %s", port->path);
    if (!S_ISSOCK(status.st_mode)) {
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_UNAVAILABLE,
                    "%s exists and is not a socket; remove it or choose another path", port->path);
        return false;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return agent_error_errno(error, AGENT_ERROR_UNAVAILABLE, errno, "cannot create a socket");
    code = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ? 0 : errno;
    close(fd);
    if (code != ECONNREFUSED && code != ENOENT) {
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_UNAVAILABLE,
                    "%s is in use by another program%s%s; stop that one or choose another path",
                    port->path, code == 0 ? "" : ": ", code == 0 ? "" : g_strerror(code));
        return false;
    }
    if (unlink(port->path) != 0 && errno != ENOENT)
        return agent_error_errno(error, AGENT_ERROR_UNAVAILABLE, errno,
                                 "cannot remove the stale socket %s", port->path);
    return true;
}

static bool unix_bind(Port *port, GError **error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    g_strlcpy(address.sun_path, port->path, sizeof(address.sun_path));
    if (!unix_remove_stale(port, &address, error))
        return false;
    port->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* The node takes its mode from the socket: it is never there with another one. */
    if (port->fd < 0 || fchmod(port->fd, 0600) != 0)
        return agent_error_errno(error, AGENT_ERROR_UNAVAILABLE, errno, "cannot create a socket");
    if (bind(port->fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
        return agent_error_errno(error, AGENT_ERROR_UNAVAILABLE, errno,
                                 "cannot bind %s (its directory must exist and be writable)",
                                 port->path);
    if (lstat(port->path, &port->socket_node) != 0)
        port->socket_node.st_ino = 0;
    return true;
}

static bool vsock_bind(Port *port, GError **error)
{
    struct sockaddr_vm address = {.svm_family = AF_VSOCK};

    address.svm_cid = port->vsock_cid;
    address.svm_port = port->vsock_port;
    port->fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (port->fd < 0)
        return agent_error_errno(error, AGENT_ERROR_UNAVAILABLE, errno,
                                 "vsock %s: this machine has no vsock (load the module "
                                 "vmw_vsock_virtio_transport, add a vsock device to the VM)",
                                 port->path);
    if (bind(port->fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
        return agent_error_errno(error, AGENT_ERROR_UNAVAILABLE, errno,
                                 "cannot bind vsock %s (the CID must be the machine's own or "
                                 "\"any\", the port free)",
                                 port->path);
    return true;
}

static void listen_watch(Port *port)
{
    port->paused = port_arm(port, port->fd, NULL, EPOLLIN) != 0;
}

static void listen_pause(Port *port)
{
    port->paused = true;
    port_disarm(port, port->fd);
}

bool port_listen_open(Port *port, GError **error)
{
    int code;

    if (!port->handed_over) {
        if (!(port->method == PORT_VSOCK_LISTEN ? vsock_bind(port, error) : unix_bind(port, error)))
            return false;
        if (listen(port->fd, BACKLOG) != 0)
            return agent_error_errno(error, AGENT_ERROR_UNAVAILABLE, errno, "cannot listen on %s",
                                     port->path);
    }
    code = port_epoll_start(port);
    if (code == 0)
        code = port_arm(port, port->fd, NULL, EPOLLIN);
    if (code != 0)
        return agent_error_errno(error, AGENT_ERROR_UNAVAILABLE, code, "cannot watch %s",
                                 port->path);
    port->paused = false;
    port_emit_state(port, true, NULL);
    return true;
}

void port_listen_close(Port *port)
{
    struct stat now;

    port_source_clear(&port->rest_timer);
    port_epoll_stop(port);
    port->paused = false;
    if (port->handed_over || port->fd < 0)
        return;
    close(port->fd);
    port->fd = -1;
    port->generation++;
    /* Another one may have taken the path over since. */
    if (port->socket_node.st_ino != 0 && lstat(port->path, &now) == 0 &&
        now.st_ino == port->socket_node.st_ino && now.st_dev == port->socket_node.st_dev)
        unlink(port->path);
    port->socket_node.st_ino = 0;
}

void port_listen_resume(Port *port)
{
    if (port->paused && port->wanted && port->fd >= 0 && !port->rest_timer &&
        port->peers->len < PORT_PEERS_MAX)
        listen_watch(port);
}

static gboolean listen_rested(gpointer user_data)
{
    Port *port = user_data;

    port_source_clear(&port->rest_timer);
    port_listen_resume(port);
    return G_SOURCE_REMOVE;
}

bool port_vsock_trusts(unsigned cid, unsigned port)
{
    if (cid == VMADDR_CID_HOST || cid == VMADDR_CID_HYPERVISOR)
        return true;
    return cid == VMADDR_CID_LOCAL && port <= VSOCK_PRIVILEGED_MAX;
}

void port_listen_ready(Port *port)
{
    union {
        struct sockaddr any;
        struct sockaddr_un local;
        struct sockaddr_vm vsock;
    } from = {.any.sa_family = 0};
    socklen_t length = sizeof(from);
    g_autoptr(PortPeer) peer = NULL;
    int fd = accept4(port->fd, &from.any, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            listen_pause(port);
            port->rest_timer = port_after(port, REST_MS, listen_rested, NULL);
        }
        return; /* the others concern one client, which is gone */
    }
    if (port->method == PORT_VSOCK_LISTEN &&
        !port_vsock_trusts(from.vsock.svm_cid, from.vsock.svm_port)) {
        close(fd);
        return;
    }
    if (port->peers->len + 1 == PORT_PEERS_MAX)
        listen_pause(port);
    peer = port_peer_open(port, fd);
    if (!peer->closed && port_arm(port, fd, peer, PORT_EDGES) != 0)
        port_peer_close(peer, "cannot be watched");
}

/* Reads what there is. Returns what the last read said; stops when a callback closed the peer. */
static ssize_t socket_read(PortPeer *peer)
{
    g_auto(PortReader) reader = {.reads = 0};
    const uint8_t *bytes;
    ssize_t count = -EAGAIN;

    while (!peer->closed && !peer->doom && !peer->finishing && !peer->read_ended) {
        count = port_reader_next(&reader, peer->fd, &bytes);
        if (count <= 0)
            return count;
        port_peer_deliver(peer, bytes, (size_t)count);
        count = -EAGAIN;
    }
    return count;
}

void port_socket_ready(PortPeer *peer, uint32_t events)
{
    g_autoptr(PortPeer) held = port_peer_ref(peer);
    bool hung_up = (events & (EPOLLHUP | EPOLLERR)) != 0;
    ssize_t result = socket_read(peer);

    if (peer->closed || peer->doom)
        return;
    if (result == -EINPROGRESS) {
        port_rearm(peer->port, peer->fd, peer); /* tells a hang-up again, too */
    } else if (hung_up || (result < 0 && result != -EAGAIN)) {
        port_peer_close(peer, "hang-up");
        return;
    } else if (result == 0) {
        port_peer_ended(peer);
    }
    if (!peer->closed && (events & EPOLLOUT))
        port_peer_flush(held);
}
