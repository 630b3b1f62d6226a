/*
 * agent: the composition root: channels, commands, coordinator and systemd, put together.
 *
 * The only file that knows every layer. Owns everything; agent_run() returns when the service has
 * been told to end and has released what it held.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/config.h"

/* Where things are; main.c has the installed ones, tests their own. */
typedef struct {
    const char *program; /* the name in log records */
    const char *config_file;
    bool config_required;
    const char *runtime_dir;    /* /run/quiesced */
    const char *run_as;         /* quiesced-run-as */
    const char *state_dir;      /* /var/lib/quiesced */
    const char *keeper_socket;  /* below runtime_dir */
    const char *keeper_program; /* started when the socket is not there; NULL: never */
    const char *mountinfo, *sysfs, *procfs, *run, *dmi;
    const char *programs; /* of the system, as in $PATH */
    bool check_mount_id;
    unsigned hook_owner;
} AgentPaths;

typedef struct Agent Agent;

/* Reads the configuration again on SIGHUP: `reload` builds one (files, then the command line). In a
 * thread, which may outlast its use: what it works on is not to be changed. */
typedef Config *(*AgentReload)(gpointer user_data, GError **error);

/* `config` is taken over. */
Agent *agent_new(const AgentPaths *paths, Config *config, AgentReload reload, gpointer user_data,
                 GError **error);
void agent_free(Agent *agent);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Agent, agent_free)
int agent_run(Agent *agent); /* exit status */
/* Instead: releases what a service that died left frozen or held, by its ledger, within seconds; 0
 * when nothing is left. Opens no channel. The verdict stays for the next start. */
int agent_recover(Agent *agent);
