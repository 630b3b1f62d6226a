/*
 * reply: writes into a buffer that stops at REPLY_SIZE_MAX instead of measuring afterwards.
 *
 * The members are written one by one, so that their order is fixed and nothing is copied. The
 * buffer belongs to the caller once it is returned. Nothing here blocks.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "proto/reply.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_BYTES ((size_t)512)

typedef enum { OUT_GOOD, OUT_LARGE, OUT_NO_MEMORY, OUT_UNENCODABLE } OutState;

typedef struct {
    char *data;
    size_t length, capacity;
    OutState state;
} Out;

static bool reserve(Out *out, size_t count)
{
    if (out->state != OUT_GOOD)
        return false;
    if (count > REPLY_SIZE_MAX - out->length) {
        out->state = OUT_LARGE;
        return false;
    }
    if (out->length + count <= out->capacity)
        return true;

    size_t capacity = out->capacity < FIRST_BYTES ? FIRST_BYTES : out->capacity * 2;
    if (capacity < out->length + count)
        capacity = out->length + count;
    if (capacity > REPLY_SIZE_MAX)
        capacity = REPLY_SIZE_MAX;
    char *data = realloc(out->data, capacity);
    if (data == NULL) {
        out->state = OUT_NO_MEMORY;
        return false;
    }
    out->data = data;
    out->capacity = capacity;
    return true;
}

static int append(const char *bytes, size_t count, void *user_data)
{
    Out *out = user_data;

    if (!reserve(out, count))
        return -1;
    memcpy(out->data + out->length, bytes, count);
    out->length += count;
    return 0;
}

static void append_text(Out *out, const char *text)
{
    append(text, strlen(text), out);
}

static void append_json(Out *out, const json_t *value)
{
    if (json_dump_callback(value, append, out, JSON_ENCODE_ANY | JSON_ENSURE_ASCII) != 0 &&
        out->state == OUT_GOOD)
        out->state = OUT_UNENCODABLE;
}

/* {"NAME": value, "id": id}\n */
static OutState write_reply(Out *out, const char *name, const json_t *value, const json_t *id,
                            bool delimited)
{
    *out = (Out){NULL, 0, 0, OUT_GOOD};
    append_text(out, delimited ? "\xFF{\"" : "{\"");
    append_text(out, name);
    append_text(out, "\": ");
    if (value != NULL)
        append_json(out, value);
    else
        append_text(out, "{}");
    if (id != NULL) {
        append_text(out, ", \"id\": ");
        append_json(out, id);
    }
    append_text(out, "}\n");
    if (out->state != OUT_GOOD) {
        free(out->data);
        out->data = NULL;
        out->length = 0;
    }
    return out->state;
}

char *reply_success(json_t *value, json_t *id, bool delimited, size_t *ret_length)
{
    ProtoError error;
    Out out;

    *ret_length = 0;
    switch (write_reply(&out, "return", value, id, delimited)) {
    case OUT_GOOD:
        *ret_length = out.length;
        return out.data;
    case OUT_LARGE:
        proto_error_set(&error, PROTO_GENERIC_ERROR,
                        "the reply would be larger than the %u KiB that hosts take; ask for less",
                        (unsigned)(REPLY_SIZE_MAX >> 10));
        return reply_error(&error, id, ret_length);
    case OUT_UNENCODABLE:
        proto_error_set(&error, PROTO_GENERIC_ERROR, "the reply cannot be written as JSON");
        return reply_error(&error, id, ret_length);
    case OUT_NO_MEMORY:
        break;
    }
    return NULL;
}

char *reply_error(const ProtoError *error, json_t *id, size_t *ret_length)
{
    char text[PROTO_TEXT_MAX];
    Out out;

    *ret_length = 0;
    text_utf8(text, sizeof text, error->text, (size_t)-1);
    json_t *body = json_pack("{s:s, s:s}", "class", proto_class_name(error->class), "desc", text);
    if (body == NULL)
        return NULL;
    const OutState state = write_reply(&out, "error", body, id, false);
    if (state == OUT_LARGE || state == OUT_UNENCODABLE)
        write_reply(&out, "error", body, NULL, false);
    json_decref(body);
    *ret_length = out.length;
    return out.data;
}

/* , "id": ID}\n */
static void write_tail(Out *out, const json_t *id)
{
    *out = (Out){NULL, 0, 0, OUT_GOOD};
    if (id != NULL) {
        append_text(out, ", \"id\": ");
        append_json(out, id);
    }
    append_text(out, "}\n");
}

char *reply_finish(char *begun, size_t length, json_t *id, size_t *ret_length)
{
    Out tail;
    char *reply;

    *ret_length = 0;
    write_tail(&tail, id);
    if (tail.state == OUT_LARGE || tail.state == OUT_UNENCODABLE) {
        free(tail.data);
        write_tail(&tail, NULL);
    }
    reply = tail.state == OUT_GOOD ? realloc(begun, length + tail.length) : NULL;
    if (reply != NULL) {
        memcpy(reply + length, tail.data, tail.length);
        *ret_length = length + tail.length;
    } else {
        free(begun);
    }
    free(tail.data);
    return reply;
}
