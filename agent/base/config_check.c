/*
 * config_check: what can only be judged when every file and option has been read, and the defaults
 * that depend on other keys (the path of a channel on its method).
 *
 * Errors name where the offending value came from. Pure: no files; whether a device or a hook
 * directory is there is not asked here.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "base/config_internal.h"

#include <string.h>

#define DEFAULT_CHANNEL "default"
#define DEFAULT_METHOD  "virtio-serial"

/* Every method; no path: there is none that could be guessed. */
static const struct {
    const char *method, *path, *example;
} DEFAULT_PATHS[] = {
    {DEFAULT_METHOD, "/dev/virtio-ports/org.qemu.guest_agent.0", NULL},
    {"isa-serial", "/dev/ttyS0", NULL},
    {"unix-listen", NULL, "path=/run/quiesced/channel.sock"},
    {"vsock-listen", NULL, "path=CID:PORT (4294967295:1234 for any CID)"},
};

static const char *origin_of(const Config *config, const char *key)
{
    for (unsigned i = 0; i < config_keys_count; i++)
        if (strcmp(config_keys[i].key, key) == 0)
            return ((const ConfigStore *)config)->origins[i];
    return NULL;
}

static bool check_limits(const Config *config, GError **error)
{
    g_autofree char *limit = config_format_time(config->quiesce.frozen_limit_us);
    g_autofree char *max = config_format_time(config->quiesce.frozen_limit_max_us);
    const char *limit_origin = origin_of(config, "frozen-limit");
    const char *max_origin = origin_of(config, "frozen-limit-max");

    if (config->quiesce.frozen_limit_us <= config->quiesce.frozen_limit_max_us)
        return true;
    if (!limit_origin)
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_CONFIG,
                    "%s: frozen-limit-max=%s is less than frozen-limit (%s, the default); set "
                    "frozen-limit=%s too",
                    max_origin ? max_origin : "configuration", max, limit, max);
    else
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_CONFIG,
                    "%s: frozen-limit=%s is over frozen-limit-max (%s, %s); %s frozen-limit-max=%s "
                    "too, or lower frozen-limit",
                    limit_origin, limit, max, max_origin ? max_origin : "the default",
                    max_origin ? "raise it to" : "set", limit);
    return false;
}

static bool finish_channel(ConfigChannelStore *store, GError **error)
{
    ConfigChannel *channel = &store->channel;
    const char *origin = store->origin ? store->origin : "configuration";

    if (!channel->method)
        channel->method = g_strdup(DEFAULT_METHOD);
    for (unsigned i = 0; i < G_N_ELEMENTS(DEFAULT_PATHS) && !channel->path; i++) {
        if (strcmp(DEFAULT_PATHS[i].method, channel->method) != 0)
            continue;
        if (!DEFAULT_PATHS[i].path) {
            g_set_error(error, AGENT_ERROR, AGENT_ERROR_CONFIG,
                        "%s: [channel %s] method=%s has no default path; add %s", origin,
                        channel->name, channel->method, DEFAULT_PATHS[i].example);
            return false;
        }
        channel->path = g_strdup(DEFAULT_PATHS[i].path);
    }
    if (strcmp(channel->method, "vsock-listen") == 0 || *channel->path == '/')
        return true;
    g_set_error(error, AGENT_ERROR, AGENT_ERROR_CONFIG,
                "%s: [channel %s] path '%s' is not absolute; start it with '/'", origin,
                channel->name, channel->path);
    return false;
}

/* A device has one opener and a socket one listener: the second channel could never work. */
static bool check_unique(const GPtrArray *channels, unsigned index, GError **error)
{
    const ConfigChannelStore *store = g_ptr_array_index(channels, index);

    for (unsigned i = 0; i < index; i++) {
        const ConfigChannel *other = g_ptr_array_index(channels, i);

        if (strcmp(other->path, store->channel.path) != 0)
            continue;
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_CONFIG,
                    "%s: [channel %s] and [channel %s] both use %s; give one of them another path",
                    store->origin ? store->origin : "configuration", store->channel.name,
                    other->name, other->path);
        return false;
    }
    return true;
}

static bool add_default_channel(Config *config, GError **error)
{
    return config_set(config, CONFIG_CHANNEL_GROUP " " DEFAULT_CHANNEL, "method", DEFAULT_METHOD,
                      "default", error);
}

bool config_finish(Config *config, GError **error)
{
    if (!check_limits(config, error))
        return false;
    if (config->channels->len == 0 && !add_default_channel(config, error))
        return false;
    for (unsigned i = 0; i < config->channels->len; i++)
        if (!finish_channel(g_ptr_array_index(config->channels, i), error) ||
            !check_unique(config->channels, i, error))
            return false;
    return true;
}
