/*
 * early: what a start without systemd does before it writes to any file.
 *
 * When both processes died, filesystems may still be frozen, and a log file, pid file or socket on
 * one of them would keep the start from ever getting as far as its thaw. So a child releases first
 * what the ledger names. Under systemd ExecStopPost= has done that.
 *
 * May block, for EARLY_US and EARLY_KILLED_US at most, and before that as long as ledger_open():
 * there is no main loop yet.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "agent.h"

#define EARLY_US (10 * USEC_PER_SEC) /* agent_recover() ends within 8 s */
#define EARLY_KILLED_US                                                                            \
    (1 * USEC_PER_SEC) /* then it is killed; the ledger is to be free for the start */

/* agent_recover() in a child, when one of `files` (ended by NULL; they need not exist yet) or
 * standard error lies on a filesystem that the ledger has as frozen. Not seen are filesystems that
 * are carried by one. `reload` reads the configuration for it. */
void early_recover(const AgentPaths *paths, char *const *files, AgentReload reload,
                   gpointer user_data);
