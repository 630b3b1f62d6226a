/*
 * Tests of sys/kernel_stats, on an invented procfs: kernels of all ages, garbage, long tables.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "procfs_rig.h"
#include "sys/kernel_stats.h"

#include <string.h>
#include <unistd.h>

static void disks_of_all_ages(void)
{
    g_autoptr(GError) error = NULL;
    char *procfs = rig_new("");
    g_autoptr(GArray) disks = NULL;

    g_assert_null(kernel_stats_disks(procfs, &error));
    g_assert_true(g_str_has_suffix(error->message, "/diskstats\"): No such file or directory"));
    g_clear_error(&error);
    rig_put(procfs, "diskstats",
            " 254       0 vda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19\n"
            "   8       1 sda1 1 2 3 4\n"
            "   8       0 sda 1 2 3 4 5 6 7 8 9 10 11\n"
            "   8       2 sda2 1 2 3\n"
            "   8\n\n\xff\xfe 1 2\n"
            " 259       0 a-name-that-is-longer-than-any-kernel-makes-them 1 2 3 4");
    disks = kernel_stats_disks(procfs, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(disks->len, ==, 4);
    for (unsigned i = 0; i < disks->len; i++) {
        static const struct {
            const char *name;
            unsigned major, minor, count;
        } EXPECTED[] = {{"vda", 254, 0, 17},
                        {"sda1", 8, 1, 4},
                        {"sda", 8, 0, 11},
                        {"a-name-that-is-longer-than-any-", 259, 0, 4}};
        const DiskStats *disk = &g_array_index(disks, DiskStats, i);

        g_assert_cmpstr(disk->name, ==, EXPECTED[i].name);
        g_assert_cmpuint(disk->major, ==, EXPECTED[i].major);
        g_assert_cmpuint(disk->minor, ==, EXPECTED[i].minor);
        g_assert_cmpuint(disk->count, ==, EXPECTED[i].count);
        for (unsigned k = 0; k < disk->count; k++)
            g_assert_cmpuint(disk->values[k], ==, k + 1);
    }
    rig_free(procfs);
}

static void processors_in_milliseconds(void)
{
    g_autoptr(GError) error = NULL;
    char *procfs = rig_new("");
    g_autoptr(GArray) cpus = NULL;
    const uint64_t tick = 1000 / (uint64_t)sysconf(_SC_CLK_TCK);

    rig_put(procfs, "stat",
            "cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 1 2 3 4 5 6 7 8 9 10 11\ncpu12 1 2 3 4\ncpu13 1 2 3\n"
            "cpufreq 1 2 3 4\nintr 1 2 3 4\nctxt 5\n");
    cpus = kernel_stats_cpus(procfs, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(cpus->len, ==, 2);
    g_assert_cmpuint(g_array_index(cpus, CpuStats, 0).count, ==, 10);
    g_assert_cmpuint(g_array_index(cpus, CpuStats, 0).values[9], ==, 10 * tick);
    g_assert_cmpuint(g_array_index(cpus, CpuStats, 1).cpu, ==, 12);
    g_assert_cmpuint(g_array_index(cpus, CpuStats, 1).count, ==, 4);
    g_assert_cmpuint(g_array_index(cpus, CpuStats, 1).values[3], ==, 4 * tick);
    rig_free(procfs);
}

static void very_many_disks(void)
{
    char *procfs = rig_new("");
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GArray) disks = NULL;

    for (unsigned i = 0; i < 300000; i++)
        g_string_append_printf(text, "%u %u sd%u 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n", 8, i,
                               i);
    g_assert_cmpuint(text->len, >, KERNEL_STATS_MAX);
    rig_put(procfs, "diskstats", text->str);
    disks = kernel_stats_disks(procfs, NULL);
    g_assert_cmpuint(disks->len, >, 100000);
    g_assert_cmpuint(disks->len, <, 300000);
    g_assert_cmpuint(g_array_index(disks, DiskStats, disks->len - 1).count, ==, 17);
    rig_free(procfs);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/stats/disks", disks_of_all_ages);
    g_test_add_func("/stats/processors", processors_in_milliseconds);
    g_test_add_func("/stats/many", very_many_disks);
    return g_test_run();
}
