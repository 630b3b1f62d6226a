/*
 * payload: see payload.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "commands/payload.h"

#include "proto/reply.h"

#include <stdlib.h>
#include <string.h>

#define ROOM_BYTES   ((size_t)512) /* for all but the base64: members, numbers, id */
#define BASE64_EXTRA 8u            /* g_base64_encode_step() may hold back a group, and pads it */

struct Payload {
    char *bytes;
    size_t length, size;
    gint state, save; /* of the encoder */
    bool failed;      /* memory is out */
};

static char *room(Payload *payload, size_t count)
{
    size_t size = payload->size * 2;
    char *bytes = NULL;

    if (payload->failed)
        return NULL;
    if (count <= payload->size - payload->length)
        return payload->bytes + payload->length;
    if (size < payload->length + count)
        size = payload->length + count;
    bytes = realloc(payload->bytes, size);
    if (!bytes) {
        payload->failed = true;
        return NULL;
    }
    payload->bytes = bytes;
    payload->size = size;
    return bytes + payload->length;
}

Payload *payload_new(size_t bytes)
{
    Payload *payload = g_new0(Payload, 1);

    (void)room(payload, ROOM_BYTES + bytes / 3 * 4 + BASE64_EXTRA);
    payload_add(payload, "%s", REPLY_BEGIN);
    return payload;
}

void payload_free(Payload *payload)
{
    if (!payload)
        return;
    free(payload->bytes);
    g_free(payload);
}

void payload_add(Payload *payload, const char *format, ...)
{
    va_list args;
    char *at = NULL;
    int length = 0;

    va_start(args, format);
    length = g_vsnprintf(NULL, 0, format, args);
    va_end(args);
    at = room(payload, (size_t)length + 1);
    if (!at)
        return;
    va_start(args, format);
    (void)g_vsnprintf(at, (gulong)length + 1, format, args);
    va_end(args);
    payload->length += (size_t)length;
}

void payload_base64(Payload *payload, const void *bytes, size_t count)
{
    char *at = room(payload, count / 3 * 4 + BASE64_EXTRA);

    if (at)
        payload->length +=
            g_base64_encode_step(bytes, count, FALSE, at, &payload->state, &payload->save);
}

void payload_base64_end(Payload *payload)
{
    char *at = room(payload, BASE64_EXTRA);

    if (at)
        payload->length += g_base64_encode_close(FALSE, at, &payload->state, &payload->save);
    payload->state = payload->save = 0;
}

char *payload_steal(Payload *payload, size_t *ret_length)
{
    *ret_length = payload->length;
    return payload->failed ? NULL : g_steal_pointer(&payload->bytes);
}
