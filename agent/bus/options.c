/*
 * options: see options.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bus/options.h"

#include <string.h>

G_GNUC_PRINTF(2, 3)
static bool invalid(GError **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    if (error)
        *error = g_error_new_valist(G_DBUS_ERROR, G_DBUS_ERROR_INVALID_ARGS, format, args);
    va_end(args);
    return false;
}

/* Languages have their own idea of which integer 50 is; any is taken. */
static bool integer_of(GVariant *value, int64_t *ret_number)
{
    switch (g_variant_classify(value)) {
    case G_VARIANT_CLASS_BYTE:
        *ret_number = g_variant_get_byte(value);
        return true;
    case G_VARIANT_CLASS_INT16:
        *ret_number = g_variant_get_int16(value);
        return true;
    case G_VARIANT_CLASS_UINT16:
        *ret_number = g_variant_get_uint16(value);
        return true;
    case G_VARIANT_CLASS_INT32:
        *ret_number = g_variant_get_int32(value);
        return true;
    case G_VARIANT_CLASS_UINT32:
        *ret_number = g_variant_get_uint32(value);
        return true;
    case G_VARIANT_CLASS_INT64:
        *ret_number = g_variant_get_int64(value);
        return true;
    case G_VARIANT_CLASS_UINT64:
        *ret_number = (int64_t)MIN(g_variant_get_uint64(value), (guint64)G_MAXINT64);
        return true;
    default:
        return false;
    }
}

static bool wrong_type(const OptionSpec *spec, GVariant *value, GError **error)
{
    return invalid(error, "option %s has the type %.40s, it must be %s", spec->name,
                   g_variant_get_type_string(value), spec->type);
}

static bool number_fits(const OptionSpec *spec, GVariant *value, GError **error)
{
    int64_t number = 0;

    if (!integer_of(value, &number))
        return wrong_type(spec, value, error);
    if (number >= spec->min && number <= spec->max)
        return true;
    return invalid(error, "option %s: %" G_GINT64_FORMAT " is not from %u to %u", spec->name,
                   number, spec->min, spec->max);
}

static bool text_fits(const OptionSpec *spec, const char *text, GError **error)
{
    g_autofree char *words = NULL;

    if (strlen(text) > OPTIONS_TEXT_MAX)
        return invalid(error, "option %s: a text is longer than %u bytes", spec->name,
                       OPTIONS_TEXT_MAX);
    if (!spec->words || g_strv_contains(spec->words, text))
        return true;
    words = g_strjoinv(", ", (char **)spec->words);
    return invalid(error, "option %s: '%.40s' is none of %s", spec->name, text, words);
}

static bool list_fits(const OptionSpec *spec, GVariant *value, GError **error)
{
    if (g_variant_n_children(value) > spec->max)
        return invalid(error, "option %s: more than %u texts", spec->name, spec->max);
    for (size_t i = 0; i < g_variant_n_children(value); i++) {
        const char *text = NULL;

        g_variant_get_child(value, i, "&s", &text);
        if (!text_fits(spec, text, error))
            return false;
    }
    return true;
}

static bool value_fits(const OptionSpec *spec, GVariant *value, GError **error)
{
    if (spec->type[0] == 'u')
        return number_fits(spec, value, error);
    if (!g_variant_is_of_type(value, G_VARIANT_TYPE(spec->type)))
        return wrong_type(spec, value, error);
    if (spec->type[0] == 's')
        return text_fits(spec, g_variant_get_string(value, NULL), error);
    return list_fits(spec, value, error);
}

static const OptionSpec *find(const OptionSpec *specs, unsigned n_specs, const char *name,
                              unsigned *ret_index)
{
    for (*ret_index = 0; *ret_index < n_specs; (*ret_index)++)
        if (strcmp(specs[*ret_index].name, name) == 0)
            return &specs[*ret_index];
    return NULL;
}

bool options_check(GVariant *options, const OptionSpec *specs, unsigned n_specs, GError **error)
{
    unsigned seen = 0, index = 0;
    GVariantIter iter;
    const char *name = NULL;
    GVariant *content = NULL;

    if (g_variant_get_size(options) > OPTIONS_SIZE_MAX) {
        g_set_error(error, G_DBUS_ERROR, G_DBUS_ERROR_LIMITS_EXCEEDED,
                    "options of more than %zu bytes", OPTIONS_SIZE_MAX);
        return false;
    }
    g_variant_iter_init(&iter, options);
    while (g_variant_iter_next(&iter, "{&sv}", &name, &content)) {
        g_autoptr(GVariant) value = content;
        const OptionSpec *spec = find(specs, n_specs, name, &index);

        if (!spec)
            return invalid(error, "option '%.40s' is not known; see org.quiesced(5)", name);
        if (seen & (1u << index))
            return invalid(error, "option %s stands there twice", name);
        seen |= 1u << index;
        if (!value_fits(spec, value, error))
            return false;
    }
    return true;
}

unsigned options_number(GVariant *options, const char *name, unsigned otherwise)
{
    g_autoptr(GVariant) value = g_variant_lookup_value(options, name, NULL);
    int64_t number = otherwise;

    if (value)
        (void)integer_of(value, &number);
    return (unsigned)number;
}

const char *options_text(GVariant *options, const char *name)
{
    const char *text = NULL;

    (void)g_variant_lookup(options, name, "&s", &text);
    return text;
}

char **options_list(GVariant *options, const char *name)
{
    char **list = NULL;

    (void)g_variant_lookup(options, name, "^as", &list);
    return list;
}

void options_refuse(GDBusMethodInvocation *invocation, const GError *error)
{
    if (error->domain == G_DBUS_ERROR && error->code != G_DBUS_ERROR_FAILED)
        g_dbus_method_invocation_return_gerror(invocation, error);
    else
        g_dbus_method_invocation_return_dbus_error(invocation, OPTIONS_ERROR_FAILED,
                                                   error->message);
}
