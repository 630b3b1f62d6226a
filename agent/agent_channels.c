/*
 * agent_channels: the agent's channels: each a port, and a session for every host on it.
 *
 * Also hands the ports over when a package upgrade replaced the program, and takes them over from
 * the program before; see sys/renew.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "agent_internal.h"

#include "commands/exec_table.h"
#include "commands/file_table.h"
#include "sys/closer.h"
#include "sys/ledger_kept.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

static void connection_send(void *bytes, size_t count, gpointer user_data)
{
    Connection *connection = user_data;

    (void)port_peer_send_taken(connection->peer, bytes, count);
    renew_consider(connection->channel->agent->renew);
}

static void connection_finished(gpointer user_data)
{
    Connection *connection = user_data;

    port_peer_finish(connection->peer);
}

static void peer_opened(Port *port, PortPeer *peer, gpointer user_data)
{
    Channel *channel = user_data;
    Connection *connection = g_new0(Connection, 1);
    SessionSpec spec = {
        .channel = channel->name,
        .observe = channel->observe,
        .send = connection_send,
        .finished = connection_finished,
        .user_data = connection,
    };

    (void)port;
    connection->channel = channel;
    connection->peer = peer;
    connection->session = session_new(channel->agent->commands, &spec);
    port_peer_set_data(peer, connection);
    g_ptr_array_add(channel->agent->connections, connection);
    log_debug(channel->agent->log, "Channel %s: a host is there", channel->name);
}

static void peer_data(PortPeer *peer, const uint8_t *bytes, size_t count, gpointer user_data)
{
    Connection *connection = port_peer_data(peer);

    (void)user_data;
    session_data(connection->session, bytes, count);
}

static void peer_eof(PortPeer *peer, gpointer user_data)
{
    Connection *connection = port_peer_data(peer);

    (void)user_data;
    session_eof(connection->session);
}

static bool peer_parted(PortPeer *peer, gpointer user_data)
{
    Connection *connection = port_peer_data(peer);

    (void)user_data;
    return session_parted(connection->session);
}

static void peer_closed(PortPeer *peer, const char *reason, gpointer user_data)
{
    Channel *channel = user_data;
    Connection *connection = port_peer_data(peer);

    log_debug(channel->agent->log, "Channel %s: the host left: %s", channel->name, reason);
    (void)g_ptr_array_remove_fast(channel->agent->connections, connection);
    session_free(connection->session);
    g_free(connection);
}

static void port_state_changed(Port *port, bool open, const GError *error, gpointer user_data)
{
    Channel *channel = user_data;

    (void)port;
    if (open)
        log_info(channel->agent->log, "Channel %s is open", channel->name);
    else if (error)
        log_warning(channel->agent->log, "Channel %s: %s; waiting for it", channel->name,
                    error->message);
}

static const PortEvents PORT_EVENTS = {
    .peer_opened = peer_opened,
    .peer_data = peer_data,
    .peer_eof = peer_eof,
    .peer_parted = peer_parted,
    .peer_closed = peer_closed,
    .state_changed = port_state_changed,
};

static Channel *channel_new(Agent *agent, const char *name, bool observe)
{
    Channel *channel = g_new0(Channel, 1);

    channel->agent = agent;
    channel->name = g_strdup(name);
    channel->observe = observe;
    return channel;
}

static void channel_free(Channel *channel)
{
    port_free(channel->port);
    g_free(channel->name);
    g_free(channel);
}

/* An fd that the start before this one left with systemd. */
static void keep_stored(GArray *fds, unsigned index, int fd)
{
    const int none = -1;

    while (fds->len <= index)
        g_array_append_val(fds, none);
    g_array_index(fds, int, index) = fd;
}

static bool take_hold(Agent *agent, const char *name, int fd)
{
    unsigned index = 0;

    if (fdstore_is_group(name)) {
        g_array_append_val(agent->group_fds, fd);
        fdstore_found(agent->store, -1);
    } else if (fdstore_index(name, FDSTORE_HOLDS, &index)) {
        keep_stored(agent->stored_fds, index, fd);
        fdstore_found(agent->store, (int)index);
    } else {
        return false;
    }
    return true;
}

/* Of a ledger that is lost: those of the group had the indices that names do not say. */
static int free_place(const Agent *agent)
{
    guint index = 0;

    while (index < agent->stored_fds->len && g_array_index(agent->stored_fds, int, index) >= 0)
        index++;
    return (int)index;
}

/* The ledger's filesystem with the device of `fd`, any of a ledger that knows of none; -1: none. */
static int place_of(const Agent *agent, int fd)
{
    LedgerOperation last = {0};
    struct stat status;

    if (fstat(fd, &status) < 0)
        return -1;
    if (ledger_is_unused(agent->ledger)) /* see quiesce/recovery_orphans.h */
        return free_place(agent);
    ledger_last(agent->ledger, &last);
    for (unsigned i = 0; i < last.n_filesystems; i++) {
        const KeeperLedgerFilesystem *held = ledger_filesystem(agent->ledger, i);

        if (makedev(held->major, held->minor) == status.st_dev)
            return (int)i;
    }
    return -1;
}

void channels_place_group(Agent *agent)
{
    if (!agent->ledger)
        return; /* for a start that has it; see open_ledger() */
    for (unsigned i = 0; i < agent->group_fds->len; i++) {
        int fd = g_array_index(agent->group_fds, int, i);
        int index = place_of(agent, fd);

        if (index >= 0 && (guint)index < agent->stored_fds->len &&
            g_array_index(agent->stored_fds, int, index) >= 0)
            index = -1; /* it is there under a name of its own */
        /* None: of an operation that the ledger does not know any more. */
        if (index >= 0)
            keep_stored(agent->stored_fds, (unsigned)index, fd);
        else
            closer_close_one(CLOSER_OWN, fd);
    }
    if (agent->group_fds->len > 0 && agent->stored_fds->len == 0)
        fdstore_remove(agent->store, 0);
}

/* What systemd hands over are sockets to listen on, and stored fds, told apart by name. */
static bool add_from_systemd(Agent *agent, GError **error)
{
    g_auto(GStrv) names = NULL;
    int count = sd_listen_fds_with_names(1, &names);

    for (int i = 0; i < count; i++) {
        g_autofree char *name = g_strdup_printf("socket-%d", i);
        unsigned index = 0;
        Channel *channel = NULL;

        if (take_hold(agent, names[i], SD_LISTEN_FDS_START + i))
            continue;
        if (fdstore_index(names[i], FDSTORE_PORTS, &index)) {
            keep_stored(agent->port_fds, index, SD_LISTEN_FDS_START + i);
            continue;
        }
        channel = channel_new(agent, name, false);
        g_ptr_array_add(agent->channels, channel);
        channel->port =
            port_new_from_fd(name, SD_LISTEN_FDS_START + i, &PORT_EVENTS, channel, error);
        if (!channel->port)
            return false;
    }
    return true;
}

static bool add_configured(Agent *agent, const ConfigChannel *config, GError **error)
{
    Channel *channel = channel_new(agent, config->name, config->observe);
    PortMethod method = PORT_VIRTIO_SERIAL;

    g_ptr_array_add(agent->channels, channel);
    if (config->method && !port_method_parse(config->method, &method))
        return agent_error_errno(error, AGENT_ERROR_CONFIG, EINVAL, "channel %s: method %s",
                                 config->name, config->method);
    channel->port = port_new(config->name, method, config->path, &PORT_EVENTS, channel, error);
    return channel->port != NULL;
}

bool channels_add(Agent *agent, GError **error)
{
    agent->channels = g_ptr_array_new_with_free_func((GDestroyNotify)channel_free);
    agent->connections = g_ptr_array_new();
    agent->port_fds = g_array_new(FALSE, FALSE, sizeof(int));
    if (!add_from_systemd(agent, error))
        return false;
    if (agent->channels->len > 0)
        return true;
    for (unsigned i = 0; i < agent->config->channels->len; i++)
        if (!add_configured(agent, g_ptr_array_index(agent->config->channels, i), error))
            return false;
    return true;
}

bool channels_open(Agent *agent, GError **error)
{
    agent->ports_open = true;
    for (unsigned i = 0; i < agent->channels->len; i++)
        if (!port_open(((Channel *)g_ptr_array_index(agent->channels, i))->port, error))
            return false;
    return true;
}

void channels_close(Agent *agent)
{
    agent->ports_open = false;
    for (unsigned i = 0; i < agent->channels->len; i++)
        port_close(((Channel *)g_ptr_array_index(agent->channels, i))->port);
}

static void close_unused(GArray *fds)
{
    for (unsigned i = 0; i < fds->len; i++)
        if (g_array_index(fds, int, i) >= 0)
            (void)close(g_array_index(fds, int, i));
    g_array_set_size(fds, 0);
}

void channels_free(Agent *agent)
{
    if (!agent->channels)
        return;
    if (agent->commands)
        channels_close(agent);
    close_unused(agent->port_fds);
    g_array_unref(agent->port_fds);
    g_clear_pointer(&agent->channels, g_ptr_array_unref);
    g_clear_pointer(&agent->connections, g_ptr_array_unref);
    g_clear_pointer(&agent->renew, renew_free);
}

/* --- a new program takes over ------------------------------------------------------------------
 */

/* The host waits for nothing, and what is in its port is for whoever reads next. */
static bool may_leave(gpointer user_data)
{
    const Agent *agent = user_data;

    for (unsigned i = 0; i < agent->connections->len; i++) {
        const Connection *connection = g_ptr_array_index(agent->connections, i);

        if (!session_is_idle(connection->session) || port_peer_queued(connection->peer) > 0)
            return false;
    }
    return !agent->stopping;
}

/* The upgrade may be run by the host, which then asks how it ended; it may have files open. */
static bool owes_results(gpointer user_data)
{
    const Agent *agent = user_data;

    return exec_table_count(commands_execs(agent->commands)) > 0 ||
           !file_table_is_empty(commands_files(agent->commands));
}

static unsigned open_ports(int *fds, unsigned size, gpointer user_data)
{
    const Agent *agent = user_data;
    unsigned count = MIN(agent->channels->len, size);

    for (unsigned i = 0; i < count; i++)
        fds[i] = port_device(((Channel *)g_ptr_array_index(agent->channels, i))->port);
    return count;
}

static void leave(gpointer user_data)
{
    Agent *agent = user_data;

    log_notice(agent->log, "Ends for the new program, which takes over the channels");
    channels_close(agent); /* the manager has them open: what comes now is for the new program */
    g_main_loop_quit(agent->loop);
}

void channels_watch_program(Agent *agent)
{
    RenewSpec spec = {
        .procfs = agent->paths.procfs,
        .manager = g_getenv("NOTIFY_SOCKET"),
        .may_leave = may_leave,
        .owed = owes_results,
        .ports = open_ports,
        .leave = leave,
        .user_data = agent,
    };
    unsigned stored = agent->port_fds->len;

    for (unsigned i = 0; i < MIN(stored, agent->channels->len); i++) {
        Channel *channel = g_ptr_array_index(agent->channels, i);
        int fd = g_array_index(agent->port_fds, int, i);

        if (fd >= 0)
            port_adopt(channel->port, fd);
        g_array_index(agent->port_fds, int, i) = -1;
    }
    close_unused(agent->port_fds);
    agent->renew = renew_new(&spec);
    renew_took(agent->renew, stored);
}
