/*
 * test_config: times and lists, defaults, files over files, options, the dump. What errors say is
 * test_config_errors.c, what the documents say test_config_docs.c.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "base/config_internal.h"
#include "base/deadline.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    char *directory, *path, *drop_ins;
    Config *config;
} Fixture;

static void set_up(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    fixture->directory = g_dir_make_tmp("config-XXXXXX", NULL);
    fixture->path = g_build_filename(fixture->directory, "q.conf", NULL);
    fixture->drop_ins = g_strconcat(fixture->path, ".d", NULL);
    fixture->config = config_new();
}

static void remove_all(const char *directory)
{
    g_autoptr(GDir) entries = g_dir_open(directory, 0, NULL);
    const char *name = NULL;

    while (entries && (name = g_dir_read_name(entries))) {
        g_autofree char *path = g_build_filename(directory, name, NULL);
        g_unlink(path);
    }
    g_rmdir(directory);
}

static void tear_down(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    remove_all(fixture->drop_ins);
    remove_all(fixture->directory);
    g_free(fixture->directory);
    g_free(fixture->path);
    g_free(fixture->drop_ins);
    config_free(fixture->config);
}

static void write_file(const char *path, const char *text)
{
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

static void write_drop_in(Fixture *fixture, const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(fixture->drop_ins, name, NULL);

    g_mkdir(fixture->drop_ins, 0700);
    write_file(path, text);
}

static void read_text(Fixture *fixture, const char *text)
{
    g_autoptr(GError) error = NULL;

    write_file(fixture->path, text);
    config_read(fixture->config, fixture->path, true, &error);
    g_assert_no_error(error);
}

static void test_parse_time(void)
{
    static const struct {
        const char *text;
        int64_t time_us;
    } good[] = {
        {"10", 10 * USEC_PER_SEC},
        {"0", 0},
        {"2.5", 2500 * USEC_PER_MSEC},
        {"5m", 300 * USEC_PER_SEC},
        {"500ms", 500 * USEC_PER_MSEC},
        {"1h", 3600 * USEC_PER_SEC},
        {"10s", 10 * USEC_PER_SEC},
        {"0.5h", 1800 * USEC_PER_SEC},
        {"0.000001", 1},
        {"1.5ms", 1500},
        {"0.999999999h", INT64_C(3599999996)},
        {"9223372036854", INT64_C(9223372036854000000)},
    };
    static const char *const bad[] = {"",
                                      " ",
                                      "abc",
                                      "-1",
                                      "+1",
                                      "1 s",
                                      "1.",
                                      ".5",
                                      "1e3",
                                      "5d",
                                      "5mm",
                                      "5M",
                                      "0x10",
                                      "1,5",
                                      "1.2.3",
                                      "inf",
                                      "nan",
                                      "1s2",
                                      "m",
                                      "0.0000000001",
                                      "9223372036855",
                                      "99999999999999999999",
                                      "9999999999999999h"};
    int64_t time_us = 0;

    for (unsigned i = 0; i < G_N_ELEMENTS(good); i++) {
        g_assert_true(config_parse_time(good[i].text, &time_us));
        g_assert_cmpint(time_us, ==, good[i].time_us);
    }
    time_us = 42;
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++)
        g_assert_false(config_parse_time(bad[i], &time_us));
    g_assert_cmpint(time_us, ==, 42);
}

static void test_format_time(void)
{
    static const struct {
        int64_t time_us;
        const char *text;
    } times[] = {{0, "0"},
                 {300 * USEC_PER_SEC, "300"},
                 {500000, "500ms"},
                 {2500000, "2.5"},
                 {1234567, "1.234567"},
                 {1, "0.000001"},
                 {10000001, "10.000001"}};
    int64_t back = 0;

    for (unsigned i = 0; i < G_N_ELEMENTS(times); i++) {
        g_autofree char *text = config_format_time(times[i].time_us);

        g_assert_cmpstr(text, ==, times[i].text);
        g_assert_true(config_parse_time(text, &back));
        g_assert_cmpint(back, ==, times[i].time_us);
    }
}

static void expect_list(const char *text, const char *joined)
{
    g_auto(GStrv) list = config_split_list(text);
    g_autofree char *got = g_strjoinv("|", list);

    g_assert_cmpstr(got, ==, joined);
}

static void test_split_list(void)
{
    expect_list("", "");
    expect_list(" ,; ,", "");
    expect_list("a", "a");
    expect_list(" /a b , c;d,,e ", "/a b|c|d|e");
}

/* Written out, so that a slip in the table does not go unnoticed. */
static void test_defaults(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    const Config *config = fixture->config;
    const ConfigChannel *channel = NULL;
    g_autofree char *directories = NULL;

    g_assert_true(config_finish(fixture->config, NULL));
    g_assert_cmpint(config->quiesce.participant_timeout_us, ==, 10 * USEC_PER_SEC);
    g_assert_cmpint(config->quiesce.freeze_budget_us, ==, 45 * USEC_PER_SEC);
    g_assert_cmpint(config->quiesce.abort_budget_us, ==, 2 * USEC_PER_SEC);
    g_assert_cmpint(config->quiesce.thaw_budget_us, ==, 3 * USEC_PER_SEC);
    g_assert_cmpint(config->quiesce.reply_budget_us, ==, CONFIG_REPLY_AUTO);
    g_assert_cmpint(config->quiesce.frozen_limit_us, ==, 300 * USEC_PER_SEC);
    g_assert_cmpint(config->quiesce.frozen_limit_max_us, ==, 900 * USEC_PER_SEC);
    g_assert_cmpint(config->quiesce.lost_window_us, ==, 3600 * USEC_PER_SEC);
    g_assert_cmpint(config->quiesce.lost_status, ==, LOST_STATUS_AUTO);
    g_assert_cmpstr(config->quiesce.host, ==, "auto");
    g_assert_false(config->quiesce.disconnect_cancels);
    g_assert_false(config->quiesce.absent_when_unable);
    g_assert_false(config->quiesce.emergency_thaw);
    g_assert_cmpstr(config->filesystems.include[0], ==, "*");
    g_assert_null(config->filesystems.include[1]);
    g_assert_null(config->filesystems.exclude[0]);
    g_assert_false(config->filesystems.skip_errors);
    g_assert_true(config->filesystems.all_namespaces);
    g_assert_true(config->filesystems.pre_sync);
    directories = g_strjoinv(" ", config->hooks.directories);
    g_assert_cmpstr(directories, ==,
                    "/etc/quiesced/hooks.d /run/quiesced/hooks.d /usr/lib/quiesced/hooks.d");
    g_assert_cmpstr(config->hooks.stock_directory, ==, "/etc/qemu/fsfreeze-hook.d");
    g_assert_null(config->hooks.stock_hook);
    g_assert_false(config->hooks.abort_on_refused);
    g_assert_true(config->hooks.report_output);
    g_assert_cmpuint(config->channels->len, ==, 1);
    channel = g_ptr_array_index(config->channels, 0);
    g_assert_cmpstr(channel->name, ==, "default");
    g_assert_cmpstr(channel->method, ==, "virtio-serial");
    g_assert_cmpstr(channel->path, ==, "/dev/virtio-ports/org.qemu.guest_agent.0");
    g_assert_false(channel->observe);
    g_assert_null(config->rpc.allow);
    g_assert_null(config->rpc.block[0]);
    g_assert_cmpint(config->log_level, ==, LOG_INFO);
}

static const char OTHER[] = "[quiesce]\n"
                            "participant-timeout=1\n"
                            "freeze-budget=2m\n"
                            "abort-budget=1500ms\n"
                            "thaw-budget=0.25\n"
                            "reply-budget=4\n"
                            "frozen-limit=1000\n"
                            "frozen-limit-max=1h\n"
                            "lost-window=1.000001\n"
                            "lost-status=thawed\n"
                            "host=kubevirt\n"
                            "on-disconnect=cancel\n"
                            "when-unable=absent\n"
                            "emergency-thaw=yes\n"
                            "[filesystems]\n"
                            "include=/srv/*; xfs\n"
                            "exclude=/scratch,/tmp\n"
                            "on-error=skip\n"
                            "namespaces=own\n"
                            "pre-sync=no\n"
                            "[hooks]\n"
                            "directories=/a b\n"
                            "stock-directory=\n"
                            "stock-hook=/etc/qemu/hook\n"
                            "on-refused=abort\n"
                            "report-output=no\n"
                            "[channel default]\n"
                            "[channel a.b_c-1]\n"
                            "method=unix-listen\n"
                            "path=/run/x=y#z\n"
                            "commands=observe\n"
                            "[channel v]\n"
                            "method=vsock-listen\n"
                            "path=3:1234\n"
                            "[rpc]\n"
                            "allow=guest-ping,guest-info\n"
                            "block=guest-exec\n"
                            "[log]\n"
                            "level=debug\n";

static void test_reads_all(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    const Config *config = fixture->config;
    const ConfigChannel *channel = NULL;

    read_text(fixture, OTHER);
    g_assert_true(config_finish(fixture->config, NULL));
    g_assert_cmpint(config->quiesce.freeze_budget_us, ==, 120 * USEC_PER_SEC);
    g_assert_cmpint(config->quiesce.reply_budget_us, ==, 4 * USEC_PER_SEC);
    g_assert_cmpint(config->quiesce.lost_window_us, ==, 1000001);
    g_assert_cmpint(config->quiesce.lost_status, ==, LOST_STATUS_THAWED);
    g_assert_cmpstr(config->quiesce.host, ==, "kubevirt");
    g_assert_true(config->quiesce.disconnect_cancels);
    g_assert_true(config->quiesce.absent_when_unable);
    g_assert_true(config->quiesce.emergency_thaw);
    g_assert_cmpstr(config->filesystems.include[1], ==, "xfs");
    g_assert_true(config->filesystems.skip_errors);
    g_assert_false(config->filesystems.all_namespaces);
    g_assert_false(config->filesystems.pre_sync);
    g_assert_cmpstr(config->hooks.directories[0], ==, "/a b");
    g_assert_null(config->hooks.directories[1]);
    g_assert_null(config->hooks.stock_directory);
    g_assert_true(config->hooks.abort_on_refused);
    g_assert_false(config->hooks.report_output);
    g_assert_cmpuint(config->channels->len, ==, 3);
    channel = g_ptr_array_index(config->channels, 1);
    g_assert_cmpstr(channel->name, ==, "a.b_c-1");
    g_assert_cmpstr(channel->path, ==, "/run/x=y#z");
    g_assert_true(channel->observe);
    g_assert_cmpstr(config->rpc.allow[1], ==, "guest-info");
    g_assert_cmpint(config->log_level, ==, LOG_DEBUG);
}

static void expect_round_trip(Fixture *fixture)
{
    g_autofree char *first = config_dump(fixture->config);
    g_autofree char *second = NULL;
    g_autoptr(Config) again = config_new();
    g_autoptr(GError) error = NULL;

    write_file(fixture->path, first);
    config_read(again, fixture->path, true, &error);
    g_assert_no_error(error);
    second = config_dump(again);
    g_assert_cmpstr(first, ==, second);
}

static void test_dump(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    g_autoptr(Config) defaults = config_new();
    g_autofree char *text = NULL, *default_text = NULL;
    g_auto(GStrv) lines = NULL;

    expect_round_trip(fixture); /* before config_finish() too */
    g_assert_true(config_finish(fixture->config, NULL));
    expect_round_trip(fixture);
    read_text(fixture, OTHER);
    g_assert_true(config_finish(fixture->config, NULL));
    expect_round_trip(fixture);
    /* OTHER changes every key there is: a key that the dump forgot would show its default. */
    default_text = config_dump(defaults);
    text = config_dump(fixture->config);
    lines = g_strsplit(default_text, "\n", -1);
    for (char **line = lines; *line; line++) {
        g_autofree char *whole = g_strdup_printf("\n%s\n", *line);

        if (strchr(*line, '='))
            g_assert_null(strstr(text, whole));
    }
}

static void test_default_paths(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    const ConfigChannel *channel = NULL;

    read_text(fixture, "[channel a]\nmethod=isa-serial\n");
    g_assert_true(config_finish(fixture->config, NULL));
    channel = g_ptr_array_index(fixture->config->channels, 0);
    g_assert_cmpstr(channel->path, ==, "/dev/ttyS0");
    g_assert_cmpuint(fixture->config->channels->len, ==, 1);
}

static void test_drop_ins(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    const ConfigChannel *channel = NULL;
    const Config *config = fixture->config;

    write_drop_in(fixture, "20-b.conf", "[quiesce]\nfrozen-limit=20\n[channel a]\npath=/dev/b\n");
    write_drop_in(fixture, "10-a.conf",
                  "[quiesce]\nfrozen-limit=10\nfreeze-budget=7\n[hooks]\ndirectories=/x,/y\n");
    write_drop_in(fixture, "30.conf.bak", "nonsense\n");
    write_drop_in(fixture, ".hidden.conf", "nonsense\n");
    read_text(fixture, "[quiesce]\nfrozen-limit=5\nabort-budget=1\n"
                       "[channel a]\ncommands=observe\npath=/dev/a\n[hooks]\ndirectories=/z\n");
    g_assert_cmpint(config->quiesce.frozen_limit_us, ==, 20 * USEC_PER_SEC);
    g_assert_cmpint(config->quiesce.freeze_budget_us, ==, 7 * USEC_PER_SEC);
    g_assert_cmpint(config->quiesce.abort_budget_us, ==, 1 * USEC_PER_SEC);
    g_assert_cmpuint(g_strv_length(config->hooks.directories), ==, 2);
    g_assert_cmpuint(config->channels->len, ==, 1);
    channel = g_ptr_array_index(config->channels, 0);
    g_assert_cmpstr(channel->path, ==, "/dev/b");
    g_assert_true(channel->observe);
}

/* Neither the order of their making nor its reverse, which are what a directory may list. */
static void test_drop_in_order(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    for (unsigned i = 0; i < 31; i++) {
        unsigned number = i * 7 % 31 + 10;
        g_autofree char *name = g_strdup_printf("%u.conf", number);
        g_autofree char *text = g_strdup_printf("[quiesce]\nfrozen-limit=%u\n", number);

        write_drop_in(fixture, name, text);
    }
    read_text(fixture, "");
    g_assert_cmpint(fixture->config->quiesce.frozen_limit_us, ==, 40 * USEC_PER_SEC);
}

static void test_files(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *place = g_strdup_printf("%s/bad.conf:1: ", fixture->drop_ins);
    g_autofree char *link = g_build_filename(fixture->drop_ins, "gone.conf", NULL);

    g_assert_true(config_read(fixture->config, fixture->path, false, NULL));
    g_assert_false(config_read(fixture->config, fixture->path, true, &error));
    g_assert_error(error, AGENT_ERROR, AGENT_ERROR_UNAVAILABLE);
    g_clear_error(&error);
    /* Drop-ins count without the file, and theirs are errors like its. */
    write_drop_in(fixture, "bad.conf", "[quiesce\n");
    g_assert_false(config_read(fixture->config, fixture->path, false, &error));
    g_assert_true(g_str_has_prefix(error->message, place));
    g_clear_error(&error);
    /* A drop-in that is listed but cannot be read is not "missing, never mind". */
    write_drop_in(fixture, "bad.conf", "");
    g_assert_cmpint(symlink("/nonexistent", link), ==, 0);
    g_assert_false(config_read(fixture->config, fixture->path, false, &error));
    g_assert_nonnull(strstr(error->message, "gone.conf"));
}

static void expect_option_error(Config *config, const char *group, const char *key,
                                const char *value, const char *origin, const char *message)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(config_set(config, group, key, value, origin, &error));
    g_assert_error(error, AGENT_ERROR, AGENT_ERROR_USAGE);
    g_assert_cmpstr(error->message, ==, message);
}

static void test_options(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    Config *config = fixture->config;
    const ConfigChannel *channel = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_true(config_set(config, "quiesce", "frozen-limit", " 20 ", "--frozen-limit", NULL));
    g_assert_cmpint(config->quiesce.frozen_limit_us, ==, 20 * USEC_PER_SEC);
    g_assert_true(config_set(config, "channel default", "method", "unix-listen", "-m", NULL));
    g_assert_true(config_set(config, "channel default", "path", "/run/s", "-p", NULL));
    g_assert_true(config_finish(config, NULL));
    g_assert_cmpuint(config->channels->len, ==, 1);
    channel = g_ptr_array_index(config->channels, 0);
    g_assert_cmpstr(channel->method, ==, "unix-listen");
    g_assert_cmpstr(channel->path, ==, "/run/s");
    expect_option_error(config, "quiesce", "frozen-limit", "x", "--frozen-limit",
                        "--frozen-limit: 'x' is not a time; write seconds or a number with ms, s, "
                        "m, h (10, 2.5, 5m, 500ms)");
    expect_option_error(config, "quiesce", "frozn-limit", "1", "--frozn-limit",
                        "--frozn-limit: [quiesce] has no key 'frozn-limit'; did you mean "
                        "frozen-limit?");
    expect_option_error(config, "channel default", "path", "/a\nb", "-p",
                        "-p: '/a b' holds a control character or is not UTF-8 text");
    expect_option_error(config, "hooks", "stock-hook", "/\xFF", "--stock-hook",
                        "--stock-hook: '/?' holds a control character or is not UTF-8 text");
    g_assert_true(config_set(config, "quiesce", "frozen-limit", "20m", "--frozen-limit", NULL));
    g_assert_false(config_finish(config, &error));
    g_assert_true(g_str_has_prefix(error->message, "--frozen-limit: frozen-limit=1200 is over "));
    g_clear_error(&error);
    /* Another program's file (qemu-ga.conf) names its place. */
    g_assert_false(config_set(config, "rpc", "block", "a b", "/etc/x.conf:3", &error));
    g_assert_error(error, AGENT_ERROR, AGENT_ERROR_CONFIG);
    g_assert_true(g_str_has_prefix(error->message, "/etc/x.conf:3: [rpc] block: 'a b' "));
}

static void test_group_of(void)
{
    g_assert_cmpstr(config_group_of("frozen-limit"), ==, "quiesce");
    g_assert_cmpstr(config_group_of("exclude"), ==, "filesystems");
    g_assert_cmpstr(config_group_of("level"), ==, "log");
    g_assert_null(config_group_of("path"));
    g_assert_null(config_group_of("no-such"));
    g_assert_null(config_group_of(""));
}

/* A wrong value leaves what was there. */
static void test_wrong_value_changes_nothing(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    g_autofree char *before = NULL, *after = NULL;

    read_text(fixture, OTHER);
    before = config_dump(fixture->config);
    for (unsigned i = 0; i < config_keys_count; i++) {
        const char *group = config_keys[i].group;
        ConfigKind kind = config_keys[i].kind;

        if (kind == CONFIG_TEXT || kind == CONFIG_LIST)
            continue;
        if (strcmp(group, CONFIG_CHANNEL_GROUP) == 0)
            group = "channel v";
        g_assert_false(
            config_set(fixture->config, group, config_keys[i].key, "no such!", "-x", NULL));
    }
    after = config_dump(fixture->config);
    g_assert_cmpstr(before, ==, after);
}

static void add(const char *name, void (*func)(Fixture *, gconstpointer))
{
    g_test_add(name, Fixture, NULL, set_up, func, tear_down);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/config/parse_time", test_parse_time);
    g_test_add_func("/config/format_time_reads_back", test_format_time);
    g_test_add_func("/config/split_list", test_split_list);
    add("/config/defaults", test_defaults);
    add("/config/reads_every_key", test_reads_all);
    add("/config/dump_reads_back_to_the_same", test_dump);
    add("/config/path_follows_method", test_default_paths);
    add("/config/later_files_win", test_drop_ins);
    add("/config/drop_ins_are_read_by_name", test_drop_in_order);
    add("/config/missing_and_broken_files", test_files);
    add("/config/options", test_options);
    g_test_add_func("/config/option_names", test_group_of);
    add("/config/wrong_value_changes_nothing", test_wrong_value_changes_nothing);
    return g_test_run();
}
