/*
 * call: see call.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "commands/call.h"

#include "commands/heavy.h"
#include "proto/reply.h"
#include "quiesce/coordinator_requests.h"

#include <stdlib.h>

struct Call {
    Commands *commands;
    const Command *command;
    Request request;
    char *channel;
    CallAnswered answered; /* NULL: orphaned */
    gpointer user_data;
};

Call *call_new(Commands *commands, const Command *command, Request *request, const char *channel,
               CallAnswered answered, gpointer user_data)
{
    Call *call = g_new0(Call, 1);

    call->commands = commands;
    call->command = command;
    call->request = *request;
    *request = (Request){0};
    call->channel = g_strdup(channel);
    call->answered = answered;
    call->user_data = user_data;
    return call;
}

static void call_free(Call *call)
{
    heavy_clear(&call->request);
    g_free(call->channel);
    g_free(call);
}

static void answer(Call *call, char *bytes, size_t length)
{
    CallAnswered answered = call->answered;

    if (answered)
        answered(call, bytes, length, call->user_data);
    else
        free(bytes);
    call_free(call);
}

void call_run(Call *call)
{
    ProtoError error;

    if (!request_check_arguments(&call->request, call->command->arguments,
                                 call->command->n_arguments, &error)) {
        call_fail(call, error.class, "%s", error.text);
        return;
    }
    call->command->run(call);
}

void call_orphan(Call *call)
{
    call->answered = NULL;
    if (!call->command->waits)
        return;
    coordinator_detach(commands_context(call->commands)->coordinator, call, true);
    call_free(call);
}

void call_cancel(Call *call)
{
    if (call->command->waits)
        coordinator_detach(commands_context(call->commands)->coordinator, call, false);
}

void call_return(Call *call, json_t *value)
{
    size_t length = 0;
    char *bytes = NULL;

    if (!call->command->silent)
        bytes = reply_success(value, call->request.id, call->command->delimited, &length);
    json_decref(value);
    answer(call, bytes, length);
}

void call_return_begun(Call *call, char *bytes, size_t length)
{
    size_t finished = 0;
    char *reply = reply_finish(bytes, length, call->request.id, &finished);

    answer(call, reply, finished);
}

void call_fail(Call *call, ProtoClass class, const char *format, ...)
{
    ProtoError error = {.class = class};
    size_t length = 0;
    char *bytes = NULL;
    va_list args;

    va_start(args, format);
    (void)g_vsnprintf(error.text, sizeof(error.text), format, args);
    va_end(args);
    bytes = reply_error(&error, call->request.id, &length);
    answer(call, bytes, length);
}

Commands *call_commands(const Call *call)
{
    return call->commands;
}

const Command *call_command(const Call *call)
{
    return call->command;
}

const char *call_channel(const Call *call)
{
    return call->channel;
}

bool call_has(const Call *call, const char *name)
{
    return json_object_get(call->request.arguments, name) != NULL;
}

int64_t call_integer(const Call *call, const char *name, int64_t otherwise)
{
    json_t *value = json_object_get(call->request.arguments, name);

    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

const char *call_string(const Call *call, const char *name)
{
    return json_string_value(json_object_get(call->request.arguments, name));
}

char **call_strings(const Call *call, const char *name)
{
    json_t *value = json_object_get(call->request.arguments, name);
    char **strings = NULL;

    if (!json_is_array(value))
        return NULL;
    strings = g_new0(char *, json_array_size(value) + 1);
    for (size_t i = 0; i < json_array_size(value); i++)
        strings[i] = g_strdup(json_string_value(json_array_get(value, i)));
    return strings;
}

bool call_flag(const Call *call, const char *name)
{
    return json_is_true(call_value(call, name));
}

json_t *call_value(const Call *call, const char *name)
{
    return json_object_get(call->request.arguments, name);
}

json_t *call_take(Call *call, const char *name)
{
    json_t *value = json_incref(call_value(call, name));

    (void)json_object_del(call->request.arguments, name);
    return value;
}
