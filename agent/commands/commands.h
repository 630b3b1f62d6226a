/*
 * commands: what a host may ask, in one table, and who may ask it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/config.h"
#include "proto/request.h"
#include "quiesce/coordinator.h"

/* The protocol level matched, shown first in guest-info: hosts compare it. */
#define COMMANDS_STOCK_VERSION "11.1.1"

typedef struct Commands Commands;
struct Call;
struct Command;
struct Question;

/* Where things are; "/proc/self/mountinfo", "/sys", "/proc", "/run" on an installed system. */
typedef struct {
    const char *mountinfo, *sysfs, *procfs, *run;
} AskPaths;

typedef struct {
    Coordinator *coordinator;
    const Config *config; /* borrowed; commands_set_config() replaces it */
    Log *log;
    AskPaths paths; /* borrowed */
    const char *runtime_dir;
    const char *programs; /* where the programs of the system are, as in $PATH */
} CommandsContext;

Commands *commands_new(const CommandsContext *context);
void commands_free(Commands *commands);
void commands_set_config(Commands *commands, const Config *config);
const CommandsContext *commands_context(const Commands *commands);
/* Learns what must be known once filesystems are frozen: at the start, and before a freeze. */
void commands_prepare(Commands *commands);
/* Answers `call` by what `question` gathers (ask.h). */
void commands_ask(const struct Question *question, struct Call *call);
/* For the family that owns it. */
struct ExecTable *commands_execs(const Commands *commands);
struct FileTable *commands_files(const Commands *commands);

const struct Command *commands_find(const char *name); /* NULL: unknown */
const struct Command *commands_nth(unsigned index);    /* NULL: no more */
/* By allow and block lists only, as guest-info shows it. */
bool commands_enabled(const Commands *commands, const struct Command *command);
/* Whether it may run now on a channel; the stock texts otherwise. */
bool commands_permit(const Commands *commands, const struct Command *command, const char *channel,
                     bool observe, ProtoError *ret_error);
