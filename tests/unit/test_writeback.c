/*
 * Tests of sys/writeback, on an invented procfs.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "base/deadline.h"
#include "procfs_rig.h"
#include "sys/writeback.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#define EXPIRE "sys/vm/dirty_expire_centisecs"
#define PERIOD "sys/vm/dirty_writeback_centisecs"

typedef struct {
    char *procfs;
} Fixture;

static void put(Fixture *fixture, const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(fixture->procfs, name, NULL);

    g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

static void drop(Fixture *fixture, const char *name)
{
    g_autofree char *path = g_build_filename(fixture->procfs, name, NULL);

    (void)g_unlink(path);
    (void)g_rmdir(path);
}

static void assert_file(Fixture *fixture, const char *name, const char *expected)
{
    g_autofree char *path = g_build_filename(fixture->procfs, name, NULL);
    g_autofree char *text = NULL;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, expected);
}

static void set_up(Fixture *fixture, gconstpointer data)
{
    g_autofree char *vm = NULL;

    (void)data;
    fixture->procfs = g_dir_make_tmp("writeback-XXXXXX", NULL);
    vm = g_build_filename(fixture->procfs, "sys", "vm", NULL);
    g_assert_cmpint(g_mkdir_with_parents(vm, 0700), ==, 0);
    put(fixture, "meminfo",
        "MemTotal:        2035240 kB\nMemFree:          100 kB\nNFS_Dirty: 5 kB\n"
        "Dirty:             65540 kB\nWriteback:           128 kB\nAnonPages:  10 kB\n"
        "WritebackTmp:          7 kB\n");
    put(fixture, EXPIRE, "3000\n");
    put(fixture, PERIOD, "500\n");
}

static void tear_down(Fixture *fixture, gconstpointer data)
{
    (void)data;
    drop(fixture, EXPIRE);
    drop(fixture, PERIOD);
    drop(fixture, "meminfo");
    drop(fixture, "sys/vm");
    drop(fixture, "sys");
    g_assert_cmpint(g_rmdir(fixture->procfs), ==, 0);
    g_free(fixture->procfs);
}

static void load(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    WritebackLoad load = {0};

    (void)data;
    g_assert_true(writeback_load(fixture->procfs, &load, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(load.dirty_bytes, ==, UINT64_C(65540) * 1024);
    g_assert_cmpuint(load.writeback_bytes, ==, 128 * 1024);
}

static void load_of_nonsense(Fixture *fixture, gconstpointer data)
{
    static const char *const TEXTS[] = {
        "",
        "Dirty:  1 kB\n",
        "Writeback: 1 kB\n",
        "Dirty: x kB\nWriteback: 1 kB\n",
        "Dirty: 1 MB\nWriteback: 1 kB\n",
        "Dirty: 18446744073709551615 kB\nWriteback: 1 kB\n",
    };

    (void)data;
    for (unsigned i = 0; i < G_N_ELEMENTS(TEXTS); i++) {
        g_autoptr(GError) error = NULL;
        WritebackLoad load;

        put(fixture, "meminfo", TEXTS[i]);
        g_assert_false(writeback_load(fixture->procfs, &load, &error));
        g_assert_error(error, AGENT_ERROR, AGENT_ERROR_UNAVAILABLE);
    }
}

/* Only the first 8 KiB are looked at. */
static void load_limit(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GString) text = g_string_new("Dirty: 1 kB\n");
    g_autoptr(GError) error = NULL;
    WritebackLoad load;

    (void)data;
    while (text->len < 8192)
        g_string_append(text, "Filler: 1 kB\n");
    g_string_append(text, "Writeback: 2 kB\n");
    put(fixture, "meminfo", text->str);
    g_assert_false(writeback_load(fixture->procfs, &load, &error));
    g_assert_error(error, AGENT_ERROR, AGENT_ERROR_UNAVAILABLE);
}

static void there_and_back(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    WritebackSettings before, gentle;

    (void)data;
    g_assert_true(writeback_read(fixture->procfs, &before, &error));
    g_assert_cmpint(before.expire_cs, ==, 3000);
    g_assert_cmpint(before.period_cs, ==, 500);
    gentle = writeback_gentle(&before);
    g_assert_true(writeback_apply(fixture->procfs, &gentle, &error));
    assert_file(fixture, EXPIRE, "10\n");
    assert_file(fixture, PERIOD, "5\n");
    g_assert_true(writeback_apply(fixture->procfs, &before, &error));
    assert_file(fixture, EXPIRE, "3000\n");
    assert_file(fixture, PERIOD, "500\n");
    g_assert_no_error(error);
}

static void gentle_never_raises(void)
{
    static const WritebackSettings CASES[][2] = {
        {{3000, 500}, {10, 5}}, {{10, 5}, {10, 5}},   {{3, 2}, {3, 2}},
        {{0, 1}, {0, 1}},       {{3000, 0}, {10, 5}}, {{-1, -1}, {-1, -1}},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(CASES); i++) {
        WritebackSettings gentle = writeback_gentle(&CASES[i][0]);

        g_assert_cmpint(gentle.expire_cs, ==, CASES[i][1].expire_cs);
        g_assert_cmpint(gentle.period_cs, ==, CASES[i][1].period_cs);
    }
}

/* Periodic write-back that was switched off is so again afterwards. */
static void zero_is_restored(Fixture *fixture, gconstpointer data)
{
    WritebackSettings before, gentle;

    (void)data;
    put(fixture, PERIOD, "0\n");
    g_assert_true(writeback_read(fixture->procfs, &before, NULL));
    gentle = writeback_gentle(&before);
    g_assert_true(writeback_apply(fixture->procfs, &gentle, NULL));
    assert_file(fixture, PERIOD, "5\n");
    g_assert_true(writeback_apply(fixture->procfs, &before, NULL));
    assert_file(fixture, PERIOD, "0\n");
}

static void unread_is_left_alone(Fixture *fixture, gconstpointer data)
{
    (void)data;
    g_assert_true(writeback_apply(fixture->procfs, &(WritebackSettings){-1, 7}, NULL));
    assert_file(fixture, EXPIRE, "3000\n");
    assert_file(fixture, PERIOD, "7\n");
}

static void one_failure_does_not_stop_the_other(Fixture *fixture, gconstpointer data)
{
    g_autofree char *path = g_build_filename(fixture->procfs, EXPIRE, NULL);
    g_autoptr(GError) error = NULL;

    (void)data;
    drop(fixture, EXPIRE);
    g_assert_cmpint(g_mkdir(path, 0700), ==, 0);
    g_assert_false(writeback_apply(fixture->procfs, &(WritebackSettings){10, 5}, &error));
    g_assert_error(error, AGENT_ERROR, AGENT_ERROR_UNAVAILABLE);
    g_assert_nonnull(strstr(error->message, "dirty_expire_centisecs"));
    assert_file(fixture, PERIOD, "5\n");
}

static void read_failures(Fixture *fixture, gconstpointer data)
{
    static const char *const TEXTS[] = {"", "x\n", "-1\n", "99999999999\n", "5 6\n"};
    WritebackSettings settings;

    (void)data;
    for (unsigned i = 0; i < G_N_ELEMENTS(TEXTS); i++) {
        g_autoptr(GError) error = NULL;

        put(fixture, PERIOD, TEXTS[i]);
        g_assert_false(writeback_read(fixture->procfs, &settings, &error));
        g_assert_error(error, AGENT_ERROR, AGENT_ERROR_UNAVAILABLE);
        g_assert_cmpint(settings.period_cs, ==, -1);
    }
    drop(fixture, EXPIRE);
    g_assert_false(writeback_read(fixture->procfs, &settings, NULL));
    g_assert_cmpint(settings.expire_cs, ==, -1);
}

static void this_system(void)
{
    g_autoptr(GError) error = NULL;
    WritebackLoad load;

    g_assert_true(writeback_load("/proc", &load, &error));
    g_assert_no_error(error);
}

#define add(name, function)                                                                        \
    g_test_add("/writeback/" name, Fixture, NULL, set_up, function, tear_down)

/* --- how long a flush takes --------------------------------------------------------------------
 */

#define BDI "kernel/debug/bdi/"

static void put_device(const char *sysfs, const char *name, unsigned dirty_kb, unsigned rate_kb)
{
    g_autofree char *path = g_strdup_printf(BDI "%s/stats", name);
    g_autofree char *text =
        g_strdup_printf("BdiWriteback:%16u kB\nBdiReclaimable:%14u kB\nBdiDirtyThresh: 9 kB\n"
                        "BdiWritten: 5 kB\nBdiWriteBandwidth:%11u kBps\n",
                        0, dirty_kb, rate_kb);

    rig_put(sysfs, path, text);
}

static void flush_by_the_slowest_device(void)
{
    const WritebackLoad load = {300 << 20, 0};
    g_autofree char *sysfs = rig_new("");

    /* Nothing is known: all of it at the assumed rate. */
    g_assert_cmpint(writeback_flush_us(sysfs, &load), ==, 7500000);
    put_device(sysfs, "254:0", 204800, 102400);
    put_device(sysfs, "254:16", 102400, 10240);
    g_assert_cmpint(writeback_flush_us(sysfs, &load), ==, 10 * USEC_PER_SEC);
    /* What no device owns up to comes after that. */
    put_device(sysfs, "254:0", 102400, 102400);
    g_assert_cmpint(writeback_flush_us(sysfs, &load), ==, 12500000);
    put_device(sysfs, "254:0", 102400, 0);
    rig_put(sysfs, BDI "254:16/stats", "BdiWriteback: x\n");
    g_assert_cmpint(writeback_flush_us(sysfs, &load), >, 100000 * USEC_PER_SEC);
    rig_remove(sysfs);
}

static void flush_looks_at_so_many_devices(void)
{
    const WritebackLoad load = {600 << 20, 0};
    g_autofree char *sysfs = rig_new("");

    for (unsigned i = 0; i < WRITEBACK_DEVICES_MAX + 88; i++) {
        g_autofree char *name = g_strdup_printf("7:%u", i);

        put_device(sysfs, name, 1024, 1024);
    }
    /* 88 MiB belong to devices not looked at. */
    g_assert_cmpint(writeback_flush_us(sysfs, &load), ==, 3200000);
    rig_remove(sysfs);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("load", load);
    add("load_of_nonsense", load_of_nonsense);
    add("load_limit", load_limit);
    add("there_and_back", there_and_back);
    add("zero_is_restored", zero_is_restored);
    add("unread_is_left_alone", unread_is_left_alone);
    add("one_failure_does_not_stop_the_other", one_failure_does_not_stop_the_other);
    add("read_failures", read_failures);
    g_test_add_func("/writeback/gentle_never_raises", gentle_never_raises);
    g_test_add_func("/writeback/this_system", this_system);
    g_test_add_func("/writeback/flush/devices", flush_by_the_slowest_device);
    g_test_add_func("/writeback/flush/limit", flush_looks_at_so_many_devices);
    return g_test_run();
}
