/*
 * test_config_errors: that a mistake in a configuration is told with its place and its remedy.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "base/config_internal.h"

#include <glib/gstdio.h>
#include <string.h>

typedef struct {
    char *directory, *path;
} Fixture;

static void set_up(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    fixture->directory = g_dir_make_tmp("config-XXXXXX", NULL);
    fixture->path = g_build_filename(fixture->directory, "q.conf", NULL);
}

static void tear_down(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    g_unlink(fixture->path);
    g_rmdir(fixture->directory);
    g_free(fixture->directory);
    g_free(fixture->path);
}

/* The error of reading `text` and finishing is exactly "PATH:LINE: REST". */
static void expect_error(Fixture *fixture, const char *text, unsigned line, const char *rest)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Config) config = config_new();
    g_autofree char *expected = g_strdup_printf("%s:%u: %s", fixture->path, line, rest);

    g_assert_true(g_file_set_contents(fixture->path, text, -1, NULL));
    g_assert_false(config_read(config, fixture->path, true, &error) &&
                   config_finish(config, &error));
    g_assert_nonnull(error);
    g_assert_true(error->domain == AGENT_ERROR);
    g_assert_cmpstr(error->message, ==, expected);
}

static void test_values_refused(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    expect_error(fixture, "[quiesce]\nfrozen-limit=abc\n", 2,
                 "[quiesce] frozen-limit: 'abc' is not a time; write seconds or a number with ms, "
                 "s, m, h (10, 2.5, 5m, 500ms)");
    expect_error(fixture, "[quiesce]\nfrozen-limit = 0\n", 2,
                 "[quiesce] frozen-limit: '0' is too short; write at least 100ms: it thaws the "
                 "machine when the host never does, so it cannot be turned off");
    expect_error(fixture, "[quiesce]\nlost-window=25h\n", 2,
                 "[quiesce] lost-window: '25h' is too long; write at most 24h");
    expect_error(fixture, "[quiesce]\nreply-budget=never\n", 2,
                 "[quiesce] reply-budget: 'never' is not a time; write auto, seconds or a number "
                 "with ms, s, m, h (10, 2.5, 5m, 500ms)");
    expect_error(fixture, "[quiesce]\nfreeze-budget=auto\n", 2,
                 "[quiesce] freeze-budget: 'auto' is not a time; write seconds or a number with "
                 "ms, s, m, h (10, 2.5, 5m, 500ms)");
    expect_error(fixture, "\n[quiesce]\non-disconnect=stop\n", 3,
                 "[quiesce] on-disconnect: 'stop' is not known here; write continue|cancel");
    expect_error(fixture, "[filesystems]\npre-sync=1\n", 2,
                 "[filesystems] pre-sync: '1' is not known here; write no|yes");
    expect_error(fixture, "[filesystems]\ninclude=,\n", 2,
                 "[filesystems] include: ',' is an empty list; write * for all; exclude=* freezes "
                 "none");
    expect_error(fixture, "[hooks]\ndirectories=/a,b\n", 2,
                 "[hooks] directories: 'b' is not an absolute path; start it with '/'");
    expect_error(fixture, "[hooks]\nstock-hook=hook\n", 2,
                 "[hooks] stock-hook: 'hook' is not an absolute path; start it with '/'");
    expect_error(fixture, "[rpc]\nblock=guest exec\n", 2,
                 "[rpc] block: 'guest exec' is not the name of a command (like guest-exec)");
    expect_error(fixture, "[log]\nlevel=loud\n", 2,
                 "[log] level: 'loud' is not known here; write error|warning|notice|info|debug");
    expect_error(fixture, "[quiesce]\nhost=kubvirt\n", 2,
                 "[quiesce] host: 'kubvirt' is not known here; write "
                 "auto|default|kubevirt|cloudstack");
}

static void test_names_unknown(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    expect_error(fixture, "[quiesce]\nfrozenlimit=1\n", 2,
                 "[quiesce] has no key 'frozenlimit'; did you mean frozen-limit?");
    expect_error(fixture, "[quiesce]\nexclude=/a\n", 2,
                 "[quiesce] has no key 'exclude'; it belongs to [filesystems]");
    expect_error(fixture, "[log]\nutterly-different=/a\n", 2,
                 "[log] has no key 'utterly-different'; its keys are level");
    expect_error(fixture, "[channel x]\nmethdo=isa-serial\n", 2,
                 "[channel NAME] has no key 'methdo'; did you mean method?");
    expect_error(fixture, "[rpc]\nx-very-long-name-that-comes-near-no-other-name-at-all=1\n", 2,
                 "[rpc] has no key 'x-very-long-name-that-comes-near-no-other-name-at-all'; its "
                 "keys are allow, block");
    expect_error(fixture, "[filesystem]\n", 1,
                 "there is no group [filesystem]; did you mean [filesystems]?");
    expect_error(fixture, "[general]\ndaemon=1\n", 1,
                 "there is no group [general]; the groups are [quiesce], [filesystems], [hooks], "
                 "[channel NAME], [rpc], [log]");
}

static void test_channel_names(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    g_autoptr(Config) config = config_new();
    static const char *const bad[] = {"", "a b", "a/b", "\xC3\xA9",
                                      "123456789012345678901234567890123"};
    GString *many = g_string_new("[channel   12345678901234567890123456789012 ]\n");

    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *text = g_strdup_printf("[channel %s]\n", bad[i]);
        g_autofree char *rest =
            g_strdup_printf("'%s' is not the name of a channel; write [channel NAME] with 1 to 32 "
                            "letters, digits, '.', '_' or '-'",
                            bad[i]);
        expect_error(fixture, text, 1, rest);
    }
    expect_error(fixture, "[channels]\n", 1,
                 "there is no group [channels]; did you mean [channel NAME]?");
    for (unsigned i = 1; i < CONFIG_CHANNELS_MAX; i++)
        g_string_append_printf(many, "[channel c%u]\n", i);
    g_assert_true(g_file_set_contents(fixture->path, many->str, -1, NULL));
    g_assert_true(config_read(config, fixture->path, true, NULL));
    g_assert_cmpuint(config->channels->len, ==, CONFIG_CHANNELS_MAX);
    g_string_append(many, "[channel more]\n");
    expect_error(fixture, many->str, CONFIG_CHANNELS_MAX + 1,
                 "[channel more] is one channel too many; there may be 16");
    g_string_free(many, TRUE);
}

static void test_across_keys(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    g_autofree char *rest = NULL;

    expect_error(fixture, "[quiesce]\nfrozen-limit=1200\n", 2,
                 "frozen-limit=1200 is over frozen-limit-max (900, the default); set "
                 "frozen-limit-max=1200 too, or lower frozen-limit");
    rest = g_strdup_printf("frozen-limit=60 is over frozen-limit-max (30, %s:2); raise it to "
                           "frozen-limit-max=60 too, or lower frozen-limit",
                           fixture->path);
    expect_error(fixture, "[quiesce]\nfrozen-limit-max=30\nfrozen-limit=1m\n", 3, rest);
    expect_error(fixture, "[quiesce]\nfrozen-limit-max=30\n", 2,
                 "frozen-limit-max=30 is less than frozen-limit (300, the default); set "
                 "frozen-limit=30 too");
    expect_error(fixture, "[channel a]\nmethod=unix-listen\n", 2,
                 "[channel a] method=unix-listen has no default path; add "
                 "path=/run/quiesced/channel.sock");
    expect_error(fixture, "[channel a]\nmethod=vsock-listen\n", 2,
                 "[channel a] method=vsock-listen has no default path; add path=CID:PORT "
                 "(4294967295:1234 for any CID)");
    expect_error(fixture, "[channel a]\npath=com1\n", 2,
                 "[channel a] path 'com1' is not absolute; start it with '/'");
    expect_error(fixture, "[channel a]\n[channel b]\ncommands=observe\n", 3,
                 "[channel b] and [channel a] both use /dev/virtio-ports/org.qemu.guest_agent.0; "
                 "give one of them another path");
}

static void add(const char *name, void (*func)(Fixture *, gconstpointer))
{
    g_test_add(name, Fixture, NULL, set_up, func, tear_down);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("/config_errors/wrong_values_are_explained", test_values_refused);
    add("/config_errors/unknown_names_are_explained", test_names_unknown);
    add("/config_errors/channel_names_and_number", test_channel_names);
    add("/config_errors/checks_across_keys", test_across_keys);
    return g_test_run();
}
