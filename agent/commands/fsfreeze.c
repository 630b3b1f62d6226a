/*
 * fsfreeze: the four stock commands, guest-fsfreeze-status, -freeze, -freeze-list, -thaw.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "commands/families.h"
#include "quiesce/coordinator_view.h"

static Coordinator *coordinator_of(const Call *call)
{
    return commands_context(call_commands(call))->coordinator;
}

void fsfreeze_answer_failed(Call *call, const Answer *answer)
{
    if (answer->kind == ANSWER_FROZEN)
        call_fail(call, PROTO_COMMAND_NOT_FOUND,
                  "Command %s has been disabled: the agent is in frozen state",
                  call_command(call)->name);
    else
        call_fail(call, PROTO_GENERIC_ERROR, "%s", answer->text);
}

static void run_status(Call *call)
{
    call_return(call, json_string(coordinator_fsfreeze_status(coordinator_of(call))));
}

static void counted(const Answer *answer, gpointer user_data)
{
    Call *call = user_data;

    if (answer->kind == ANSWER_OK)
        call_return(call, json_integer(answer->count));
    else
        fsfreeze_answer_failed(call, answer);
}

static void run_freeze(Call *call)
{
    g_auto(GStrv) mountpoints = call_strings(call, "mountpoints");
    FreezeRequest request = {
        .channel = call_channel(call), .mountpoints = mountpoints, .level = -1};

    coordinator_freeze(coordinator_of(call), &request, counted, call);
}

static void run_thaw(Call *call)
{
    coordinator_thaw(coordinator_of(call), NULL, false, counted, call);
}

static const ArgSpec LIST_ARGUMENTS[] = {{"mountpoints", ARG_NAME_ARRAY, false}};

const Command FSFREEZE_COMMANDS[] = {
    {.name = "guest-fsfreeze-status", .while_frozen = true, .run = run_status},
    {.name = "guest-fsfreeze-freeze",
     .while_frozen = true,
     .changes = true,
     .waits = true,
     .run = run_freeze},
    {.name = "guest-fsfreeze-freeze-list",
     .arguments = LIST_ARGUMENTS,
     .n_arguments = G_N_ELEMENTS(LIST_ARGUMENTS),
     .while_frozen = true,
     .changes = true,
     .waits = true,
     .run = run_freeze},
    {.name = "guest-fsfreeze-thaw",
     .while_frozen = true,
     .changes = true,
     .cancels = true,
     .waits = true,
     .run = run_thaw},
};
const unsigned FSFREEZE_COMMANDS_COUNT = G_N_ELEMENTS(FSFREEZE_COMMANDS);
