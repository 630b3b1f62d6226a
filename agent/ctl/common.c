/*
 * common: what the commands of quiescectl share; see ctl.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "ctl/ctl.h"

#include <stdio.h>
#include <stdlib.h>

int ctl_fail(const GError *error)
{
    (void)fflush(stdout);
    (void)fprintf(stderr, "quiescectl: %s\n", error->message);
    if (client_is_denied(error))
        return CTL_DENIED;
    return client_is_unreachable(error) ? CTL_UNREACHABLE : CTL_NO;
}

int ctl_print_json(const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT);

    (void)puts(text ? text : "null");
    free(text);
    return CTL_OK;
}

json_t *ctl_ask(const char *method, GVariant *parameters, int timeout_ms, int *ret_exit)
{
    g_autoptr(GVariant) sunk = parameters ? g_variant_ref_sink(parameters) : NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(Client) client = client_new(&error);
    json_t *answer =
        client ? client_call_json(client, method, sunk, timeout_ms, false, &error) : NULL;

    if (!answer)
        *ret_exit = ctl_fail(error);
    return answer;
}

const char *fact_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

int64_t fact_number(const json_t *object, const char *key, int64_t otherwise)
{
    const json_t *value = json_object_get(object, key);

    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

bool fact_true(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}
