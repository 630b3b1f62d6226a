/*
 * config_dump: the configuration in force, as a file that reads back to the same.
 *
 * Every key stands there, defaults too: what --dump-conf shows is what is used.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "base/config_internal.h"

#include <string.h>

static void dump_key(GString *text, const ConfigKey *key, const void *base)
{
    g_autofree char *value = config_value_format(key, base);

    g_string_append_printf(text, "%s=%s\n", key->key, value);
}

static void dump_channels(GString *text, const Config *config)
{
    for (unsigned c = 0; c < config->channels->len; c++) {
        const ConfigChannel *channel = g_ptr_array_index(config->channels, c);

        g_string_append_printf(text, "\n[%s %s]\n", CONFIG_CHANNEL_GROUP, channel->name);
        for (unsigned i = 0; i < config_keys_count; i++)
            if (strcmp(config_keys[i].group, CONFIG_CHANNEL_GROUP) == 0)
                dump_key(text, &config_keys[i], channel);
    }
}

char *config_dump(const Config *config)
{
    GString *text = g_string_new(NULL);
    const char *group = "";

    for (unsigned i = 0; i < config_keys_count; i++) {
        const ConfigKey *key = &config_keys[i];
        bool channels = strcmp(key->group, CONFIG_CHANNEL_GROUP) == 0;

        if (strcmp(key->group, group) != 0) {
            group = key->group;
            if (channels)
                dump_channels(text, config);
            else
                g_string_append_printf(text, "%s[%s]\n", text->len ? "\n" : "", group);
        }
        if (!channels)
            dump_key(text, key, config);
    }
    return g_string_free(text, FALSE);
}
