/*
 * quiesce: the commands of quiesced's own; docs/host.md describes their answers.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "commands/families.h"
#include "quiesce/json.h"
#include "quiesce/plan.h"

#include <string.h>

#define LIMIT_MS_MAX                                                                               \
    (INT64_C(24) * 3600 * 1000) /* a day; more is a mistake in the caller's units */

static Coordinator *coordinator_of(const Call *call)
{
    return commands_context(call_commands(call))->coordinator;
}

static void run_status(Call *call)
{
    call_return(call, quiesce_status_json(coordinator_of(call)));
}

static void run_report(Call *call)
{
    int64_t limit = call_integer(call, "limit", 1);
    const char *operation = call_string(call, "operation");

    if (limit < 1 || limit > (int64_t)REPORT_HISTORY) {
        call_fail(call, PROTO_GENERIC_ERROR, "Parameter 'limit' expects a value from 1 to %u",
                  REPORT_HISTORY);
        return;
    }
    if (operation && !history_find(coordinator_history(coordinator_of(call)), operation)) {
        call_fail(call, PROTO_GENERIC_ERROR,
                  "operation '%.40s' has not been found; the last %u are kept", operation,
                  REPORT_HISTORY);
        return;
    }
    call_return(call, quiesce_report_json(coordinator_of(call), operation, (unsigned)limit));
}

static void planned(json_t *plan, const char *error, gpointer user_data)
{
    if (plan)
        call_return(user_data, plan);
    else
        call_fail(user_data, PROTO_GENERIC_ERROR, "%s", error);
}

static void run_plan(Call *call)
{
    g_auto(GStrv) mountpoints = call_strings(call, "mountpoints");

    if (coordinator_commands_limited(coordinator_of(call))) {
        call_fail(call, PROTO_COMMAND_NOT_FOUND,
                  "Command %s has been disabled: the agent is in frozen state",
                  call_command(call)->name);
        return;
    }
    plan_run(coordinator_of(call), (const char *const *)mountpoints, planned, call);
}

static void froze(const Answer *answer, gpointer user_data)
{
    Call *call = user_data;

    if (answer->kind == ANSWER_OK)
        call_return(call, quiesce_freeze_json(coordinator_of(call), answer));
    else
        fsfreeze_answer_failed(call, answer);
}

static bool ms_argument(Call *call, const char *name, int64_t max_ms, int64_t *ret_us)
{
    int64_t ms = call_integer(call, name, 0);

    *ret_us = 0;
    if (!call_has(call, name))
        return true;
    if (ms < 1 || ms > max_ms) {
        call_fail(call, PROTO_GENERIC_ERROR,
                  "Parameter '%s' expects a value from 1 to %" G_GINT64_FORMAT " milliseconds",
                  name, max_ms);
        return false;
    }
    *ret_us = ms * USEC_PER_MSEC;
    return true;
}

static void run_freeze(Call *call)
{
    const Config *config = commands_context(call_commands(call))->config;
    g_auto(GStrv) mountpoints = call_strings(call, "mountpoints");
    const char *level = call_string(call, "level");
    FreezeRequest request = {
        .channel = call_channel(call), .mountpoints = mountpoints, .level = -1};

    for (int i = LEVEL_CRASH; level && i <= LEVEL_APPLICATION; i++)
        if (strcmp(level, level_name((Level)i)) == 0)
            request.level = i;
    if (level && request.level < 0) {
        call_fail(call, PROTO_GENERIC_ERROR,
                  "Parameter 'level' expects application, filesystem or crash");
        return;
    }
    if (!ms_argument(call, "frozen-limit-ms", config->quiesce.frozen_limit_max_us / USEC_PER_MSEC,
                     &request.limit_us) ||
        !ms_argument(call, "budget-ms", LIMIT_MS_MAX, &request.budget_us))
        return;
    coordinator_freeze(coordinator_of(call), &request, froze, call);
}

static void thawed(const Answer *answer, gpointer user_data)
{
    if (answer->kind == ANSWER_OK)
        call_return(user_data, quiesce_thaw_json(answer));
    else
        fsfreeze_answer_failed(user_data, answer);
}

static void run_thaw(Call *call)
{
    coordinator_thaw(coordinator_of(call), call_string(call, "operation"), true, thawed, call);
}

static void run_complete(Call *call)
{
    g_autoptr(GError) error = NULL;

    if (coordinator_complete(coordinator_of(call), call_string(call, "operation"),
                             call_flag(call, "success"), &error))
        call_return(call, NULL);
    else
        call_fail(call, PROTO_GENERIC_ERROR, "%s", error->message);
}

static const ArgSpec PLAN_ARGUMENTS[] = {{"mountpoints", ARG_NAME_ARRAY, false}};
static const ArgSpec REPORT_ARGUMENTS[] = {
    {"operation", ARG_STRING, false},
    {"limit", ARG_INTEGER, false},
};
static const ArgSpec FREEZE_ARGUMENTS[] = {
    {"mountpoints", ARG_NAME_ARRAY, false},
    {"frozen-limit-ms", ARG_INTEGER, false},
    {"budget-ms", ARG_INTEGER, false},
    {"level", ARG_STRING, false},
};
static const ArgSpec THAW_ARGUMENTS[] = {{"operation", ARG_STRING, false}};
static const ArgSpec COMPLETE_ARGUMENTS[] = {
    {"operation", ARG_STRING, true},
    {"success", ARG_BOOLEAN, true},
};

const Command QUIESCE_COMMANDS[] = {
    {.name = "guest-quiesce-status", .while_frozen = true, .run = run_status},
    {.name = "guest-quiesce-plan",
     .arguments = PLAN_ARGUMENTS,
     .n_arguments = G_N_ELEMENTS(PLAN_ARGUMENTS),
     .while_frozen = true,
     .run = run_plan},
    {.name = "guest-quiesce-report",
     .arguments = REPORT_ARGUMENTS,
     .n_arguments = G_N_ELEMENTS(REPORT_ARGUMENTS),
     .while_frozen = true,
     .run = run_report},
    {.name = "guest-quiesce-freeze",
     .arguments = FREEZE_ARGUMENTS,
     .n_arguments = G_N_ELEMENTS(FREEZE_ARGUMENTS),
     .while_frozen = true,
     .changes = true,
     .waits = true,
     .run = run_freeze},
    {.name = "guest-quiesce-thaw",
     .arguments = THAW_ARGUMENTS,
     .n_arguments = G_N_ELEMENTS(THAW_ARGUMENTS),
     .while_frozen = true,
     .changes = true,
     .cancels = true,
     .waits = true,
     .run = run_thaw},
    {.name = "guest-quiesce-complete",
     .arguments = COMPLETE_ARGUMENTS,
     .n_arguments = G_N_ELEMENTS(COMPLETE_ARGUMENTS),
     .while_frozen = true,
     .changes = true,
     .run = run_complete},
};
const unsigned QUIESCE_COMMANDS_COUNT = G_N_ELEMENTS(QUIESCE_COMMANDS);
