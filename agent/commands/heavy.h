/*
 * heavy: requests that are too large to be parsed, or freed, on the main loop.
 *
 * A request may be 64 MiB, whose parse takes a second and more; other channels must get their
 * answers meanwhile. Large frames are parsed in an offload thread, and given back in one.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "proto/request.h"
#include "sys/offload.h"

#define HEAVY_BYTES    ((size_t)128 << 10) /* parsed in about 2 ms at the worst */
#define HEAVY_PARSE_US (30 * USEC_PER_SEC) /* on a machine that barely runs */

typedef struct {
    Request request;
    bool failed;
    ProtoError error; /* when failed */
} HeavyResult;

/* `result` is owned by the callee, who takes the request out of it; never NULL. */
typedef void (*HeavyParsed)(HeavyResult *result, gpointer user_data);

/* Takes over `frame` (malloc). NULL: no thread could be had; `frame` is freed. */
Offload *heavy_parse(char *frame, size_t length, HeavyParsed parsed, gpointer user_data);
void heavy_result_free(HeavyResult *result);
void heavy_clear(Request *request); /* request_clear(), elsewhere if it is large */
