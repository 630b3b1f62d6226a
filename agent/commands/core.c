/*
 * core: guest-sync, guest-sync-delimited, guest-ping, guest-info.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "commands/families.h"

static void run_sync(Call *call)
{
    call_return(call, json_integer(call_integer(call, "id", 0)));
}

static void run_ping(Call *call)
{
    call_return(call, NULL);
}

static void run_info(Call *call)
{
    json_t *object = json_object();
    json_t *list = json_array();
    const Command *command = NULL;

    for (unsigned i = 0; (command = commands_nth(i)); i++) {
        json_t *entry = json_object();

        (void)json_object_set_new(entry, "enabled",
                                  json_boolean(commands_enabled(call_commands(call), command)));
        (void)json_object_set_new(entry, "name", json_string(command->name));
        (void)json_object_set_new(entry, "success-response", json_boolean(!command->silent));
        (void)json_array_append_new(list, entry);
    }
    (void)json_object_set_new(
        object, "version", json_string(COMMANDS_STOCK_VERSION " (quiesced " PACKAGE_VERSION ")"));
    (void)json_object_set_new(object, "supported_commands", list);
    call_return(call, object);
}

static const ArgSpec SYNC_ARGUMENTS[] = {{"id", ARG_INTEGER, true}};

const Command CORE_COMMANDS[] = {
    {.name = "guest-sync-delimited",
     .arguments = SYNC_ARGUMENTS,
     .n_arguments = G_N_ELEMENTS(SYNC_ARGUMENTS),
     .while_frozen = true,
     .delimited = true,
     .cancels = true,
     .run = run_sync},
    {.name = "guest-sync",
     .arguments = SYNC_ARGUMENTS,
     .n_arguments = G_N_ELEMENTS(SYNC_ARGUMENTS),
     .while_frozen = true,
     .cancels = true,
     .run = run_sync},
    {.name = "guest-ping", .while_frozen = true, .run = run_ping},
    {.name = "guest-info", .while_frozen = true, .run = run_info},
};
const unsigned CORE_COMMANDS_COUNT = G_N_ELEMENTS(CORE_COMMANDS);
