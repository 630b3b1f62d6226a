/*
 * agent_internal: what the files of the composition root share: agent.c (life, signals, what is
 * told to systemd), agent_channels.c (ports, sessions, the hand-over to a new program) and
 * agent_reload.c. Nobody else includes it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "agent.h"

#include "bus/bus.h"
#include "commands/session.h"
#include "sys/logind.h"
#include "sys/notify.h"
#include "sys/offload.h"
#include "sys/port.h"
#include "sys/renew.h"

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
    Offload *reloading;
    Log *log;
    Notify *notify;
    Ledger *ledger;
    char *ledger_error;
    FdStore *store;
    Logind *logind;     /* NULL in agent_recover() */
    Bus *bus;           /* so is this */
    GArray *stored_fds; /* int, by ledger index */
    GArray *group_fds;  /* int: to be found in the ledger by their devices */
    GArray *port_fds;   /* int, by channel: from the program before this one */
    Renew *renew;       /* NULL in agent_recover() */
    Coordinator *coordinator;
    Commands *commands;
    GPtrArray *channels;    /* Channel * */
    GPtrArray *connections; /* Connection *, borrowed */
    GMainLoop *loop;
    GSource *absent; /* or the end of agent_recover() */
    bool ports_open, stopping, reload_again;
    bool recovering; /* agent_recover() */
};

/* agent_reload.c */
void reload_begin(Agent *agent);
void reload_free(Agent *agent);

/* agent_channels.c */
bool channels_add(Agent *agent, GError **error); /* systemd's sockets, else the configured ones */
bool channels_open(Agent *agent, GError **error);
void channels_place_group(Agent *agent); /* group_fds into stored_fds, once the ledger is open */
void channels_close(Agent *agent);
void channels_free(Agent *agent);
void channels_watch_program(Agent *agent); /* from now on a new program can take over */
