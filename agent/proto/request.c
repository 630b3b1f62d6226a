/*
 * request: checks one frame from the outside in: rubbish, syntax, object, members.
 *
 * The texts are the stock agent's where it has one, because tests and scripts in the wild compare
 * them. Jansson copies what it keeps; the frame is only borrowed. Nothing here blocks, though the
 * parse of a 64 MiB frame takes a good part of a second.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "proto/request.h"

#include "base/text.h"
#include "proto/quotes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void proto_error_set(ProtoError *error, ProtoClass class, const char *format, ...)
{
    /* Four bytes longer than the target, so that a character cut in two here lies beyond the cut
     * that text_utf8() makes between characters. */
    char text[PROTO_TEXT_MAX + 4];
    va_list arguments;

    va_start(arguments, format);
    const int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    error->class = class;
    text_utf8(error->text, sizeof error->text, length < 0 ? "" : text, (size_t)-1);
}

const char *proto_class_name(ProtoClass class)
{
    return class == PROTO_COMMAND_NOT_FOUND ? "CommandNotFound" : "GenericError";
}

/* A top-level word is never a request; says what the stock agent's lexer would. */
static bool is_stray(const char *frame, size_t length, ProtoError *error)
{
    static const char *const literals[] = {"true", "false", "null"};
    const char first = length > 0 ? frame[0] : '\0';
    char shown[TEXT_LINE_MAX + 1];

    if (length == 0) {
        proto_error_set(error, PROTO_GENERIC_ERROR, "JSON parse error, expecting value");
        return true;
    }
    if (strchr("{}[],:\"'-0123456789", first) != NULL && first != '\0')
        return false;
    for (size_t i = 0; i < sizeof literals / sizeof literals[0]; i++)
        if (length == strlen(literals[i]) && memcmp(frame, literals[i], length) == 0)
            return false;
    text_line(shown, sizeof shown, frame, length);
    if ((first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z'))
        proto_error_set(error, PROTO_GENERIC_ERROR, "JSON parse error, invalid keyword '%s'",
                        shown);
    else
        proto_error_set(error, PROTO_GENERIC_ERROR, "JSON parse error, stray '%s'", shown);
    return true;
}

static void explain(const json_error_t *cause, ProtoError *error)
{
    char shown[TEXT_LINE_MAX + 1];

    switch (json_error_code(cause)) {
    case json_error_duplicate_key:
        text_line(shown, sizeof shown, "duplicate key", (size_t)-1);
        break;
    case json_error_null_character:
    case json_error_null_byte_in_key:
        text_line(shown, sizeof shown, "\\u0000 is not allowed in a string", (size_t)-1);
        break;
    default:
        text_line(shown, sizeof shown, cause->text, (size_t)-1);
        break;
    }
    proto_error_set(error, PROTO_GENERIC_ERROR, "JSON parse error, %s", shown);
}

static json_t *parse(const char *frame, size_t length, ProtoError *error)
{
    char *rewritten;
    size_t rewritten_length;
    json_error_t cause;

    while (length > 0 && strchr(" \t\r\n", frame[0]) != NULL && frame[0] != '\0') {
        frame++;
        length--;
    }
    if (is_stray(frame, length, error))
        return NULL;
    if (!quotes_rewrite(frame, length, &rewritten, &rewritten_length)) {
        proto_error_set(error, PROTO_GENERIC_ERROR, "JSON parse error, out of memory");
        return NULL;
    }
    json_t *root = json_loadb(rewritten != NULL ? rewritten : frame,
                              rewritten != NULL ? rewritten_length : length,
                              JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &cause);
    free(rewritten);
    if (root == NULL)
        explain(&cause, error);
    return root;
}

/* The first member that does not belong there or has the wrong type, in the order of the frame. */
static bool check_members(json_t *root, ProtoError *error)
{
    const char *key;
    json_t *value;

    json_object_foreach(root, key, value)
    {
        if (strcmp(key, "execute") == 0) {
            if (json_is_string(value))
                continue;
            proto_error_set(error, PROTO_GENERIC_ERROR,
                            "QMP input member 'execute' must be a string");
        } else if (strcmp(key, "arguments") == 0) {
            if (json_is_object(value))
                continue;
            proto_error_set(error, PROTO_GENERIC_ERROR,
                            "QMP input member 'arguments' must be an object");
        } else if (strcmp(key, "id") == 0) {
            continue;
        } else {
            char shown[TEXT_LINE_MAX + 1];
            text_line(shown, sizeof shown, key, (size_t)-1);
            proto_error_set(error, PROTO_GENERIC_ERROR, "QMP input member '%s' is unexpected",
                            shown);
        }
        return false;
    }
    if (json_object_get(root, "execute") != NULL)
        return true;
    proto_error_set(error, PROTO_GENERIC_ERROR, "QMP input lacks member 'execute'");
    return false;
}

static bool take_members(json_t *root, Request *request, ProtoError *error)
{
    if (!json_is_object(root)) {
        proto_error_set(error, PROTO_GENERIC_ERROR, "QMP input must be a JSON object");
        return false;
    }
    request->id = json_incref(json_object_get(root, "id"));
    if (!check_members(root, error))
        return false;

    const json_t *execute = json_object_get(root, "execute");
    const size_t size = json_string_length(execute) + 1;
    request->command = malloc(size);
    if (request->command == NULL) {
        proto_error_set(error, PROTO_GENERIC_ERROR, "out of memory");
        return false;
    }
    memcpy(request->command, json_string_value(execute), size);
    request->arguments = json_incref(json_object_get(root, "arguments"));
    return true;
}

bool request_parse(const char *frame, size_t length, Request *ret_request, ProtoError *ret_error)
{
    *ret_request = (Request){.size = length};
    json_t *root = parse(frame, length, ret_error);
    if (root == NULL)
        return false;

    const bool taken = take_members(root, ret_request, ret_error);
    json_decref(root);
    return taken;
}

void request_clear(Request *request)
{
    free(request->command);
    json_decref(request->arguments);
    json_decref(request->id);
    *request = (Request){0};
}
