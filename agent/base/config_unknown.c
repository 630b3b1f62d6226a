/*
 * config_unknown: errors for groups and keys that do not exist, with the ones that come near.
 *
 * Who mistypes a key wants to read the right one, not a manual; who puts it into the wrong group
 * wants to read the right group. Pure, from the table alone.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "base/config_internal.h"
#include "base/text.h"

#include <string.h>

#define WORD_MAX 32u /* longer than any name in the table: nothing comes near */

/* Insertions, deletions and replacements from `a` to `b`; `b` is at most WORD_MAX long. */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[WORD_MAX + 1];
    unsigned length = (unsigned)strlen(b);

    for (unsigned j = 0; j <= length; j++)
        row[j] = j;
    for (unsigned i = 1; a[i - 1]; i++) {
        unsigned diagonal = row[0];

        row[0] = i;
        for (unsigned j = 1; j <= length; j++) {
            unsigned replaced = diagonal + (a[i - 1] != b[j - 1]);

            diagonal = row[j];
            row[j] = MIN(replaced, MIN(row[j], row[j - 1]) + 1);
        }
    }
    return row[length];
}

typedef struct {
    const char *name;
    unsigned distance;
} Near;

static void consider(Near *best, const char *typed, const char *name)
{
    unsigned found = distance(name, typed);

    if (found < best->distance)
        *best = (Near){name, found};
}

/* One slip in three letters still means the same name. */
static Near near_start(const char *typed)
{
    return (Near){NULL, (unsigned)MAX(strlen(typed) / 3, 2) + 1};
}

/* Names are listed once; the table keeps the keys of a group together. */
static bool is_first_of_group(unsigned i)
{
    return i == 0 || strcmp(config_keys[i].group, config_keys[i - 1].group) != 0;
}

static const char *shown_group(const char *group)
{
    return strcmp(group, CONFIG_CHANNEL_GROUP) == 0 ? "channel NAME" : group;
}

bool config_unknown_group(const char *group, GError **error)
{
    g_autoptr(GString) list = g_string_new(NULL);
    char shown[CONFIG_SHOWN_MAX];
    Near best = near_start(group);

    for (unsigned i = 0; i < config_keys_count; i++) {
        if (!is_first_of_group(i))
            continue;
        if (strlen(group) <= WORD_MAX)
            consider(&best, group, config_keys[i].group);
        g_string_append_printf(list, "%s[%s]", list->len ? ", " : "",
                               shown_group(config_keys[i].group));
    }
    text_line(shown, sizeof shown, group, (size_t)-1);
    if (best.name)
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_CONFIG,
                    "there is no group [%s]; did you mean [%s]?", shown, shown_group(best.name));
    else
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_CONFIG,
                    "there is no group [%s]; the groups are %s", shown, list->str);
    return false;
}

bool config_unknown_key(const char *group, const char *key, GError **error)
{
    g_autoptr(GString) list = g_string_new(NULL);
    const char *elsewhere = NULL;
    char shown[CONFIG_SHOWN_MAX];
    Near best = near_start(key);

    for (unsigned i = 0; i < config_keys_count; i++) {
        if (strcmp(config_keys[i].key, key) == 0)
            elsewhere = config_keys[i].group;
        if (strcmp(config_keys[i].group, group) != 0)
            continue;
        if (strlen(key) <= WORD_MAX)
            consider(&best, key, config_keys[i].key);
        g_string_append_printf(list, "%s%s", list->len ? ", " : "", config_keys[i].key);
    }
    text_line(shown, sizeof shown, key, (size_t)-1);
    if (elsewhere)
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_CONFIG,
                    "[%s] has no key '%s'; it belongs to [%s]", shown_group(group), shown,
                    shown_group(elsewhere));
    else if (best.name)
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_CONFIG,
                    "[%s] has no key '%s'; did you mean %s?", shown_group(group), shown, best.name);
    else
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_CONFIG, "[%s] has no key '%s'; its keys are %s",
                    shown_group(group), shown, list->str);
    return false;
}
