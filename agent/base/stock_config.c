/*
 * stock_config: see stock_config.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "base/stock_config.h"

#include <string.h>

#define GROUP          "general"
#define DEFAULT_METHOD "virtio-serial"

#define AT(member) offsetof(StockConfig, member)

/* In the order of qemu-ga's dump. */
const StockKey stock_keys[] = {
    {"daemon", "false", AT(daemonize), STOCK_FLAG, 'd', "daemonize", "true", false},
    {"method", DEFAULT_METHOD, AT(method), STOCK_TEXT, 'm', "method", NULL, false},
    {"path", NULL, AT(path), STOCK_TEXT, 'p', "path", NULL, false},
    {"logfile", NULL, AT(logfile), STOCK_TEXT, 'l', "logfile", NULL, false},
    {"pidfile", STOCK_CONFIG_PIDFILE, AT(pidfile), STOCK_TEXT, 'f', "pidfile", NULL, false},
    {"fsfreeze-hook", NULL, AT(hook), STOCK_TEXT, 'F', "fsfreeze-hook", "/etc/qemu/fsfreeze-hook",
     true},
    {"statedir", "/var/run", AT(statedir), STOCK_TEXT, 't', "statedir", NULL, false},
    {"verbose", "false", AT(verbose), STOCK_FLAG, 'v', "verbose", "true", false},
    {"retry-path", "false", AT(retry_path), STOCK_FLAG, 'r', "retry-path", "true", false},
    {"block-rpcs", "", AT(block), STOCK_LIST, 'b', "block-rpcs", NULL, false},
    {"allow-rpcs", "", AT(allow), STOCK_LIST, 'a', "allow-rpcs", NULL, false},
    /* Its name of old; never dumped. */
    {"blacklist", NULL, AT(block), STOCK_LIST, 0, "blacklist", NULL, false},
};
const unsigned stock_keys_count = G_N_ELEMENTS(stock_keys);

/* Where a channel is when only its method is said. */
static const struct {
    const char *method, *path;
} DEFAULT_PATHS[] = {
    {DEFAULT_METHOD, "/dev/virtio-ports/org.qemu.guest_agent.0"},
    {"isa-serial", "/dev/ttyS0"},
};

StockConfig *stock_config_new(void)
{
    StockConfig *stock = g_new0(StockConfig, 1);

    stock->ignored = g_ptr_array_new_with_free_func(g_free);
    return stock;
}

static StockValue *value_at(const StockConfig *stock, const StockKey *key)
{
    return (StockValue *)(void *)((char *)stock + key->offset);
}

void stock_config_free(StockConfig *stock)
{
    if (!stock)
        return;
    for (unsigned i = 0; i < stock_keys_count; i++) {
        g_clear_pointer(&value_at(stock, &stock_keys[i])->text, g_free);
        g_clear_pointer(&value_at(stock, &stock_keys[i])->origin, g_free);
    }
    g_ptr_array_unref(stock->ignored);
    g_free(stock);
}

static const char *boolean_of(const char *value)
{
    if (strcmp(value, "true") == 0 || strcmp(value, "1") == 0)
        return "true";
    return strcmp(value, "false") == 0 || strcmp(value, "0") == 0 ? "false" : NULL;
}

bool stock_config_flag(const StockValue *value)
{
    return value->text && strcmp(value->text, "true") == 0;
}

bool stock_config_set(StockConfig *stock, const StockKey *key, const char *value,
                      const char *origin, GError **error)
{
    StockValue *place = value_at(stock, key);
    bool joins = key->kind == STOCK_LIST && place->text && *place->text;
    char *text = NULL;

    if (key->kind == STOCK_FLAG && !boolean_of(value)) {
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_CONFIG,
                    "'%.64s' is not known here; write "
                    "true|false",
                    value);
        return false;
    }
    if (key->kind == STOCK_FLAG)
        text = g_strdup(boolean_of(value));
    else
        text = joins ? g_strconcat(place->text, ",", value, NULL) : g_strdup(value);
    g_free(place->text);
    g_free(place->origin);
    place->text = text;
    place->origin = g_strdup(origin);
    return true;
}

static bool take_key(const char *group, const char *key, const char *value, const char *location,
                     gpointer user_data, GError **error)
{
    StockConfig *stock = user_data;

    for (unsigned i = 0; i < stock_keys_count && strcmp(group, GROUP) == 0; i++) {
        if (strcmp(stock_keys[i].key, key) != 0)
            continue;
        if (stock_config_set(stock, &stock_keys[i], value, location, error))
            return true;
        g_prefix_error(error, "[" GROUP "] %s: ", key);
        return false;
    }
    g_ptr_array_add(stock->ignored,
                    g_strdup_printf("%s: [%s] %s is not known and ignored", location, group, key));
    return true;
}

bool stock_config_read(StockConfig *stock, const char *path, bool required, GError **error)
{
    g_autoptr(GError) problem = NULL;

    if (keyfile_read(path, NULL, take_key, stock, &problem))
        return true;
    if (!required && g_error_matches(problem, AGENT_ERROR, AGENT_ERROR_UNAVAILABLE))
        return true;
    g_propagate_error(error, g_steal_pointer(&problem));
    return false;
}

static const char *default_path(const char *method)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(DEFAULT_PATHS); i++)
        if (strcmp(DEFAULT_PATHS[i].method, method) == 0)
            return DEFAULT_PATHS[i].path;
    return NULL;
}

static const char *method_of(const StockConfig *stock)
{
    return stock->method.text ? stock->method.text : DEFAULT_METHOD;
}

static bool check_path(const StockConfig *stock, GError **error)
{
    if (stock->path.text || !stock->method.text || default_path(method_of(stock)))
        return true;
    g_set_error(error, AGENT_ERROR, AGENT_ERROR_CONFIG,
                "%s: must specify a path for this channel: %s has no default path; add -p PATH",
                stock->method.origin, method_of(stock));
    return false;
}

bool stock_config_prepare(Config *config, GError **error)
{
    return config_set(config, "hooks", "stock-directory", "", "qemu-ga", error);
}

/* qemu-ga takes paths from the directory it is started in. */
static char *absolute(const char *path)
{
    return *path ? g_canonicalize_filename(path, NULL) : g_strdup("");
}

static bool apply_channel(const StockConfig *stock, Config *config, GError **error)
{
    const char *method = method_of(stock);
    const StockValue *path = &stock->path;
    g_autofree char *place = NULL;

    if (!stock->method.text && !path->text)
        return true; /* what quiesced.conf says, or the default */
    if (!check_path(stock, error))
        return false;
    if (!path->text)
        place = g_strdup(default_path(method));
    else
        place = strcmp(method, "vsock-listen") == 0 ? g_strdup(path->text) : absolute(path->text);
    return config_set(config, "channel default", "method", method,
                      stock->method.origin ? stock->method.origin : path->origin, error) &&
           config_set(config, "channel default", "path", place,
                      path->origin ? path->origin : stock->method.origin, error);
}

/* What quiesced.conf blocks stays blocked. */
static bool apply_lists(const StockConfig *stock, Config *config, GError **error)
{
    if (stock->block.text) {
        g_autofree char *before = g_strjoinv(",", config->rpc.block);
        g_autofree char *both = g_strconcat(before, ",", stock->block.text, NULL);

        if (!config_set(config, "rpc", "block", both, stock->block.origin, error))
            return false;
    }
    return !stock->allow.text || !*stock->allow.text ||
           config_set(config, "rpc", "allow", stock->allow.text, stock->allow.origin, error);
}

bool stock_config_apply(const StockConfig *stock, Config *config, bool activated, GError **error)
{
    if (!activated && !apply_channel(stock, config, error))
        return false;
    if (stock->hook.text && *stock->hook.text) {
        g_autofree char *hook = absolute(stock->hook.text);

        if (!config_set(config, "hooks", "stock-hook", hook, stock->hook.origin, error))
            return false;
    }
    if (stock_config_flag(&stock->verbose) &&
        !config_set(config, "log", "level", "debug", stock->verbose.origin, error))
        return false;
    return apply_lists(stock, config, error);
}

char *stock_config_dump(const StockConfig *stock, GError **error)
{
    g_autoptr(GString) text = g_string_new("[" GROUP "]\n");

    if (!check_path(stock, error))
        return NULL;
    for (unsigned i = 0; i < stock_keys_count; i++) {
        const StockKey *key = &stock_keys[i];
        const char *value = value_at(stock, key)->text;

        if (!key->letter)
            continue;
        if (!value && key->offset == AT(path))
            value = default_path(method_of(stock));
        if (!value)
            value = key->fallback;
        if (value)
            g_string_append_printf(text, "%s=%s\n", key->key, value);
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}
