/*
 * main: the command line of quiesced, and the paths of an installed system. Under the name qemu-ga
 * the command line is that of stock_options.h.
 *
 * Every key of quiesced.conf that stands in one group only is a long option too. Exit status: 0
 * ended on request, 1 could not start (the reason is on standard error), 2 wrong usage.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "agent.h"

#include "commands/commands.h"
#include "early.h"
#include "stock_options.h"

#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef TESTBED
/* Tests put everything below one directory and start a keeper that cannot freeze. */
#define PATH_OF(variable, installed) (g_getenv(variable))
#else
#define PATH_OF(variable, installed) (installed)
#endif

#define STOCK_CONFIG   "/etc/qemu/qemu-ga.conf"
#define MMAP_THRESHOLD (256 << 10) /* larger blocks go back to the system when they are freed */
#define STACK_SIZE     ((size_t)256 << 10) /* of GLib's threads, which do little */

typedef struct {
    AgentPaths paths;
    GPtrArray *settings; /* triples: key, value, origin; char * */
    bool dump, recover;
    StockOptions *stock; /* instead of settings, when started as qemu-ga */
} CommandLine;

static void usage(FILE *stream)
{
    (void)fputs(
        "Usage: quiesced [OPTION]...\n"
        "QEMU guest agent that brings applications and filesystems to a consistent point.\n\n"
        "  -c, --config=FILE     read FILE instead of " SYSCONFDIR "/quiesced/quiesced.conf\n"
        "  -m, --method=METHOD   channel method: virtio-serial, isa-serial, unix-listen,\n"
        "                        vsock-listen\n"
        "  -p, --path=PATH       channel path: device, socket, or CID:PORT\n"
        "  -F, --fsfreeze-hook[=FILE]  run FILE with freeze and thaw (default\n"
        "                        /etc/qemu/fsfreeze-hook)\n"
        "      --KEY=VALUE       any key of quiesced.conf, such as --frozen-limit=60\n"
        "  -v, --verbose         log at level debug\n"
        "      --recover         release what a process that died left frozen or held, and exit\n"
        "      --dump-conf       print the configuration in force and exit\n"
        "  -V, --version         print the version and exit\n"
        "  -h, --help            print this and exit\n\n"
        "See quiesced(8) and quiesced.conf(5).\n",
        stream);
}

static bool fail_usage(GError **error, const char *what, const char *problem)
{
    g_set_error(error, AGENT_ERROR, AGENT_ERROR_USAGE, "%s: %s; see quiesced --help", what,
                problem);
    return false;
}

static void add_setting(CommandLine *line, const char *key, const char *value, const char *origin)
{
    g_ptr_array_add(line->settings, g_strdup(key));
    g_ptr_array_add(line->settings, g_strdup(value));
    g_ptr_array_add(line->settings, g_strdup(origin));
}

static const struct {
    char letter;
    const char *name;
    bool value;
    const char *key;   /* NULL: handled by name */
    const char *fixed; /* value of an option without one */
} OPTIONS[] = {
    {'c', "config", true, NULL, NULL},
    {'m', "method", true, "channel default.method", NULL},
    {'p', "path", true, "channel default.path", NULL},
    {'F', "fsfreeze-hook", false, "hooks.stock-hook", "/etc/qemu/fsfreeze-hook"},
    {'v', "verbose", false, "log.level", "debug"},
    {0, "recover", false, NULL, NULL},
    {0, "dump-conf", false, NULL, NULL},
};

static bool take_named(CommandLine *line, unsigned index, const char *value, const char *origin)
{
    if (OPTIONS[index].key)
        add_setting(line, OPTIONS[index].key, value ? value : OPTIONS[index].fixed, origin);
    else if (strcmp(OPTIONS[index].name, "config") == 0) {
        line->paths.config_file = value;
        line->paths.config_required = true;
    } else if (strcmp(OPTIONS[index].name, "recover") == 0) {
        line->recover = true;
    } else {
        line->dump = true;
    }
    return true;
}

/* "--name=value", "--name value" or "--name"; advances `*position` past a separate value. */
static bool take_long(CommandLine *line, char **argv, int *position, GError **error)
{
    const char *argument = argv[*position] + 2;
    const char *equals = strchr(argument, '=');
    g_autofree char *name =
        equals ? g_strndup(argument, (size_t)(equals - argument)) : g_strdup(argument);
    const char *value = equals ? equals + 1 : NULL;
    g_autofree char *origin = g_strdup_printf("--%s", name);
    bool known = false;
    unsigned index = 0;
    const char *group = config_group_of(name);
    g_autofree char *key = group ? g_strdup_printf("%s.%s", group, name) : NULL;

    for (; index < G_N_ELEMENTS(OPTIONS) && !known; index++)
        known = strcmp(OPTIONS[index].name, name) == 0;
    if (!known && !group)
        return fail_usage(error, origin, "unknown option");
    if (!value && (known ? OPTIONS[index - 1].value : true)) {
        value = argv[*position + 1];
        if (!value)
            return fail_usage(error, origin, "needs a value");
        (*position)++;
    }
    if (known)
        return take_named(line, index - 1, value, origin);
    add_setting(line, key, value, origin);
    return true;
}

static bool take_short(CommandLine *line, char **argv, int *position, GError **error)
{
    const char *argument = argv[*position];
    char name[3] = {'-', argument[1], '\0'};
    const char *value = argument[2] ? argument + 2 : NULL;

    for (unsigned i = 0; i < G_N_ELEMENTS(OPTIONS); i++) {
        if (OPTIONS[i].letter != argument[1])
            continue;
        if (OPTIONS[i].value && !value) {
            value = argv[*position + 1];
            if (!value)
                return fail_usage(error, name, "needs a value");
            (*position)++;
        }
        return take_named(line, i, value, name);
    }
    return fail_usage(error, name, "unknown option");
}

static bool parse_command_line(CommandLine *line, int argc, char **argv, GError **error)
{
    for (int i = 1; i < argc; i++) {
        if (g_str_has_prefix(argv[i], "--")) {
            if (!take_long(line, argv, &i, error))
                return false;
        } else if (argv[i][0] == '-' && argv[i][1]) {
            if (!take_short(line, argv, &i, error))
                return false;
        } else {
            return fail_usage(error, argv[i], "unexpected argument");
        }
    }
    return true;
}

static Config *read_config(gpointer user_data, GError **error)
{
    CommandLine *line = user_data;
    g_autoptr(Config) config = NULL;

    if (line->stock)
        return stock_options_load(line->stock, line->paths.config_file, error);
    config = config_new();
    if (!config_read(config, line->paths.config_file, line->paths.config_required, error))
        return NULL;
    for (unsigned i = 0; i + 2 < line->settings->len; i += 3) {
        const char *full = g_ptr_array_index(line->settings, i);
        const char *dot = strrchr(full, '.');
        g_autofree char *group = g_strndup(full, (size_t)(dot - full));

        if (!config_set(config, group, dot + 1, g_ptr_array_index(line->settings, i + 1),
                        g_ptr_array_index(line->settings, i + 2), error))
            return NULL;
    }
    if (!config_finish(config, error))
        return NULL;
    return g_steal_pointer(&config);
}

static void installed_paths(AgentPaths *paths)
{
    *paths = (AgentPaths){
        .program = "quiesced",
        .config_file = PATH_OF("QUIESCED_TEST_CONFIG", SYSCONFDIR "/quiesced/quiesced.conf"),
        .runtime_dir = PATH_OF("QUIESCED_TEST_RUNTIME", "/run/quiesced"),
        .run_as = PATH_OF("QUIESCED_TEST_RUN_AS", LIBEXECDIR "/quiesced/quiesced-run-as"),
        .state_dir = PATH_OF("QUIESCED_TEST_STATE", "/var/lib/quiesced"),
        .keeper_socket = PATH_OF("QUIESCED_TEST_KEEPER_SOCKET", "/run/quiesced/keeper.sock"),
        .keeper_program = PATH_OF("QUIESCED_TEST_KEEPER", LIBEXECDIR "/quiesced/quiesced-keeper"),
        .mountinfo = PATH_OF("QUIESCED_TEST_MOUNTINFO", "/proc/self/mountinfo"),
        .sysfs = PATH_OF("QUIESCED_TEST_SYSFS", "/sys"),
        .procfs = PATH_OF("QUIESCED_TEST_PROCFS", "/proc"),
        .run = PATH_OF("QUIESCED_TEST_RUN", "/run"),
        .programs = PATH_OF("QUIESCED_TEST_PROGRAMS", "/usr/sbin:/usr/bin:/sbin:/bin"),
        .dmi = PATH_OF("QUIESCED_TEST_DMI", "/sys/class/dmi/id"),
        .check_mount_id = true,
    };
#ifdef TESTBED
    paths->check_mount_id = false;
    paths->hook_owner = (unsigned)atoi(g_getenv("QUIESCED_TEST_OWNER"));
#endif
}

static bool answered_at_once(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            usage(stdout);
            return true;
        }
        if (strcmp(argv[i], "--version") == 0 || strcmp(argv[i], "-V") == 0) {
            (void)printf("quiesced " PACKAGE_VERSION " (QEMU guest agent protocol %s)\n",
                         COMMANDS_STOCK_VERSION);
            return true;
        }
    }
    return false;
}

static int fail(const CommandLine *line, const GError *error, int status)
{
    (void)fprintf(stderr, "%s: %s\n", line->paths.program, error->message);
    return status;
}

static gboolean tell_serving(gpointer user_data)
{
    stock_options_serving(user_data);
    return G_SOURCE_REMOVE;
}

/* Whatever the start is going to write to must not be frozen. */
static void recover_early(CommandLine *line, const Config *config)
{
    g_autoptr(GPtrArray) files = g_ptr_array_new();

    if (g_getenv("NOTIFY_SOCKET") || line->recover)
        return;
    for (unsigned i = 0; i < config->channels->len; i++) {
        const ConfigChannel *channel = g_ptr_array_index(config->channels, i);

        if (g_strcmp0(channel->method, "unix-listen") == 0)
            g_ptr_array_add(files, channel->path);
    }
    if (line->stock)
        stock_options_writes(line->stock, files);
    g_ptr_array_add(files, NULL);
    early_recover(&line->paths, (char *const *)files->pdata, read_config, line);
}

static int serve(CommandLine *line, Config *config)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Agent) agent = agent_new(&line->paths, config, read_config, line, &error);

    if (!agent)
        return fail(line, error, 1);
    if (line->recover)
        return agent_recover(agent);
    if (line->stock)
        g_idle_add(tell_serving, line->stock); /* once the ports are open */
    return agent_run(agent);
}

/* Started as qemu-ga. */
static int main_stock(CommandLine *line, int argc, char **argv)
{
    int status = 0;
    g_autoptr(GError) error = NULL;
    Config *config = NULL;

    line->stock =
        stock_options_new(argc, argv, PATH_OF("QUIESCED_TEST_STOCK", STOCK_CONFIG), &status);
    if (!line->stock)
        return status;
    line->paths.program = "qemu-ga";
    config = read_config(line, &error);
    if (!config)
        return fail(line, error, 1);
    recover_early(line, config);
    if (stock_options_settle(line->stock, &error)) {
        status = serve(line, config);
        stock_options_end(line->stock);
        return status;
    }
    config_free(config);
    return fail(line, error, 1);
}

static int main_own(CommandLine *line, int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    Config *config = NULL;

    if (answered_at_once(argc, argv))
        return 0;
    line->settings = g_ptr_array_new_with_free_func(g_free);
    if (!parse_command_line(line, argc, argv, &error))
        return fail(line, error, 2);
    config = read_config(line, &error);
    if (!config)
        return fail(line, error, 1);
    if (line->dump) {
        g_autofree char *text = config_dump(config);

        (void)fputs(text, stdout);
        config_free(config);
        return 0;
    }
    if (line->recover)
        line->paths.keeper_program = NULL; /* one that holds something is running */
    recover_early(line, config);
    return serve(line, config);
}

/* A guest agent is to take next to nothing of its machine. */
static void keep_memory_small(void)
{
    pthread_attr_t attributes;

    /* Few threads, each for a moment: one arena keeps what they touch shared. */
    (void)mallopt(M_ARENA_MAX, 1);
    /* Fixed, or the first large reply that is freed raises it, and the next ones stay for good. */
    (void)mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD);
#ifdef __SANITIZE_THREAD__
    return; /* its own data of a thread do not fit */
#endif
    /* The usual 8 MiB hold a whole huge page, and the kernel may give one for the first byte. */
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, STACK_SIZE);
    (void)pthread_setattr_default_np(&attributes);
    (void)pthread_attr_destroy(&attributes);
}

int main(int argc, char **argv)
{
    /* Never freed: a thread that reads the configuration may be left at the end. */
    static CommandLine line;

    keep_memory_small();
    installed_paths(&line.paths);
    if (stock_options_wanted(argv[0]))
        return main_stock(&line, argc, argv);
    return main_own(&line, argc, argv);
}
