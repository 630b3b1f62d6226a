/*
 * act: see act.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "commands/act.h"

#include "sys/offload.h"

typedef struct {
    AskPaths paths; /* strings live as long as the process */
    ActFunc func;
    gpointer input;
    GDestroyNotify input_free;
} Input;

typedef struct {
    json_t *value;
    GError *error;
} Result;

typedef struct {
    Call *call;
    int64_t wait_us;
} Waiting;

static void input_free(gpointer data)
{
    Input *input = data;

    if (input->input_free)
        input->input_free(input->input);
    g_free(input);
}

static void result_free(gpointer data)
{
    Result *result = data;

    if (!result)
        return;
    json_decref(result->value);
    g_clear_error(&result->error);
    g_free(result);
}

static gpointer run(gpointer data)
{
    const Input *input = data;
    Result *result = g_new0(Result, 1);

    result->value = input->func(&input->paths, input->input, &result->error);
    return result;
}

static void done(gpointer data, bool timed_out, gpointer user_data)
{
    g_autofree Waiting *waiting = user_data;
    Result *result = data;

    if (!result && timed_out)
        call_fail(waiting->call, PROTO_GENERIC_ERROR,
                  "%s: not finished within %d s; it may still be done",
                  call_command(waiting->call)->name, (int)(waiting->wait_us / USEC_PER_SEC));
    else if (!result)
        call_fail(waiting->call, PROTO_GENERIC_ERROR, "%s: no thread could be had, try again",
                  call_command(waiting->call)->name);
    else if (result->error)
        call_fail(waiting->call, PROTO_GENERIC_ERROR, "%s", result->error->message);
    else
        call_return(waiting->call, g_steal_pointer(&result->value));
    result_free(result);
}

void act(Call *call, ActFunc func, gpointer data, GDestroyNotify data_free, int64_t wait_us)
{
    Input *input = g_new(Input, 1);
    Waiting *waiting = g_new(Waiting, 1);
    g_autoptr(GError) error = NULL;

    *input = (Input){commands_context(call_commands(call))->paths, func, data, data_free};
    *waiting = (Waiting){call, wait_us};
    if (offload_run("act", run, input, input_free, result_free, deadline_in(wait_us), done, waiting,
                    &error))
        return;
    g_free(waiting);
    call_fail(call, PROTO_GENERIC_ERROR, "%s", error->message);
}
