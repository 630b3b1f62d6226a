/*
 * agent: see agent.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "agent_internal.h"

#include "quiesce/coordinator_requests.h"
#include "quiesce/coordinator_view.h"

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
    channels_close(agent);
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
            (void)channels_open(agent, NULL);
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
    renew_settled(agent->renew, idle);
}

static void coordinator_changed_state(gpointer user_data)
{
    Agent *agent = user_data;
    const char *reason = NULL;

    if (!agent->coordinator) /* during construction */
        return;
    if (agent->recovering) {
        if (coordinator_is_clear(agent->coordinator) ||
            coordinator_leaves_the_rest(agent->coordinator))
            g_main_loop_quit(agent->loop);
        return;
    }
    if (coordinator_state(agent->coordinator) == STATE_PREPARING)
        commands_prepare(agent->commands);
    if (coordinator_ready(agent->coordinator, &reason))
        notify_status(agent->notify, "%s",
                      machine_state_name(coordinator_state(agent->coordinator)));
    else
        notify_status(agent->notify, "unable to freeze: %s", reason);
    watch_ability(agent);
    if (agent->logind)
        inhibit(agent);
    if (agent->bus)
        bus_changed(agent->bus);
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

static void kept(gpointer user_data)
{
    Agent *agent = user_data;

    g_main_loop_quit(agent->loop);
}

static void released(gpointer user_data)
{
    Agent *agent = user_data;

    coordinator_save(agent->coordinator, kept, agent);
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

    reload_begin(agent);
    if (renew_ask(agent->renew, false))
        log_notice(agent->log, "The program was replaced; the new one takes over as soon as "
                               "nothing is frozen or under way");
    return G_SOURCE_CONTINUE;
}

static gboolean on_renew(gpointer user_data)
{
    Agent *agent = user_data;

    if (renew_ask(agent->renew, true))
        log_notice(agent->log, "Is started anew as soon as nothing is frozen or under way");
    else
        log_warning(agent->log, "SIGUSR1: nobody would start it anew; restart it by hand");
    return G_SOURCE_CONTINUE;
}

/* --- life --------------------------------------------------------------------------------------
 */

static const HostProfile *choose_profile(Agent *agent, GError **error)
{
    const char *host = agent->config->quiesce.host;
    const HostProfile *profile = profile_choose(host, agent->paths.dmi);

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
        .paths = {.mountinfo = agent->paths.mountinfo,
                  .sysfs = agent->paths.sysfs,
                  .procfs = agent->paths.procfs,
                  .hook_owner = agent->paths.hook_owner,
                  .run_as = agent->paths.run_as,
                  .state = agent->paths.runtime_dir},
        .runtime_dir = agent->paths.runtime_dir,
        .state_dir = agent->paths.state_dir,
        .check_mount_id = agent->paths.check_mount_id,
        .profile = profile,
        .config = agent->config,
        .changed = coordinator_changed_state,
        .user_data = agent,
    };
    CommandsContext context = {
        .config = agent->config,
        .log = agent->log,
        .paths = {agent->paths.mountinfo, agent->paths.sysfs, agent->paths.procfs,
                  agent->paths.run},
        .runtime_dir = agent->paths.runtime_dir,
        .programs = agent->paths.programs,
    };

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
    agent->stored_fds = g_array_new(FALSE, FALSE, sizeof(int));
    agent->group_fds = g_array_new(FALSE, FALSE, sizeof(int));
    agent->loop = g_main_loop_new(NULL, FALSE);
    agent->log = log_new(paths->program, config->log_level, NULL);
    agent->notify = notify_new(g_getenv("NOTIFY_SOCKET"));
    agent->store = fdstore_new(g_getenv("NOTIFY_SOCKET"), FDSTORE_HOLDS);
    profile = choose_profile(agent, error);
    if (!profile || !channels_add(agent, error))
        return NULL;
    open_ledger(agent);
    channels_place_group(agent);
    build_coordinator(agent, profile);
    return g_steal_pointer(&agent);
}

void agent_free(Agent *agent)
{
    if (!agent)
        return;
    deadline_source_clear(&agent->absent);
    reload_free(agent);
    channels_free(agent);
    g_clear_pointer(&agent->commands, commands_free);
    g_clear_pointer(&agent->coordinator, coordinator_free);
    bus_free(agent->bus);
    ledger_close(agent->ledger);
    g_free(agent->ledger_error);
    fdstore_free(agent->store);
    logind_free(agent->logind);
    g_array_unref(agent->stored_fds);
    g_array_unref(agent->group_fds);
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
    (void)g_unix_signal_add(SIGUSR1, on_renew, agent);
    agent->logind = logind_new(machine_going, agent);
    agent->bus = bus_new(agent->log, agent->coordinator, agent->config);
    bus_start(agent->bus);
    coordinator_start(agent->coordinator);
    channels_watch_program(agent);
    if (!channels_open(agent, &error)) {
        log_error(agent->log, "%s", error->message);
        return false;
    }
    if (sd_watchdog_enabled(0, &watchdog_us) > 0)
        notify_watchdog(agent->notify, watchdog_us);
    coordinator_changed_state(agent);
    commands_prepare(agent->commands);
    notify_ready(agent->notify);
    return true;
}

static gboolean recovery_over(gpointer user_data)
{
    Agent *agent = user_data;

    deadline_source_clear(&agent->absent);
    g_main_loop_quit(agent->loop);
    return G_SOURCE_REMOVE;
}

static void recover_for_a_while(Agent *agent)
{
    agent->recovering = true;
    deadline_source_clear(&agent->absent);
    agent->absent = deadline_source_new(deadline_in(RECOVER_US), recovery_over, agent);
    if (!coordinator_is_clear(agent->coordinator))
        g_main_loop_run(agent->loop);
}

int agent_run(Agent *agent)
{
    if (!agent_start(agent)) {
        recover_for_a_while(agent); /* no channel is needed for that */
        return 1;
    }
    g_main_loop_run(agent->loop);
    /* A participant that is still at its release goes on by itself; taking things down would end
     * it. The ledger keeps it for whoever comes next. */
    if (!coordinator_is_clear(agent->coordinator))
        _exit(0);
    return 0;
}

int agent_recover(Agent *agent)
{
    agent->recovering = true;
    if (!agent->ledger)
        return 1;
    coordinator_start(agent->coordinator);
    recover_for_a_while(agent);
    return coordinator_is_clear(agent->coordinator) ? 0 : 1;
}
