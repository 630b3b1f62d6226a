/*
 * request: one frame to one request, with the error texts of the stock agent.
 *
 * Plain C11 and jansson. Single-quoted strings are accepted as in the stock agent (rewritten before
 * the parse); duplicate keys, integers beyond int64 and bad UTF-8 are errors.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

typedef enum {
    PROTO_GENERIC_ERROR,     /* "GenericError" */
    PROTO_COMMAND_NOT_FOUND, /* "CommandNotFound": unknown, blocked, or refused while frozen */
} ProtoClass;

#define PROTO_TEXT_MAX 512u /* an error text with its NUL; longer ones are cut */

typedef struct {
    ProtoClass class;
    char text[PROTO_TEXT_MAX];
} ProtoError;

void proto_error_set(ProtoError *error, ProtoClass class, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
const char *proto_class_name(ProtoClass class);

typedef struct {
    char *command;     /* owned */
    json_t *arguments; /* owned reference, an object, or NULL when absent */
    json_t *id;        /* owned reference or NULL */
    size_t size;       /* bytes of the frame: freeing takes time in proportion */
} Request;

/* True: `*ret_request` is filled and ends with request_clear(). False: `*ret_error` is set; where
 * the frame was an object with an `id`, `ret_request->id` is kept for the reply (clear it too). */
bool request_parse(const char *frame, size_t length, Request *ret_request, ProtoError *ret_error);
void request_clear(Request *request); /* idempotent */

/* Arguments by data table, checked in one call; wrong, missing and unknown members get the stock
 * texts ("Parameter 'x' is missing", "Invalid parameter type for 'x', expected: integer",
 * "Parameter 'x' is unexpected"). */
typedef enum {
    ARG_INTEGER,
    ARG_STRING,
    ARG_BOOLEAN,
    ARG_STRING_ARRAY,
    ARG_NAME_ARRAY,   /* strings that are looked for in lists: at most ARG_NAMES_MAX */
    ARG_OBJECT_ARRAY, /* the members: request_check_objects() */
    ARG_ANY,          /* of more than one type: the command looks itself */
} ArgType;

/* Mount points, more than a node has: a request takes the time of its names times what there is. */
#define ARG_NAMES_MAX 1024u

typedef struct {
    const char *name;
    ArgType type;
    bool required;
} ArgSpec;

bool request_check_arguments(const Request *request, const ArgSpec *specs, size_t count,
                             ProtoError *ret_error);
/* The same for the members of each object in `array`, an argument called `name`, whose texts name
 * them as 'name[0].member'. */
bool request_check_objects(const json_t *array, const char *name, const ArgSpec *specs,
                           size_t count, ProtoError *ret_error);
