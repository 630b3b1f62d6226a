/*
 * port: see port.h. Here: names, life, the private epoll and its dispatch. The serial methods are
 * in port_serial.c, the listening ones in port_listen.c, a peer's output in port_peer.c.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/port_internal.h"

#include <errno.h>
#include <glib-unix.h>
#include <unistd.h>

static const char *const METHOD_NAMES[] = {
    [PORT_VIRTIO_SERIAL] = "virtio-serial",
    [PORT_ISA_SERIAL] = "isa-serial",
    [PORT_UNIX_LISTEN] = "unix-listen",
    [PORT_VSOCK_LISTEN] = "vsock-listen",
};

bool port_method_parse(const char *name, PortMethod *ret_method)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(METHOD_NAMES); i++) {
        if (g_strcmp0(name, METHOD_NAMES[i]) == 0) {
            *ret_method = (PortMethod)i;
            return true;
        }
    }
    return false;
}

const char *port_method_name(PortMethod method)
{
    return (unsigned)method < G_N_ELEMENTS(METHOD_NAMES) ? METHOD_NAMES[method] : NULL;
}

bool port_is_serial(const Port *port)
{
    return port->method == PORT_VIRTIO_SERIAL || port->method == PORT_ISA_SERIAL;
}

Port *port_ref(Port *port)
{
    port->refs++;
    return port;
}

void port_unref(Port *port)
{
    if (--port->refs > 0)
        return;
    g_ptr_array_unref(port->peers);
    g_free(port->name);
    g_free(port->path);
    g_free(port);
}

static Port *port_alloc(const char *name, const PortEvents *events, gpointer user_data)
{
    Port *port = g_new0(Port, 1);

    port->refs = 1;
    port->name = g_strdup(name);
    port->events = events;
    port->user_data = user_data;
    port->fd = port->epoll_fd = port->adopted_fd = -1;
    port->peers = g_ptr_array_new_with_free_func((GDestroyNotify)port_peer_unref);
    return port;
}

Port *port_new(const char *name, PortMethod method, const char *path, const PortEvents *events,
               gpointer user_data, GError **error)
{
    g_autoptr(Port) port = port_alloc(name, events, user_data);

    port->method = method;
    port->path = g_strdup(path);
    if (method != PORT_VSOCK_LISTEN && (!path || !g_path_is_absolute(path))) {
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_CONFIG,
                    "channel %s: path \"%s\" must be an absolute path", name, path ? path : "");
        return NULL;
    }
    if (!port_is_serial(port) && !port_listen_check(port, error))
        return NULL;
    return g_steal_pointer(&port);
}

Port *port_new_from_fd(const char *name, int fd, const PortEvents *events, gpointer user_data,
                       GError **error)
{
    g_autoptr(Port) port = port_alloc(name, events, user_data);

    return port_listen_adopt(port, fd, error) ? g_steal_pointer(&port) : NULL;
}

GSource *port_after(Port *port, unsigned milliseconds, GSourceFunc function, gpointer user_data)
{
    GSource *source = milliseconds > 0 ? g_timeout_source_new(milliseconds) : g_idle_source_new();

    g_source_set_priority(source, G_PRIORITY_DEFAULT);
    g_source_set_callback(source, function, user_data ? user_data : port, NULL);
    g_source_attach(source, NULL);
    return source;
}

void port_source_clear(GSource **source)
{
    if (!*source)
        return;
    g_source_destroy(*source);
    g_clear_pointer(source, g_source_unref);
}

static gboolean port_dispatch(gint epoll_fd, G_GNUC_UNUSED GIOCondition condition,
                              gpointer user_data)
{
    Port *port = port_ref(user_data);
    struct epoll_event event;

    if (epoll_wait(epoll_fd, &event, 1, 0) == 1) {
        if (event.data.ptr)
            port_socket_ready(event.data.ptr, event.events);
        else if (port_is_serial(port))
            port_serial_ready(port, event.events);
        else
            port_listen_ready(port);
    }
    port_unref(port);
    return G_SOURCE_CONTINUE;
}

int port_epoll_start(Port *port)
{
    if (port->epoll_fd >= 0)
        return 0;
    port->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (port->epoll_fd < 0)
        return errno;
    port->epoll_source = g_unix_fd_source_new(port->epoll_fd, G_IO_IN);
    g_source_set_callback(port->epoll_source, G_SOURCE_FUNC(port_dispatch), port, NULL);
    g_source_attach(port->epoll_source, NULL);
    return 0;
}

void port_epoll_stop(Port *port)
{
    port_source_clear(&port->epoll_source);
    if (port->epoll_fd >= 0)
        close(port->epoll_fd);
    port->epoll_fd = -1;
}

int port_arm(Port *port, int fd, PortPeer *tag, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = tag};

    return epoll_ctl(port->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : errno;
}

void port_disarm(Port *port, int fd)
{
    if (port->epoll_fd >= 0)
        epoll_ctl(port->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

void port_rearm(Port *port, int fd, PortPeer *tag)
{
    struct epoll_event event = {.events = PORT_EDGES, .data.ptr = tag};

    if (port->epoll_fd >= 0)
        epoll_ctl(port->epoll_fd, EPOLL_CTL_MOD, fd, &event);
}

static gboolean port_reap(gpointer user_data)
{
    Port *port = port_ref(user_data);
    PortPeer *doomed;

    port_source_clear(&port->reap_source);
    do {
        doomed = NULL;
        for (unsigned i = 0; i < port->peers->len && !doomed; i++) {
            PortPeer *peer = g_ptr_array_index(port->peers, i);

            doomed = peer->doom ? peer : NULL;
        }
        if (doomed) {
            /* On a device a hang-up would have come otherwise: its host is still there. */
            port->await_data = port_is_serial(port);
            port_peer_close(doomed, doomed->doom);
        }
    } while (doomed);
    port_unref(port);
    return G_SOURCE_REMOVE;
}

void port_reap_later(Port *port)
{
    if (!port->reap_source)
        port->reap_source = port_after(port, 0, port_reap, NULL);
}

void port_emit_state(Port *port, bool open, const GError *error)
{
    if (port->events->state_changed && !port->freed)
        port->events->state_changed(port, open, error, port->user_data);
}

bool port_open(Port *port, GError **error)
{
    Port *held;
    bool result;

    if (port->wanted)
        return true;
    held = port_ref(port);
    port->wanted = true;
    result = port_is_serial(port) ? port_serial_open(port, error) : port_listen_open(port, error);
    if (!result)
        port_close(port);
    port_unref(held);
    return result;
}

/* Everything but the peers: no event comes any more. */
static void port_stop(Port *port)
{
    port->wanted = false;
    port_source_clear(&port->reap_source);
    if (port_is_serial(port))
        port_serial_close(port);
    else
        port_listen_close(port);
}

static void port_close_peers(Port *port, const char *reason)
{
    g_autoptr(GPtrArray) peers = g_ptr_array_new_with_free_func((GDestroyNotify)port_peer_unref);

    for (unsigned i = 0; i < port->peers->len; i++)
        g_ptr_array_add(peers, port_peer_ref(g_ptr_array_index(port->peers, i)));
    for (unsigned i = 0; i < peers->len; i++)
        port_peer_close(g_ptr_array_index(peers, i), reason);
}

void port_close(Port *port)
{
    Port *held = port_ref(port);

    port_stop(port);
    port_close_peers(port, "port closed");
    port_unref(held);
}

void port_free(Port *port)
{
    if (!port)
        return;
    port->freed = true;
    port_stop(port);
    port_close_peers(port, "port closed");
    port_serial_disown(port);
    if (port->fd >= 0)
        close(port->fd); /* a listener from systemd */
    port->fd = -1;
    port_epoll_stop(port);
    port_unref(port);
}

bool port_is_open(const Port *port)
{
    return port->wanted && port->fd >= 0;
}

const char *port_name(const Port *port)
{
    return port->name;
}
