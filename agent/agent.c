/*
 * agent: see agent.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "agent.h"

#include "commands/session.h"
#include "sys/logind.h"
#include "sys/notify.h"
#include "sys/port.h"

#include <errno.h>
#include <glib-unix.h>
#include <jansson.h>
#include <signal.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

/* With when-unable=absent: how long the agent must have been unable before it leaves the port, so
 * that a keeper being restarted does not look like a missing agent. */
#define ABSENT_AFTER_US (30 * USEC_PER_SEC)
/* agent_recover() ends by then, before the TimeoutStopSec= of quiesced.service does it. */
#define RECOVER_US (8 * USEC_PER_SEC)

typedef struct {
    Agent *agent;
    Port *port;
    char *name;
    bool observe;
} Channel;

typedef struct {
    Channel *channel;
    PortPeer *peer;
    Session *session;
} Connection;

struct Agent {
    AgentPaths paths;
    Config *config;
    AgentReload reload;
    gpointer reload_data;
    Log *log;
    Notify *notify;
    Ledger *ledger;
    char *ledger_error;
    FdStore *store;
    Logind *logind;     /* NULL in agent_recover() */
    GArray *stored_fds; /* int, by ledger index */
    Coordinator *coordinator;
    Commands *commands;
    GPtrArray *channels; /* Channel * */
    GMainLoop *loop;
    GSource *absent; /* or the end of agent_recover() */
    bool ports_open, stopping;
    bool recovering; /* agent_recover() */
    int status;
};

/* --- channels ----------------------------------------------------------------------------------
 */

static void connection_send(void *bytes, size_t count, gpointer user_data)
{
    Connection *connection = user_data;

    (void)port_peer_send_taken(connection->peer, bytes, count);
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

static void peer_closed(PortPeer *peer, const char *reason, gpointer user_data)
{
    Channel *channel = user_data;
    Connection *connection = port_peer_data(peer);

    log_debug(channel->agent->log, "Channel %s: the host left: %s", channel->name, reason);
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
static void keep_stored(Agent *agent, unsigned index, int fd)
{
    const int none = -1;

    while (agent->stored_fds->len <= index)
        g_array_append_val(agent->stored_fds, none);
    g_array_index(agent->stored_fds, int, index) = fd;
}

/* What systemd hands over are sockets to listen on, and stored fds, told apart by name. */
static bool add_channels_from_systemd(Agent *agent, GError **error)
{
    g_auto(GStrv) names = NULL;
    int count = sd_listen_fds_with_names(1, &names);

    for (int i = 0; i < count; i++) {
        g_autofree char *name = g_strdup_printf("socket-%d", i);
        unsigned index = 0;
        Channel *channel = NULL;

        if (fdstore_index(names[i], &index)) {
            keep_stored(agent, index, SD_LISTEN_FDS_START + i);
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

static bool add_channels(Agent *agent, GError **error)
{
    if (!add_channels_from_systemd(agent, error))
        return false;
    if (agent->channels->len > 0)
        return true;
    for (unsigned i = 0; i < agent->config->channels->len; i++) {
        const ConfigChannel *config = g_ptr_array_index(agent->config->channels, i);
        Channel *channel = channel_new(agent, config->name, config->observe);
        PortMethod method = PORT_VIRTIO_SERIAL;

        g_ptr_array_add(agent->channels, channel);
        if (config->method && !port_method_parse(config->method, &method))
            return agent_error_errno(error, AGENT_ERROR_CONFIG, EINVAL, "channel %s: method %s",
                                     config->name, config->method);
        channel->port = port_new(config->name, method, config->path, &PORT_EVENTS, channel, error);
        if (!channel->port)
            return false;
    }
    return true;
}

static bool open_channels(Agent *agent, GError **error)
{
    agent->ports_open = true;
    for (unsigned i = 0; i < agent->channels->len; i++)
        if (!port_open(((Channel *)g_ptr_array_index(agent->channels, i))->port, error))
            return false;
    return true;
}

/* --- GuestAgent / NoGuestAgent -----------------------------------------------------------------
 */

static gboolean leave_ports(gpointer user_data)
{
    Agent *agent = user_data;
    const char *reason = NULL;

    deadline_source_clear(&agent->absent);
    if (coordinator_ready(agent->coordinator, &reason) ||
        coordinator_state(agent->coordinator) != STATE_THAWED)
        return G_SOURCE_REMOVE;
    agent->ports_open = false;
    for (unsigned i = 0; i < agent->channels->len; i++)
        port_close(((Channel *)g_ptr_array_index(agent->channels, i))->port);
    log_warning(agent->log,
                "Closed the channels, the host sees no guest agent: %s (when-unable=absent)",
                reason);
    return G_SOURCE_REMOVE;
}

static void watch_ability(Agent *agent)
{
    bool unable = !coordinator_ready(agent->coordinator, NULL) &&
                  coordinator_state(agent->coordinator) == STATE_THAWED;

    if (!unable || !agent->config->quiesce.absent_when_unable) {
        deadline_source_clear(&agent->absent);
        if (!agent->ports_open && !unable && !agent->stopping)
            (void)open_channels(agent, NULL);
        return;
    }
    if (!agent->absent && agent->ports_open)
        agent->absent = deadline_source_new(deadline_in(ABSENT_AFTER_US), leave_ports, agent);
}

/* From the first verb to the last release the machine must not sleep without telling. */
static void inhibit(Agent *agent)
{
    MachineState state = coordinator_state(agent->coordinator);
    bool idle =
        (state == STATE_THAWED || state == STATE_LOST) && coordinator_is_clear(agent->coordinator);

    if (idle)
        logind_release(agent->logind);
    else
        logind_hold(agent->logind);
}

static void coordinator_changed_state(gpointer user_data)
{
    Agent *agent = user_data;
    const char *reason = NULL;

    if (!agent->coordinator) /* during construction */
        return;
    if (agent->recovering) {
        if (coordinator_is_clear(agent->coordinator))
            g_main_loop_quit(agent->loop);
        return;
    }
    if (coordinator_ready(agent->coordinator, &reason))
        notify_status(agent->notify, "%s",
                      machine_state_name(coordinator_state(agent->coordinator)));
    else
        notify_status(agent->notify, "unable to freeze: %s", reason);
    watch_ability(agent);
    if (agent->logind)
        inhibit(agent);
}

static void machine_going(bool suspend, gpointer user_data)
{
    Agent *agent = user_data;

    if (suspend)
        coordinator_lose(agent->coordinator, ENDED_BY_SUSPEND, "the machine is being suspended");
    else
        coordinator_lose(agent->coordinator, ENDED_BY_SHUTDOWN, "the machine is going down");
}

/* --- signals -----------------------------------------------------------------------------------
 */

static void released(gpointer user_data)
{
    Agent *agent = user_data;

    g_main_loop_quit(agent->loop);
}

static gboolean on_terminate(gpointer user_data)
{
    Agent *agent = user_data;

    if (agent->stopping)
        return G_SOURCE_CONTINUE;
    agent->stopping = true;
    notify_stopping(agent->notify);
    coordinator_stop(agent->coordinator, ENDED_BY_STOP, "the service was stopped", released, agent);
    return G_SOURCE_CONTINUE;
}

static gboolean on_reload(gpointer user_data)
{
    Agent *agent = user_data;
    g_autoptr(GError) error = NULL;
    Config *config = agent->reload(agent->reload_data, &error);
    const HostProfile *profile = NULL;

    if (!config) {
        log_error(agent->log, "Configuration not reloaded, the old one stays: %s", error->message);
        return G_SOURCE_CONTINUE;
    }
    profile = g_strcmp0(config->quiesce.host, "auto") == 0 ? profile_detect(agent->paths.dmi)
                                                           : profile_by_name(config->quiesce.host);
    coordinator_set_config(agent->coordinator, config, profile);
    commands_set_config(agent->commands, config);
    log_set_level(agent->log, config->log_level);
    config_free(agent->config);
    agent->config = config;
    log_notice(agent->log, "Configuration reloaded (channels change at the next start)");
    return G_SOURCE_CONTINUE;
}

/* --- life --------------------------------------------------------------------------------------
 */

static const HostProfile *choose_profile(Agent *agent, GError **error)
{
    const char *host = agent->config->quiesce.host;
    const HostProfile *profile = NULL;

    if (g_strcmp0(host, "auto") == 0)
        return profile_detect(agent->paths.dmi);
    profile = profile_by_name(host);
    if (!profile)
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_CONFIG,
                    "[quiesce] host: '%s' is no host profile; write auto, default, kubevirt or "
                    "cloudstack",
                    host);
    return profile;
}

static void open_ledger(Agent *agent)
{
    g_autofree char *path = g_build_filename(agent->paths.runtime_dir, "ledger", NULL);
    g_autoptr(GError) error = NULL;

    (void)g_mkdir_with_parents(agent->paths.runtime_dir, 0755);
    agent->ledger = ledger_open(path, &error);
    if (agent->ledger)
        return;
    agent->ledger_error = g_strdup(error->message);
    log_error(agent->log, "%s; freezes will be refused", error->message);
}

static void build_coordinator(Agent *agent, const HostProfile *profile)
{
    CoordinatorSpec spec = {
        .log = agent->log,
        .ledger = agent->ledger,
        .ledger_error = agent->ledger_error,
        .store = agent->store,
        .stored_fds = (int *)(void *)agent->stored_fds->data,
        .n_stored_fds = agent->stored_fds->len,
        .keeper_socket = agent->paths.keeper_socket,
        .keeper_program = agent->paths.keeper_program,
        .paths = {agent->paths.mountinfo, agent->paths.sysfs, agent->paths.procfs,
                  agent->paths.hook_owner, agent->paths.runtime_dir},
        .runtime_dir = agent->paths.runtime_dir,
        .check_mount_id = agent->paths.check_mount_id,
        .profile = profile,
        .config = agent->config,
        .changed = coordinator_changed_state,
        .user_data = agent,
    };
    CommandsContext context = {.config = agent->config, .log = agent->log};

    agent->coordinator = coordinator_new(&spec);
    context.coordinator = agent->coordinator;
    agent->commands = commands_new(&context);
    log_info(agent->log, "Host profile %s: a freeze is answered within %.1f s", profile->name,
             (double)coordinator_reply_budget(agent->coordinator) / USEC_PER_SEC);
}

Agent *agent_new(const AgentPaths *paths, Config *config, AgentReload reload, gpointer user_data,
                 GError **error)
{
    g_autoptr(Agent) agent = g_new0(Agent, 1);
    const HostProfile *profile = NULL;

    agent->paths = *paths;
    agent->config = config;
    agent->reload = reload;
    agent->reload_data = user_data;
    json_object_seed(0); /* reads /dev/urandom: now, not at the first request while frozen */
    agent->channels = g_ptr_array_new_with_free_func((GDestroyNotify)channel_free);
    agent->stored_fds = g_array_new(FALSE, FALSE, sizeof(int));
    agent->loop = g_main_loop_new(NULL, FALSE);
    agent->log = log_new(paths->program, config->log_level, NULL);
    agent->notify = notify_new(g_getenv("NOTIFY_SOCKET"));
    agent->store = fdstore_new(g_getenv("NOTIFY_SOCKET"));
    profile = choose_profile(agent, error);
    if (!profile || !add_channels(agent, error))
        return NULL;
    open_ledger(agent);
    build_coordinator(agent, profile);
    return g_steal_pointer(&agent);
}

void agent_free(Agent *agent)
{
    if (!agent)
        return;
    deadline_source_clear(&agent->absent);
    for (unsigned i = 0; agent->commands && i < agent->channels->len; i++)
        port_close(((Channel *)g_ptr_array_index(agent->channels, i))->port);
    g_clear_pointer(&agent->channels, g_ptr_array_unref);
    g_clear_pointer(&agent->commands, commands_free);
    g_clear_pointer(&agent->coordinator, coordinator_free);
    ledger_close(agent->ledger);
    g_free(agent->ledger_error);
    fdstore_free(agent->store);
    logind_free(agent->logind);
    g_array_unref(agent->stored_fds);
    notify_free(agent->notify);
    log_free(agent->log);
    config_free(agent->config);
    g_clear_pointer(&agent->loop, g_main_loop_unref);
    g_free(agent);
}

static bool agent_start(Agent *agent)
{
    g_autoptr(GError) error = NULL;
    uint64_t watchdog_us = 0;

    (void)signal(SIGPIPE, SIG_IGN); /* a peer or log reader that left is an error, not the end */
    (void)g_unix_signal_add(SIGTERM, on_terminate, agent);
    (void)g_unix_signal_add(SIGINT, on_terminate, agent);
    (void)g_unix_signal_add(SIGHUP, on_reload, agent);
    agent->logind = logind_new(machine_going, agent);
    coordinator_start(agent->coordinator);
    if (!open_channels(agent, &error)) {
        log_error(agent->log, "%s", error->message);
        return false;
    }
    if (sd_watchdog_enabled(0, &watchdog_us) > 0)
        notify_watchdog(agent->notify, watchdog_us);
    coordinator_changed_state(agent);
    notify_ready(agent->notify);
    return true;
}

int agent_run(Agent *agent)
{
    if (!agent_start(agent))
        return 1;
    g_main_loop_run(agent->loop);
    /* A participant that is still at its release goes on by itself; taking things down would end
     * it. The ledger keeps it for whoever comes next. */
    if (!coordinator_is_clear(agent->coordinator))
        _exit(0);
    return 0;
}

static gboolean recovery_over(gpointer user_data)
{
    Agent *agent = user_data;

    deadline_source_clear(&agent->absent);
    g_main_loop_quit(agent->loop);
    return G_SOURCE_REMOVE;
}

int agent_recover(Agent *agent)
{
    agent->recovering = true;
    if (!agent->ledger)
        return 1;
    coordinator_start(agent->coordinator);
    agent->absent = deadline_source_new(deadline_in(RECOVER_US), recovery_over, agent);
    if (!coordinator_is_clear(agent->coordinator))
        g_main_loop_run(agent->loop);
    return coordinator_is_clear(agent->coordinator) ? 0 : 1;
}
