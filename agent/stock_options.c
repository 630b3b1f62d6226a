/*
 * stock_options: see stock_options.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "stock_options.h"

#include "commands/call.h"
#include "sys/daemon.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define STOCK_NAME "qemu-ga"

/* Options without a letter; getopt_long() returns them. */
enum { ONLY_LONG = 0x100 };

struct StockOptions {
    const char *file;
    bool file_required, dump;
    bool activated;       /* the service manager gave a listening socket */
    GPtrArray *arguments; /* of char *: index in stock_keys as text, value, origin */
    StockConfig *config;  /* as read last */
    Daemon *daemon;
};

bool stock_options_wanted(const char *program)
{
    g_autofree char *name = g_path_get_basename(program ? program : "");

    return strcmp(name, STOCK_NAME) == 0;
}

static void print_version(void)
{
    (void)puts("QEMU Guest Agent " COMMANDS_STOCK_VERSION " (quiesced " PACKAGE_VERSION ")");
}

static void print_usage(const char *program)
{
    (void)printf(
        "Usage: %s [OPTION]...\n"
        "quiesced " PACKAGE_VERSION " in the place of the QEMU guest agent, with its options.\n\n"
        "  -c, --config=FILE        read FILE instead of /etc/qemu/qemu-ga.conf\n"
        "  -m, --method=METHOD      virtio-serial (the default), isa-serial, unix-listen or\n"
        "                           vsock-listen\n"
        "  -p, --path=PATH          device, socket, or CID:PORT\n"
        "  -l, --logfile=FILE       log to FILE, not to standard error or the journal\n"
        "  -f, --pidfile=FILE       with -d; default /var/run/qemu-ga.pid\n"
        "  -F, --fsfreeze-hook[=FILE]  run FILE with freeze and thaw (default\n"
        "                           /etc/qemu/fsfreeze-hook)\n"
        "  -t, --statedir=DIRECTORY  taken and not used; state is kept below /run/quiesced\n"
        "  -v, --verbose            log at level debug\n"
        "  -d, --daemonize          go to the background\n"
        "  -b, --block-rpcs=LIST    commands that are refused; \"help\" prints all there are\n"
        "  -a, --allow-rpcs=LIST    refuse every other command\n"
        "  -D, --dump-conf          print what would be in force as a qemu-ga.conf, and exit\n"
        "  -r, --retry-path         taken; a port that is not there is always waited for\n"
        "  -V, --version            print the version and exit\n"
        "  -h, --help               print this and exit\n\n"
        "Lists take , and ; between names. See quiesced(8).\n",
        program);
}

static void print_commands(void)
{
    const Command *command = NULL;

    for (unsigned i = 0; (command = commands_nth(i)); i++)
        (void)puts(command->name);
}

static void add_argument(StockOptions *options, unsigned key, const char *value)
{
    char *origin = g_strdup_printf("--%s", stock_keys[key].option);

    g_ptr_array_add(options->arguments, g_strdup_printf("%u", key));
    g_ptr_array_add(options->arguments, g_strdup(value ? value : stock_keys[key].fixed));
    g_ptr_array_add(options->arguments, origin);
}

/* True: go on. False: all is said, with the exit status in `*ret_status`. */
static bool take_option(StockOptions *options, int option, const char *program, int *ret_status)
{
    *ret_status = 0;
    switch (option) {
    case 'c':
        options->file = optarg;
        options->file_required = true;
        return true;
    case 'D':
        options->dump = true;
        return true;
    case 'V':
        print_version();
        return false;
    case 'h':
        print_usage(program);
        return false;
    default:
        break;
    }
    for (unsigned i = 0; i < stock_keys_count; i++) {
        if (option != (stock_keys[i].letter ? stock_keys[i].letter : ONLY_LONG + (int)i))
            continue;
        if (stock_keys[i].kind == STOCK_LIST &&
            (strcmp(optarg, "help") == 0 || strcmp(optarg, "?") == 0)) {
            print_commands();
            return false;
        }
        add_argument(options, i, optarg);
        return true;
    }
    (void)fprintf(stderr, "Unknown option, try '%s --help' for more information.\n", program);
    *ret_status = 1;
    return false;
}

static const char *const LETTER_SUFFIX[] = {
    [no_argument] = "", [required_argument] = ":", [optional_argument] = "::"};

/* Words that are no options are ignored, as the stock agent does. */
static bool take_arguments(StockOptions *options, int argc, char **argv, int *ret_status)
{
    struct option table[32] = {
        {"config", required_argument, NULL, 'c'},
        {"dump-conf", no_argument, NULL, 'D'},
        {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},
    };
    g_autoptr(GString) letters = g_string_new("c:DVh");
    unsigned count = 4;
    int option = 0;

    g_assert(count + stock_keys_count < G_N_ELEMENTS(table));
    for (unsigned i = 0; i < stock_keys_count; i++) {
        const StockKey *key = &stock_keys[i];
        int takes = !key->fixed ? required_argument : no_argument;

        if (key->optional)
            takes = optional_argument;
        table[count++] = (struct option){key->option, takes, NULL,
                                         key->letter ? key->letter : ONLY_LONG + (int)i};
        if (key->letter)
            g_string_append_printf(letters, "%c%s", key->letter, LETTER_SUFFIX[takes]);
    }
    while ((option = getopt_long(argc, argv, letters->str, table, NULL)) != -1)
        if (!take_option(options, option, argv[0], ret_status))
            return false;
    return true;
}

static StockConfig *read_all(const StockOptions *options, GError **error)
{
    g_autoptr(StockConfig) config = stock_config_new();

    if (options->file && !stock_config_read(config, options->file, options->file_required, error))
        return NULL;
    for (unsigned i = 0; i + 2 < options->arguments->len; i += 3) {
        const StockKey *key = &stock_keys[atoi(g_ptr_array_index(options->arguments, i))];
        const char *origin = g_ptr_array_index(options->arguments, i + 2);

        if (!stock_config_set(config, key, g_ptr_array_index(options->arguments, i + 1), origin,
                              error))
            return NULL;
    }
    for (unsigned i = 0; i < config->ignored->len; i++)
        (void)fprintf(stderr, STOCK_NAME ": %s\n",
                      (const char *)g_ptr_array_index(config->ignored, i));
    return g_steal_pointer(&config);
}

/* What --dump-conf prints. */
static bool print_dump(const StockOptions *options, GError **error)
{
    g_autofree char *text = stock_config_dump(options->config, error);

    if (!text)
        return false;
    (void)fputs(text, stdout);
    return true;
}

StockOptions *stock_options_new(int argc, char **argv, const char *default_file, int *ret_status)
{
    g_autoptr(StockOptions) options = g_new0(StockOptions, 1);
    const char *named = g_getenv("QGA_CONF");
    g_autoptr(GError) error = NULL;

    options->file = named ? named : default_file;
    options->arguments = g_ptr_array_new_with_free_func(g_free);
    options->activated = sd_listen_fds(0) > 0;
    if (!take_arguments(options, argc, argv, ret_status))
        return NULL;
    options->config = read_all(options, &error);
    if (!options->config || (options->dump && !print_dump(options, &error))) {
        (void)fprintf(stderr, STOCK_NAME ": %s\n", error->message);
        *ret_status = 1;
        return NULL;
    }
    *ret_status = 0;
    return options->dump ? NULL : g_steal_pointer(&options);
}

void stock_options_free(StockOptions *options)
{
    if (!options)
        return;
    daemon_free(options->daemon);
    stock_config_free(options->config);
    g_ptr_array_unref(options->arguments);
    g_free(options);
}

Config *stock_options_load(const StockOptions *options, const char *config_file, GError **error)
{
    g_autoptr(Config) config = config_new();
    g_autoptr(StockConfig) stock = read_all(options, error);

    if (!stock || !stock_config_prepare(config, error) ||
        !config_read(config, config_file, false, error) ||
        !stock_config_apply(stock, config, options->activated, error) ||
        !config_finish(config, error))
        return NULL;
    return g_steal_pointer(&config);
}

static const char *pidfile_of(const StockOptions *options)
{
    const char *named = options->config->pidfile.text;

    return named ? named : STOCK_CONFIG_PIDFILE;
}

void stock_options_writes(const StockOptions *options, GPtrArray *files)
{
    const char *logfile = options->config->logfile.text;

    if (logfile && *logfile)
        g_ptr_array_add(files, (char *)logfile);
    if (stock_config_flag(&options->config->daemonize))
        g_ptr_array_add(files, (char *)pidfile_of(options));
}

static bool go_to_background(StockOptions *options, GError **error)
{
    g_autofree char *pidfile = g_canonicalize_filename(pidfile_of(options), NULL);

    options->daemon = daemon_new(pidfile, error);
    return options->daemon != NULL;
}

bool stock_options_settle(StockOptions *options, GError **error)
{
    const char *logfile = options->config->logfile.text;
    int log = -1;

    if (logfile && *logfile) {
        log = daemon_open_log(logfile, error);
        if (log < 0)
            return false;
    }
    if (stock_config_flag(&options->config->daemonize) && !go_to_background(options, error)) {
        if (log >= 0)
            close(log);
        return false;
    }
    if (log >= 0)
        daemon_use_log(log);
    return true;
}

void stock_options_end(StockOptions *options)
{
    g_clear_pointer(&options->daemon, daemon_free);
}

void stock_options_serving(StockOptions *options)
{
    daemon_ready(options->daemon);
}
