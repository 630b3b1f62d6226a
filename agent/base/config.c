/*
 * config: see config.h and config_read.h. The table of keys, and the way of a value from a file or
 * an option into the structure. What values may be is config_value.c, checks across keys
 * config_check.c.
 *
 * Reading blocks on disks (config_read.h says when). Nothing is shared between two Configs.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "base/config_internal.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

#define MSEC INT64_C(1000)
#define SEC  INT64_C(1000000)

static const char *const LOST_STATUSES[] = {"auto", "frozen", "thawed", NULL};
static const char *const HOSTS[] = {"auto", "default", "kubevirt", "cloudstack", NULL};
static const char *const ON_DISCONNECT[] = {"continue", "cancel", NULL};
static const char *const WHEN_UNABLE[] = {"present", "absent", NULL};
static const char *const ON_ERROR[] = {"fail", "skip", NULL};
static const char *const NAMESPACES[] = {"own", "all", NULL};
static const char *const NO_YES[] = {"no", "yes", NULL};
static const char *const ON_REFUSED[] = {"degrade", "abort", NULL};
static const char *const METHODS[] = {"virtio-serial", "isa-serial", "unix-listen", "vsock-listen",
                                      NULL};
static const char *const COMMANDS[] = {"all", "observe", NULL};
static const char *const LEVELS[] = {"error", "warning", "notice", "info", "debug", NULL};

#define DIRECTORIES "/etc/quiesced/hooks.d,/run/quiesced/hooks.d,/usr/lib/quiesced/hooks.d"

#define NO_LIMIT "it thaws the machine when the host never does, so it cannot be turned off"

#define AT(member)      offsetof(Config, member)
#define CHANNEL(member) offsetof(ConfigChannel, member)
#define TIME(key, member, fallback, min, reason)                                                   \
    {                                                                                              \
        "quiesce", key, CONFIG_TIME, AT(quiesce.member), fallback, NULL, min, reason               \
    }
#define WORDS(group, key, kind, member, fallback, words)                                           \
    {                                                                                              \
        group, key, kind, AT(member), fallback, words, 0, NULL                                     \
    }
#define PLAIN(group, key, kind, member, fallback, reason)                                          \
    {                                                                                              \
        group, key, kind, AT(member), fallback, NULL, 0, reason                                    \
    }

const ConfigKey config_keys[] = {
    TIME("participant-timeout", participant_timeout_us, "10", 100 * MSEC,
         "starting a program takes that long on a busy machine"),
    TIME("freeze-budget", freeze_budget_us, "45", 100 * MSEC, "no freeze could ever succeed"),
    TIME("abort-budget", abort_budget_us, "2", 100 * MSEC,
         "what was done has to be undone before the error goes out"),
    TIME("thaw-budget", thaw_budget_us, "3", 100 * MSEC,
         "participants have to be told before the thaw is answered"),
    {"quiesce", "reply-budget", CONFIG_REPLY, AT(quiesce.reply_budget_us), "auto", NULL, 500 * MSEC,
     "every freeze would be given up before it began"},
    TIME("frozen-limit", frozen_limit_us, "300", 100 * MSEC, NO_LIMIT),
    TIME("frozen-limit-max", frozen_limit_max_us, "900", 100 * MSEC, NO_LIMIT),
    TIME("lost-window", lost_window_us, "3600", 1 * SEC,
         "the host has to learn from its thaw that the freeze was lost"),
    WORDS("quiesce", "lost-status", CONFIG_CHOICE, quiesce.lost_status, "auto", LOST_STATUSES),
    WORDS("quiesce", "host", CONFIG_WORD, quiesce.host, "auto", HOSTS),
    WORDS("quiesce", "on-disconnect", CONFIG_FLAG, quiesce.disconnect_cancels, "continue",
          ON_DISCONNECT),
    WORDS("quiesce", "when-unable", CONFIG_FLAG, quiesce.absent_when_unable, "present",
          WHEN_UNABLE),
    WORDS("quiesce", "emergency-thaw", CONFIG_FLAG, quiesce.emergency_thaw, "no", NO_YES),
    PLAIN("filesystems", "include", CONFIG_LIST, filesystems.include, "*",
          "write * for all; exclude=* freezes none"),
    PLAIN("filesystems", "exclude", CONFIG_LIST, filesystems.exclude, "", NULL),
    WORDS("filesystems", "on-error", CONFIG_FLAG, filesystems.skip_errors, "fail", ON_ERROR),
    WORDS("filesystems", "namespaces", CONFIG_FLAG, filesystems.all_namespaces, "all", NAMESPACES),
    WORDS("filesystems", "pre-sync", CONFIG_FLAG, filesystems.pre_sync, "yes", NO_YES),
    PLAIN("hooks", "directories", CONFIG_PATHS, hooks.directories, DIRECTORIES, NULL),
    PLAIN("hooks", "stock-directory", CONFIG_PATH, hooks.stock_directory,
          "/etc/qemu/fsfreeze-hook.d", NULL),
    PLAIN("hooks", "stock-hook", CONFIG_PATH, hooks.stock_hook, NULL, NULL),
    WORDS("hooks", "on-refused", CONFIG_FLAG, hooks.abort_on_refused, "degrade", ON_REFUSED),
    WORDS("hooks", "report-output", CONFIG_FLAG, hooks.report_output, "yes", NO_YES),
    {CONFIG_CHANNEL_GROUP, "method", CONFIG_WORD, CHANNEL(method), NULL, METHODS, 0, NULL},
    {CONFIG_CHANNEL_GROUP, "path", CONFIG_TEXT, CHANNEL(path), NULL, NULL, 0, NULL},
    {CONFIG_CHANNEL_GROUP, "commands", CONFIG_FLAG, CHANNEL(observe), "all", COMMANDS, 0, NULL},
    PLAIN("rpc", "allow", CONFIG_NAMES, rpc.allow, NULL, NULL),
    PLAIN("rpc", "block", CONFIG_NAMES, rpc.block, "", NULL),
    WORDS("log", "level", CONFIG_CHOICE, log_level, "info", LEVELS),
};
const unsigned config_keys_count = G_N_ELEMENTS(config_keys);

static bool in_channel(const ConfigKey *key)
{
    return strcmp(key->group, CONFIG_CHANNEL_GROUP) == 0;
}

/* The defaults take the same way as a file's values; the test of the table proves that they can. */
static void set_defaults(void *base, bool channel)
{
    for (unsigned i = 0; i < config_keys_count; i++)
        if (in_channel(&config_keys[i]) == channel && config_keys[i].fallback)
            config_value_set(&config_keys[i], base, config_keys[i].fallback, NULL);
}

static void clear_values(void *base, bool channel)
{
    for (unsigned i = 0; i < config_keys_count; i++)
        if (in_channel(&config_keys[i]) == channel)
            config_value_clear(&config_keys[i], base);
}

static void channel_free(gpointer data)
{
    ConfigChannelStore *store = data;

    clear_values(&store->channel, true);
    g_free(store->channel.name);
    g_free(store->origin);
    g_free(store);
}

Config *config_new(void)
{
    ConfigStore *store = g_new0(ConfigStore, 1);

    store->origins = g_new0(char *, config_keys_count);
    store->config.channels = g_ptr_array_new_with_free_func(channel_free);
    set_defaults(&store->config, false);
    return &store->config;
}

void config_free(Config *config)
{
    ConfigStore *store = (ConfigStore *)config;

    if (!store)
        return;
    clear_values(&store->config, false);
    g_ptr_array_unref(store->config.channels);
    for (unsigned i = 0; i < config_keys_count; i++)
        g_free(store->origins[i]);
    g_free(store->origins);
    g_free(store);
}

/* "channel a" -> "a"; NULL when the group is no channel group. */
static const char *channel_name(const char *group)
{
    size_t length = strlen(CONFIG_CHANNEL_GROUP);

    if (strncmp(group, CONFIG_CHANNEL_GROUP, length) != 0)
        return NULL;
    if (group[length] != '\0' && !g_ascii_isspace(group[length]))
        return NULL;
    group += length;
    while (g_ascii_isspace(*group))
        group++;
    return group;
}

/* Finds the channel or makes it. */
static ConfigChannelStore *take_channel(Config *config, const char *name, GError **error)
{
    ConfigChannelStore *store = NULL;
    char shown[CONFIG_SHOWN_MAX];

    if (!config_is_name(name, CONFIG_CHANNEL_NAME_MAX)) {
        text_line(shown, sizeof shown, name, (size_t)-1);
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_CONFIG,
                    "'%s' is not the name of a channel; write [channel NAME] with 1 to %u "
                    "letters, digits, '.', '_' or '-'",
                    shown, CONFIG_CHANNEL_NAME_MAX);
        return NULL;
    }
    for (unsigned i = 0; i < config->channels->len; i++) {
        store = g_ptr_array_index(config->channels, i);
        if (strcmp(store->channel.name, name) == 0)
            return store;
    }
    if (config->channels->len >= CONFIG_CHANNELS_MAX) {
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_LIMIT,
                    "[channel %s] is one channel too many; there may be %u", name,
                    CONFIG_CHANNELS_MAX);
        return NULL;
    }
    store = g_new0(ConfigChannelStore, 1);
    store->channel.name = g_strdup(name);
    set_defaults(&store->channel, true);
    g_ptr_array_add(config->channels, store);
    return store;
}

static bool take_group(const char *group, const char *key G_GNUC_UNUSED,
                       const char *value G_GNUC_UNUSED, const char *location, gpointer user_data,
                       GError **error)
{
    const char *name = channel_name(group);
    ConfigChannelStore *channel = NULL;

    if (name) {
        channel = take_channel(user_data, name, error);
        if (!channel)
            return false;
        g_free(channel->origin);
        channel->origin = g_strdup(location);
        return true;
    }
    for (unsigned i = 0; i < config_keys_count; i++)
        if (strcmp(config_keys[i].group, group) == 0 && !in_channel(&config_keys[i]))
            return true;
    return config_unknown_group(group, error);
}

/* The row of a key that must exist, or NULL with `error` set. */
static const ConfigKey *find_key(const char *group, const char *key, GError **error)
{
    const char *table_group = channel_name(group) ? CONFIG_CHANNEL_GROUP : group;

    for (unsigned i = 0; i < config_keys_count; i++)
        if (strcmp(config_keys[i].group, table_group) == 0 && strcmp(config_keys[i].key, key) == 0)
            return &config_keys[i];
    config_unknown_key(table_group, key, error);
    return NULL;
}

static bool set_value(Config *config, const char *group, const ConfigKey *row, const char *value,
                      const char *origin, GError **error)
{
    char **place = &((ConfigStore *)config)->origins[row - config_keys];
    void *base = config;
    const char *name = channel_name(group);

    if (name) {
        ConfigChannelStore *channel = take_channel(config, name, error);

        if (!channel)
            return false;
        base = &channel->channel;
        place = &channel->origin;
    }
    if (!config_value_set(row, base, value, error))
        return false;
    g_free(*place);
    *place = g_strdup(origin);
    return true;
}

static bool take_key(const char *group, const char *key, const char *value, const char *location,
                     gpointer user_data, GError **error)
{
    const ConfigKey *row = find_key(group, key, error);

    if (!row)
        return false;
    if (set_value(user_data, group, row, value, location, error))
        return true;
    g_prefix_error(error, "[%s] %s: ", group, key);
    return false;
}

bool config_set(Config *config, const char *group, const char *key, const char *value,
                const char *origin, GError **error)
{
    bool option = *origin == '-';
    bool fine = take_group(group, NULL, NULL, origin, config, error);

    if (fine && !option)
        fine = take_key(group, key, value, origin, config, error);
    else if (fine) {
        /* "--frozen-limit: 'abc' is not a time": the option names group and key already. */
        const ConfigKey *row = find_key(group, key, error);
        fine = row && set_value(config, group, row, value, origin, error);
    }
    if (fine)
        return true;
    g_prefix_error(error, "%s: ", origin);
    if (option && error && g_error_matches(*error, AGENT_ERROR, AGENT_ERROR_CONFIG))
        (*error)->code = AGENT_ERROR_USAGE;
    return false;
}

static int compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of *.conf in `directory`, sorted by bytes, whatever the locale; none when it is not
 * there. Dotfiles are left-overs of editors. */
static GPtrArray *list_directory(const char *directory, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) problem = NULL;
    g_autoptr(GDir) entries = g_dir_open(directory, 0, &problem);
    const char *name = NULL;

    if (!entries && !g_error_matches(problem, G_FILE_ERROR, G_FILE_ERROR_NOENT)) {
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_CONFIG, "%s", problem->message);
        return NULL;
    }
    while (entries && (name = g_dir_read_name(entries)))
        if (g_str_has_suffix(name, ".conf") && *name != '.')
            g_ptr_array_add(names, g_build_filename(directory, name, NULL));
    g_ptr_array_sort(names, compare_names);
    return g_steal_pointer(&names);
}

bool config_read(Config *config, const char *path, bool required, GError **error)
{
    g_autofree char *directory = g_strconcat(path, ".d", NULL);
    g_autoptr(GPtrArray) files = NULL;
    g_autoptr(GError) problem = NULL;

    if (!keyfile_read(path, take_group, take_key, config, &problem) &&
        (required || !g_error_matches(problem, AGENT_ERROR, AGENT_ERROR_UNAVAILABLE))) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return false;
    }
    files = list_directory(directory, error);
    if (!files)
        return false;
    for (unsigned i = 0; i < files->len; i++)
        if (!keyfile_read(g_ptr_array_index(files, i), take_group, take_key, config, error))
            return false;
    return true;
}

const char *config_group_of(const char *key)
{
    const char *group = NULL;

    for (unsigned i = 0; i < config_keys_count; i++) {
        if (strcmp(config_keys[i].key, key) != 0)
            continue;
        if (group || in_channel(&config_keys[i]))
            return NULL;
        group = config_keys[i].group;
    }
    return group;
}
