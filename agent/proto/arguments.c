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
        return json_is_array(value);
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
        return "array";
    }
    return "value";
}

static bool check_strings(const json_t *array, const char *name, ProtoError *error)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (json_is_string(json_array_get(array, i)))
            continue;
        proto_error_set(error, PROTO_GENERIC_ERROR,
                        "Invalid parameter type for '%s[%u]', expected: string", name, (unsigned)i);
        return false;
    }
    return true;
}

static bool check_one(const json_t *value, const ArgSpec *spec, ProtoError *error)
{
    if (value == NULL) {
        if (!spec->required)
            return true;
        proto_error_set(error, PROTO_GENERIC_ERROR, "Parameter '%s' is missing", spec->name);
        return false;
    }
    if (!has_type(value, spec->type)) {
        proto_error_set(error, PROTO_GENERIC_ERROR, "Invalid parameter type for '%s', expected: %s",
                        spec->name, type_name(spec->type));
        return false;
    }
    return spec->type != ARG_STRING_ARRAY || check_strings(value, spec->name, error);
}

static bool is_known(const char *key, const ArgSpec *specs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(key, specs[i].name) == 0)
            return true;
    return false;
}

bool request_check_arguments(const Request *request, const ArgSpec *specs, size_t count,
                             ProtoError *ret_error)
{
    const char *key;
    json_t *value;

    for (size_t i = 0; i < count; i++)
        if (!check_one(json_object_get(request->arguments, specs[i].name), &specs[i], ret_error))
            return false;

    json_object_foreach(request->arguments, key, value)
    {
        char shown[TEXT_LINE_MAX + 1];

        if (is_known(key, specs, count))
            continue;
        text_line(shown, sizeof shown, key, (size_t)-1);
        proto_error_set(ret_error, PROTO_GENERIC_ERROR, "Parameter '%s' is unexpected", shown);
        return false;
    }
    return true;
}
