/*
 * config_value: one value, from text to its field and back, by the kind of its row.
 *
 * A wrong value leaves the field as it was. Pure: no files, no other keys.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "base/config_internal.h"
#include "base/text.h"

#include <string.h>

#define FRACTION_DIGITS_MAX 9u /* 3 600 000 000 us in an hour times 10^9 still fits */

/* Longest first: "m" would take the start of "ms". */
static const struct {
    const char *suffix;
    int64_t unit_us;
} UNITS[] = {
    {"ms", 1000},  {"s", 1000000}, {"m", INT64_C(60) * 1000000}, {"h", INT64_C(3600) * 1000000},
    {"", 1000000},
};

static int64_t unit_of(const char *suffix)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(UNITS); i++)
        if (strcmp(UNITS[i].suffix, suffix) == 0)
            return UNITS[i].unit_us;
    return 0;
}

bool config_parse_time(const char *text, int64_t *ret_us)
{
    int64_t whole = 0, fraction = 0, scale = 1, unit_us = 0, result = 0;
    unsigned digits = 0;

    if (!g_ascii_isdigit(*text))
        return false;
    for (; g_ascii_isdigit(*text); text++)
        if (__builtin_mul_overflow(whole, 10, &whole) ||
            __builtin_add_overflow(whole, *text - '0', &whole))
            return false;
    if (*text == '.') {
        for (text++; g_ascii_isdigit(*text); text++, digits++) {
            if (digits == FRACTION_DIGITS_MAX)
                return false;
            fraction = fraction * 10 + (*text - '0');
            scale *= 10;
        }
        if (digits == 0)
            return false;
    }
    unit_us = unit_of(text);
    if (unit_us == 0 || __builtin_mul_overflow(whole, unit_us, &result) ||
        __builtin_add_overflow(result, fraction * unit_us / scale, &result))
        return false;
    *ret_us = result;
    return true;
}

char *config_format_time(int64_t time_us)
{
    g_autofree char *text = NULL;
    size_t length = 0;

    if (time_us % 1000000 == 0)
        return g_strdup_printf("%" G_GINT64_FORMAT, time_us / 1000000);
    if (time_us < 1000000 && time_us % 1000 == 0)
        return g_strdup_printf("%" G_GINT64_FORMAT "ms", time_us / 1000);
    text =
        g_strdup_printf("%" G_GINT64_FORMAT ".%06d", time_us / 1000000, (int)(time_us % 1000000));
    for (length = strlen(text); text[length - 1] == '0'; length--)
        text[length - 1] = '\0';
    return g_steal_pointer(&text);
}

char **config_split_list(const char *text)
{
    g_autoptr(GPtrArray) items = g_ptr_array_new();
    g_auto(GStrv) parts = g_strsplit_set(text, ",;", -1);

    for (char **part = parts; *part; part++)
        if (*g_strstrip(*part))
            g_ptr_array_add(items, g_strdup(*part));
    g_ptr_array_add(items, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&items), FALSE);
}

bool config_is_name(const char *text, size_t max)
{
    size_t length = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                 "0123456789_.-");

    return length > 0 && length <= max && text[length] == '\0';
}

static bool refuse(const char *value, GError **error, const char *what, ...) G_GNUC_PRINTF(3, 4);

static bool refuse(const char *value, GError **error, const char *what, ...)
{
    char shown[CONFIG_SHOWN_MAX];
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, what);
    text = g_strdup_vprintf(what, args);
    va_end(args);
    text_line(shown, sizeof shown, value, (size_t)-1);
    g_set_error(error, AGENT_ERROR, AGENT_ERROR_CONFIG, "'%s' %s", shown, text);
    return false;
}

static bool set_time(const ConfigKey *key, int64_t *field, const char *value, GError **error)
{
    bool automatic = key->kind == CONFIG_REPLY;
    g_autofree char *least = config_format_time(key->min_us);
    int64_t time_us = 0;

    if (automatic && strcmp(value, "auto") == 0) {
        *field = CONFIG_REPLY_AUTO;
        return true;
    }
    if (!config_parse_time(value, &time_us))
        return refuse(value, error,
                      "is not a time; write %sseconds or a number with ms, s, m, h "
                      "(10, 2.5, 5m, 500ms)",
                      automatic ? "auto, " : "");
    if (time_us < key->min_us)
        return refuse(value, error, "is too short; write at least %s: %s", least, key->reason);
    if (time_us > CONFIG_TIME_MAX_US)
        return refuse(value, error, "is too long; write at most 24h");
    *field = time_us;
    return true;
}

/* The index of `value` in the words, or -1 with `error` set. */
static int find_word(const ConfigKey *key, const char *value, GError **error)
{
    g_autofree char *list = NULL;

    for (int i = 0; key->words[i]; i++)
        if (strcmp(key->words[i], value) == 0)
            return i;
    list = g_strjoinv("|", (char **)key->words);
    refuse(value, error, "is not known here; write %s", list);
    return -1;
}

static bool set_word(const ConfigKey *key, void *field, const char *value, GError **error)
{
    int index = find_word(key, value, error);

    if (index < 0)
        return false;
    if (key->kind == CONFIG_FLAG)
        *(bool *)field = index == 1;
    else
        *(unsigned *)field = (unsigned)index;
    return true;
}

static bool set_text(const ConfigKey *key, char **field, const char *value, GError **error)
{
    if (key->kind == CONFIG_PATH && *value && *value != '/')
        return refuse(value, error, "is not an absolute path; start it with '/'");
    if (key->kind == CONFIG_WORD && (*value || key->fallback) && find_word(key, value, error) < 0)
        return false;
    g_free(*field);
    *field = *value ? g_strdup(value) : NULL;
    return true;
}

static bool set_list(const ConfigKey *key, char ***field, const char *value, GError **error)
{
    g_auto(GStrv) items = config_split_list(value);

    if (!*items && key->reason)
        return refuse(value, error, "is an empty list; %s", key->reason);
    for (char **item = items; *item; item++) {
        if (key->kind == CONFIG_PATHS && **item != '/')
            return refuse(*item, error, "is not an absolute path; start it with '/'");
        if (key->kind == CONFIG_NAMES && !config_is_name(*item, (size_t)-1))
            return refuse(*item, error, "is not the name of a command (like guest-exec)");
    }
    g_strfreev(*field);
    *field = *items || key->fallback ? g_steal_pointer(&items) : NULL;
    return true;
}

/* A file's line cannot hold control characters (but tabs), an option's argument could; the dump
 * would then not read back. */
static bool is_clean(const char *value)
{
    if (!g_utf8_validate(value, -1, NULL))
        return false;
    for (; *value; value++)
        if (g_ascii_iscntrl(*value))
            return false;
    return true;
}

bool config_value_set(const ConfigKey *key, void *base, const char *value, GError **error)
{
    void *field = (char *)base + key->offset;
    g_autofree char *stripped = g_strstrip(g_strdup(value));

    if (!is_clean(stripped))
        return refuse(value, error, "holds a control character or is not UTF-8 text");
    switch (key->kind) {
    case CONFIG_TIME:
    case CONFIG_REPLY:
        return set_time(key, field, stripped, error);
    case CONFIG_FLAG:
    case CONFIG_CHOICE:
        return set_word(key, field, stripped, error);
    case CONFIG_WORD:
    case CONFIG_PATH:
    case CONFIG_TEXT:
        return set_text(key, field, stripped, error);
    case CONFIG_LIST:
    case CONFIG_PATHS:
    case CONFIG_NAMES:
        return set_list(key, field, stripped, error);
    }
    g_return_val_if_reached(false);
}

char *config_value_format(const ConfigKey *key, const void *base)
{
    const void *field = (const char *)base + key->offset;
    const char *text = NULL;
    char **list = NULL;

    switch (key->kind) {
    case CONFIG_REPLY:
        if (*(const int64_t *)field == CONFIG_REPLY_AUTO)
            return g_strdup("auto");
        return config_format_time(*(const int64_t *)field);
    case CONFIG_TIME:
        return config_format_time(*(const int64_t *)field);
    case CONFIG_FLAG:
        return g_strdup(key->words[*(const bool *)field]);
    case CONFIG_CHOICE:
        return g_strdup(key->words[*(const unsigned *)field]);
    case CONFIG_WORD:
    case CONFIG_PATH:
    case CONFIG_TEXT:
        text = *(char *const *)field;
        return g_strdup(text ? text : "");
    case CONFIG_LIST:
    case CONFIG_PATHS:
    case CONFIG_NAMES:
        list = *(char **const *)field;
        return list ? g_strjoinv(",", list) : g_strdup("");
    }
    g_return_val_if_reached(NULL);
}

void config_value_clear(const ConfigKey *key, void *base)
{
    void *field = (char *)base + key->offset;

    switch (key->kind) {
    case CONFIG_TIME:
    case CONFIG_REPLY:
    case CONFIG_FLAG:
    case CONFIG_CHOICE:
        return;
    case CONFIG_WORD:
    case CONFIG_PATH:
    case CONFIG_TEXT:
        g_clear_pointer((char **)field, g_free);
        return;
    case CONFIG_LIST:
    case CONFIG_PATHS:
    case CONFIG_NAMES:
        g_clear_pointer((char ***)field, g_strfreev);
        return;
    }
}
