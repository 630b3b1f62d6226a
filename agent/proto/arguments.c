/*
 * arguments: a request's members against a command's table.
 *
 * First what the table asks for, in its order, then what it does not know: the order in which the
 * stock agent finds fault. Allocates nothing, never blocks.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "proto/request.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

static bool has_type(const json_t *value, ArgType type)
{
    switch (type) {
    case ARG_INTEGER:
        return json_is_integer(value);
    case ARG_STRING:
        return json_is_string(value);
    case ARG_BOOLEAN:
        return json_is_boolean(value);
    case ARG_STRING_ARRAY:
    case ARG_NAME_ARRAY:
    case ARG_OBJECT_ARRAY:
        return json_is_array(value);
    case ARG_ANY:
        return true;
    }
    return false;
}

static const char *type_name(ArgType type)
{
    switch (type) {
    case ARG_INTEGER:
        return "integer";
    case ARG_STRING:
        return "string";
    case ARG_BOOLEAN:
        return "boolean";
    case ARG_STRING_ARRAY:
    case ARG_NAME_ARRAY:
    case ARG_OBJECT_ARRAY:
        return "array";
    case ARG_ANY:
        break;
    }
    return "value";
}

/* The elements of `array`, all of one type. */
static bool check_elements(const json_t *array, const char *name, ArgType type, ProtoError *error)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *element = json_array_get(array, i);

        if (type == ARG_OBJECT_ARRAY ? json_is_object(element) : json_is_string(element))
            continue;
        proto_error_set(error, PROTO_GENERIC_ERROR,
                        "Invalid parameter type for '%s[%u]', expected: %s", name, (unsigned)i,
                        type == ARG_OBJECT_ARRAY ? "object" : "string");
        return false;
    }
    return true;
}

/* `where` stands before the name: "", or "array[0]." */
static bool check_one(const json_t *value, const ArgSpec *spec, const char *where,
                      ProtoError *error)
{
    if (value == NULL) {
        if (!spec->required)
            return true;
        proto_error_set(error, PROTO_GENERIC_ERROR, "Parameter '%s%s' is missing", where,
                        spec->name);
        return false;
    }
    if (!has_type(value, spec->type)) {
        proto_error_set(error, PROTO_GENERIC_ERROR,
                        "Invalid parameter type for '%s%s', expected: %s", where, spec->name,
                        type_name(spec->type));
        return false;
    }
    if (spec->type == ARG_NAME_ARRAY && json_array_size(value) > ARG_NAMES_MAX) {
        proto_error_set(error, PROTO_GENERIC_ERROR,
                        "Parameter '%s%s' names more than %u; send fewer", where, spec->name,
                        ARG_NAMES_MAX);
        return false;
    }
    if (spec->type == ARG_STRING_ARRAY || spec->type == ARG_NAME_ARRAY ||
        spec->type == ARG_OBJECT_ARRAY)
        return check_elements(value, spec->name, spec->type, error);
    return true;
}

static bool is_known(const char *key, const ArgSpec *specs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(key, specs[i].name) == 0)
            return true;
    return false;
}

static bool check_members(json_t *object, const ArgSpec *specs, size_t count, const char *where,
                          ProtoError *error)
{
    const char *key;
    json_t *value;

    for (size_t i = 0; i < count; i++)
        if (!check_one(json_object_get(object, specs[i].name), &specs[i], where, error))
            return false;

    json_object_foreach(object, key, value)
    {
        char shown[TEXT_LINE_MAX + 1];

        if (is_known(key, specs, count))
            continue;
        text_line(shown, sizeof shown, key, (size_t)-1);
        proto_error_set(error, PROTO_GENERIC_ERROR, "Parameter '%s%s' is unexpected", where, shown);
        return false;
    }
    return true;
}

bool request_check_arguments(const Request *request, const ArgSpec *specs, size_t count,
                             ProtoError *ret_error)
{
    return check_members(request->arguments, specs, count, "", ret_error);
}

bool request_check_objects(const json_t *array, const char *name, const ArgSpec *specs,
                           size_t count, ProtoError *ret_error)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        char where[TEXT_LINE_MAX + 1];

        (void)snprintf(where, sizeof where, "%s[%u].", name, (unsigned)i);
        if (!check_members(json_array_get(array, i), specs, count, where, ret_error))
            return false;
    }
    return true;
}
