/*
 * heavy: see heavy.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "commands/heavy.h"

#include <stdlib.h>

typedef struct {
    char *frame;
    size_t length;
} Input;

typedef struct {
    HeavyParsed parsed;
    gpointer user_data;
} Waiting;

static void input_free(gpointer data)
{
    Input *input = data;

    free(input->frame);
    g_free(input);
}

static gpointer parse(gpointer data)
{
    Input *input = data;
    HeavyResult *result = g_new0(HeavyResult, 1);

    result->failed = !request_parse(input->frame, input->length, &result->request, &result->error);
    free(g_steal_pointer(&input->frame)); /* before the result is made use of: 64 MiB */
    return result;
}

static void arrived(gpointer data, bool timed_out, gpointer user_data)
{
    g_autofree Waiting *waiting = user_data;
    HeavyResult *result = data;

    if (!result) {
        result = g_new0(HeavyResult, 1);
        result->failed = true;
        proto_error_set(&result->error, PROTO_GENERIC_ERROR,
                        timed_out ? "JSON parse error, the request took longer than %d s to read"
                                  : "JSON parse error, the request could not be read",
                        (int)(HEAVY_PARSE_US / USEC_PER_SEC));
    }
    waiting->parsed(result, waiting->user_data);
}

Offload *heavy_parse(char *frame, size_t length, HeavyParsed parsed, gpointer user_data)
{
    Input *input = g_new0(Input, 1);
    Waiting *waiting = g_new0(Waiting, 1);
    Offload *offload = NULL;

    *input = (Input){frame, length};
    *waiting = (Waiting){parsed, user_data};
    offload = offload_run("parse", parse, input, input_free, (GDestroyNotify)heavy_result_free,
                          deadline_in(HEAVY_PARSE_US), arrived, waiting, NULL);
    if (!offload)
        g_free(waiting);
    return offload;
}

void heavy_result_free(HeavyResult *result)
{
    if (!result)
        return;
    request_clear(&result->request);
    g_free(result);
}

/* --- giving back -------------------------------------------------------------------------------
 */

static gpointer nothing(gpointer data)
{
    (void)data;
    return NULL;
}

static void taken_free(gpointer data)
{
    request_clear(data);
    g_free(data);
}

static void cleared(gpointer result, bool timed_out, gpointer user_data)
{
    (void)result;
    (void)timed_out;
    (void)user_data;
}

void heavy_clear(Request *request)
{
    Request *taken = NULL;

    if (request->size <= HEAVY_BYTES) {
        request_clear(request);
        return;
    }
    taken = g_new0(Request, 1);
    *taken = *request;
    *request = (Request){0};
    /* The thread frees its input, which is all it is there for. */
    if (!offload_run("clear", nothing, taken, taken_free, NULL, deadline_in(HEAVY_PARSE_US),
                     cleared, NULL, NULL))
        return; /* no thread: freed here */
}
