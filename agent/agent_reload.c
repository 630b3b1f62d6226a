/*
 * agent_reload: the configuration read again, on SIGHUP, off the main loop.
 *
 * What is wrong with it, or a disk that does not answer, leaves the old one in force.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "agent_internal.h"

#define RELOAD_S 10 /* a few small files, on a busy disk */

typedef struct {
    AgentReload reload;
    gpointer user_data;
} Ask;

typedef struct {
    Config *config; /* NULL: `error` */
    GError *error;
} Found;

static void found_free(gpointer data)
{
    Found *found = data;

    config_free(found->config);
    g_clear_error(&found->error);
    g_free(found);
}

/* In the thread. */
static gpointer read_again(gpointer input)
{
    const Ask *ask = input;
    Found *found = g_new0(Found, 1);

    found->config = ask->reload(ask->user_data, &found->error);
    return found;
}

static void use(Agent *agent, Config *config)
{
    coordinator_set_config(agent->coordinator, config,
                           profile_choose(config->quiesce.host, agent->paths.dmi));
    commands_set_config(agent->commands, config);
    bus_set_config(agent->bus, config);
    log_set_level(agent->log, config->log_level);
    config_free(agent->config);
    agent->config = config;
    log_notice(agent->log, "Configuration reloaded (channels change at the next start)");
}

static void not_reloaded(Agent *agent, const char *why)
{
    log_error(agent->log, "Configuration not reloaded, the old one stays: %s", why);
}

static void too_late(Agent *agent)
{
    g_autofree char *why = g_strdup_printf(
        "it could not be read within %d s; send SIGHUP again when its disk answers", RELOAD_S);

    not_reloaded(agent, why);
}

static void read_done(gpointer result, bool timed_out, gpointer user_data)
{
    Agent *agent = user_data;
    Found *found = result;

    agent->reloading = NULL;
    if (timed_out)
        too_late(agent);
    else if (!found)
        not_reloaded(agent, "no thread could be had to read it; send SIGHUP again");
    else if (!found->config)
        not_reloaded(agent, found->error->message);
    else
        use(agent, g_steal_pointer(&found->config));
    if (found)
        found_free(found);
    if (agent->reload_again)
        reload_begin(agent);
}

void reload_begin(Agent *agent)
{
    g_autoptr(GError) error = NULL;
    Ask *ask = NULL;

    /* It may have changed after it was read. */
    agent->reload_again = agent->reloading != NULL;
    if (agent->reloading)
        return;
    ask = g_new(Ask, 1);
    *ask = (Ask){agent->reload, agent->reload_data};
    agent->reloading = offload_run("reload", read_again, ask, g_free, found_free,
                                   deadline_in(RELOAD_S * USEC_PER_SEC), read_done, agent, &error);
    if (!agent->reloading)
        not_reloaded(agent, error->message);
}

void reload_free(Agent *agent)
{
    if (agent->reloading)
        offload_cancel(agent->reloading);
    agent->reloading = NULL;
}
