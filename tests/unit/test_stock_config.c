/*
 * test_stock_config: what qemu-ga's keys come to in a Config. The command line and the file as a
 * whole are tests/integration/test_qemu_ga.py.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "base/stock_config.h"

#include <string.h>

static void set(StockConfig *stock, const char *key, const char *value)
{
    for (unsigned i = 0; i < stock_keys_count; i++) {
        if (strcmp(stock_keys[i].key, key) != 0)
            continue;
        g_assert_true(stock_config_set(stock, &stock_keys[i], value, "qemu-ga.conf:3", NULL));
        return;
    }
    g_assert_not_reached();
}

/* quiesced.conf has a channel of its own and blocks guest-ping. */
static Config *own_config(void)
{
    Config *config = config_new();

    g_assert_true(stock_config_prepare(config, NULL));
    g_assert_true(config_set(config, "channel default", "method", "isa-serial", "q:1", NULL));
    g_assert_true(config_set(config, "channel watch", "path", "/run/watch", "q:2", NULL));
    g_assert_true(config_set(config, "rpc", "block", "guest-ping", "q:3", NULL));
    return config;
}

static ConfigChannel *channel(const Config *config, unsigned index)
{
    return g_ptr_array_index(config->channels, index);
}

static void test_nothing_said_changes_nothing(void)
{
    g_autoptr(StockConfig) stock = stock_config_new();
    g_autoptr(Config) config = own_config();

    g_assert_true(stock_config_apply(stock, config, false, NULL));
    g_assert_true(config_finish(config, NULL));
    g_assert_cmpuint(config->channels->len, ==, 2);
    g_assert_cmpstr(channel(config, 0)->method, ==, "isa-serial");
    g_assert_null(config->hooks.stock_directory);
    g_assert_null(config->hooks.stock_hook);
    g_assert_cmpint(config->log_level, ==, LOG_INFO);
}

static void test_said_goes_over_quiesced_conf(void)
{
    g_autoptr(StockConfig) stock = stock_config_new();
    g_autoptr(Config) config = own_config();

    set(stock, "path", "/dev/vport1p1");
    set(stock, "verbose", "1");
    set(stock, "fsfreeze-hook", "/etc/hook");
    set(stock, "block-rpcs", "guest-exec; guest-info");
    set(stock, "allow-rpcs", "guest-sync,guest-exec");
    g_assert_true(stock_config_apply(stock, config, false, NULL));
    g_assert_true(config_finish(config, NULL));
    g_assert_cmpstr(channel(config, 0)->method, ==, "virtio-serial");
    g_assert_cmpstr(channel(config, 0)->path, ==, "/dev/vport1p1");
    g_assert_cmpstr(channel(config, 1)->path, ==, "/run/watch");
    g_assert_cmpint(config->log_level, ==, LOG_DEBUG);
    g_assert_cmpstr(config->hooks.stock_hook, ==, "/etc/hook");
    g_assert_cmpuint(g_strv_length(config->rpc.block), ==, 3);
    g_assert_true(g_strv_contains((const char *const *)config->rpc.block, "guest-ping"));
    g_assert_true(g_strv_contains((const char *const *)config->rpc.block, "guest-info"));
    g_assert_cmpuint(g_strv_length(config->rpc.allow), ==, 2);
}

static void test_an_empty_list_allows_all(void)
{
    g_autoptr(StockConfig) stock = stock_config_new();
    g_autoptr(Config) config = own_config();

    set(stock, "allow-rpcs", "");
    set(stock, "block-rpcs", "");
    g_assert_true(stock_config_apply(stock, config, false, NULL));
    g_assert_true(!config->rpc.allow || !config->rpc.allow[0]);
    g_assert_cmpuint(g_strv_length(config->rpc.block), ==, 1);
}

static void test_channels_of_the_service_manager(void)
{
    g_autoptr(StockConfig) stock = stock_config_new();
    g_autoptr(Config) config = own_config();
    g_autoptr(GError) error = NULL;

    set(stock, "method", "unix-listen");
    g_assert_true(stock_config_apply(stock, config, true, NULL));
    g_assert_false(stock_config_apply(stock, config, false, &error));
    g_assert_true(g_str_has_prefix(error->message, "qemu-ga.conf:3: must specify a path"));
}

static void test_paths_of_the_current_directory(void)
{
    g_autoptr(StockConfig) stock = stock_config_new();
    g_autoptr(Config) config = own_config();

    set(stock, "method", "unix-listen");
    set(stock, "path", "sock");
    g_assert_true(stock_config_apply(stock, config, false, NULL));
    g_assert_cmpint(channel(config, 0)->path[0], ==, '/');
    g_assert_true(g_str_has_suffix(channel(config, 0)->path, "/sock"));
    set(stock, "method", "vsock-listen");
    set(stock, "path", "3:1234");
    g_assert_true(stock_config_apply(stock, config, false, NULL));
    g_assert_cmpstr(channel(config, 0)->path, ==, "3:1234");
}

static void test_errors_name_the_place(void)
{
    g_autoptr(StockConfig) stock = stock_config_new();
    g_autoptr(Config) config = own_config();
    g_autoptr(GError) error = NULL;

    set(stock, "block-rpcs", "guest exec");
    g_assert_false(stock_config_apply(stock, config, false, &error));
    g_assert_true(g_str_has_prefix(error->message, "qemu-ga.conf:3: "));
    g_assert_nonnull(strstr(error->message, "'guest exec' is not the name of a command"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/stock-config/nothing-said", test_nothing_said_changes_nothing);
    g_test_add_func("/stock-config/said", test_said_goes_over_quiesced_conf);
    g_test_add_func("/stock-config/empty-list", test_an_empty_list_allows_all);
    g_test_add_func("/stock-config/activated", test_channels_of_the_service_manager);
    g_test_add_func("/stock-config/paths", test_paths_of_the_current_directory);
    g_test_add_func("/stock-config/errors", test_errors_name_the_place);
    return g_test_run();
}
