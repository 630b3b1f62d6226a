/*
 * commands: see commands.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "commands/commands.h"

#include "commands/ask.h"
#include "commands/exec_table.h"
#include "commands/families.h"
#include "commands/file_table.h"
#include "quiesce/coordinator_view.h"

#include <string.h>

struct Commands {
    CommandsContext context;
    Asker *asker;
    ExecTable *execs;
    FileTable *files;
};

Commands *commands_new(const CommandsContext *context)
{
    Commands *commands = g_new0(Commands, 1);

    commands->context = *context;
    commands->asker = asker_new(&context->paths);
    commands->execs = exec_table_new();
    commands->files = file_table_new(context->runtime_dir);
    return commands;
}

void commands_free(Commands *commands)
{
    if (!commands)
        return;
    asker_free(commands->asker);
    exec_table_free(commands->execs);
    file_table_free(commands->files);
    g_free(commands);
}

void commands_set_config(Commands *commands, const Config *config)
{
    commands->context.config = config;
}

const CommandsContext *commands_context(const Commands *commands)
{
    return &commands->context;
}

void commands_prepare(Commands *commands)
{
    static const Question *const AHEAD[] = {&OSINFO_QUESTION, &TIMEZONE_QUESTION, &FSINFO_QUESTION,
                                            &DISKS_QUESTION};

    for (unsigned i = 0; i < G_N_ELEMENTS(AHEAD); i++)
        ask_ahead(commands->asker, AHEAD[i]);
}

void commands_ask(const Question *question, Call *call)
{
    Commands *commands = call_commands(call);

    ask(commands->asker, question, call,
        coordinator_commands_limited(commands->context.coordinator));
}

ExecTable *commands_execs(const Commands *commands)
{
    return commands->execs;
}

FileTable *commands_files(const Commands *commands)
{
    return commands->files;
}

const Command *commands_nth(unsigned index)
{
    const struct {
        const Command *table;
        unsigned count;
    } families[] = {
        {CORE_COMMANDS, CORE_COMMANDS_COUNT},
        {FSFREEZE_COMMANDS, FSFREEZE_COMMANDS_COUNT},
        {QUIESCE_COMMANDS, QUIESCE_COMMANDS_COUNT},
        {SYSTEM_COMMANDS, SYSTEM_COMMANDS_COUNT},
        {HARDWARE_COMMANDS, HARDWARE_COMMANDS_COUNT},
        {EXEC_COMMANDS, EXEC_COMMANDS_COUNT},
        {FILE_COMMANDS, FILE_COMMANDS_COUNT},
        {ACCOUNT_COMMANDS, ACCOUNT_COMMANDS_COUNT},
        {CLOCK_COMMANDS, CLOCK_COMMANDS_COUNT},
        {HOTPLUG_COMMANDS, HOTPLUG_COMMANDS_COUNT},
        {POWER_COMMANDS, POWER_COMMANDS_COUNT},
        {TRIM_COMMANDS, TRIM_COMMANDS_COUNT},
        {NETWORK_COMMANDS, NETWORK_COMMANDS_COUNT},
        {STATISTICS_COMMANDS, STATISTICS_COMMANDS_COUNT},
        {STORAGE_COMMANDS, STORAGE_COMMANDS_COUNT},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(families); i++) {
        if (index < families[i].count)
            return &families[i].table[index];
        index -= families[i].count;
    }
    return NULL;
}

const Command *commands_find(const char *name)
{
    const Command *command = NULL;

    for (unsigned i = 0; (command = commands_nth(i)); i++)
        if (strcmp(command->name, name) == 0)
            return command;
    return NULL;
}

bool commands_enabled(const Commands *commands, const Command *command)
{
    const char *const *allow = (const char *const *)commands->context.config->rpc.allow;
    const char *const *block = (const char *const *)commands->context.config->rpc.block;

    if (block && g_strv_contains(block, command->name))
        return false;
    return !allow || !allow[0] || g_strv_contains(allow, command->name);
}

bool commands_permit(const Commands *commands, const Command *command, const char *channel,
                     bool observe, ProtoError *ret_error)
{
    if (!commands_enabled(commands, command)) {
        proto_error_set(ret_error, PROTO_COMMAND_NOT_FOUND,
                        "Command %s has been disabled: the command is not allowed", command->name);
        return false;
    }
    if (observe && command->changes) {
        proto_error_set(ret_error, PROTO_COMMAND_NOT_FOUND,
                        "Command %s has been disabled: channel %s is configured with "
                        "commands=observe",
                        command->name, channel);
        return false;
    }
    if (!command->while_frozen && coordinator_commands_limited(commands->context.coordinator)) {
        proto_error_set(ret_error, PROTO_COMMAND_NOT_FOUND,
                        "Command %s has been disabled: the agent is in frozen state",
                        command->name);
        return false;
    }
    return true;
}
