/*
 * Tests of sys/processors and sys/memory_blocks, on an invented sysfs.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "procfs_rig.h"
#include "sys/memory_blocks.h"
#include "sys/processors.h"

#include <glib/gstdio.h>

#define CPU    "devices/system/cpu/"
#define MEMORY "devices/system/memory/"

static char *sysfs; /* of one test */

static void assert_processors(const char *expected)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) processors = processors_list(sysfs, &error);
    g_autoptr(GString) text = g_string_new(NULL);

    g_assert_no_error(error);
    for (unsigned i = 0; i < processors->len; i++) {
        const Processor *cpu = &g_array_index(processors, Processor, i);

        g_string_append_printf(text, "%" G_GINT64_FORMAT "%s%s ", cpu->id, cpu->online ? "+" : "-",
                               cpu->can_offline ? "*" : "");
    }
    g_assert_cmpstr(text->str, ==, expected);
}

static void processors_by_number(void)
{
    g_autoptr(GError) error = NULL;

    sysfs = g_dir_make_tmp("sysfs-XXXXXX", NULL);
    g_assert_null(processors_list(sysfs, &error));
    g_assert_true(g_str_has_prefix(error->message, "failed to list entries: "));
    g_assert_true(g_str_has_suffix(error->message, "cpu: No such file or directory"));
    rig_put(sysfs, CPU "online", "0,10-11\n");
    rig_put(sysfs, CPU "cpu0/topology/core_id", "0\n");
    rig_put(sysfs, CPU "cpu11/online", "1\n");
    rig_put(sysfs, CPU "cpu2/online", "0\n");
    rig_put(sysfs, CPU "cpufreq/online", "0\n");
    rig_put(sysfs, CPU "cpuidle/x", "0\n");
    rig_put(sysfs, CPU "cpu7x/online", "0\n");
    assert_processors("0+ 2-* 11+* ");
    rig_put(sysfs, CPU "cpu2/online", "");
    g_clear_error(&error);
    g_assert_null(processors_list(sysfs, &error));
    g_assert_true(g_str_has_suffix(error->message, "cpu2/online\"): unexpected EOF"));
    rig_free(sysfs);
}

static void as_many_processors_as_there_are(void)
{
    g_autoptr(GArray) processors = NULL;

    sysfs = g_dir_make_tmp("sysfs-XXXXXX", NULL);
    for (unsigned i = 0; i < 4096; i++) {
        g_autofree char *name = g_strdup_printf(CPU "cpu%u", i);
        g_autofree char *path = g_build_filename(sysfs, name, NULL);

        g_assert_cmpint(g_mkdir_with_parents(path, 0700), ==, 0);
    }
    processors = processors_list(sysfs, NULL);
    g_assert_cmpuint(processors->len, ==, 4096);
    g_assert_cmpint(g_array_index(processors, Processor, 4095).id, ==, 4095);
    rig_free(sysfs);
}

static void assert_blocks(const char *expected)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) blocks = memory_blocks_list(sysfs, &error);
    g_autoptr(GString) text = g_string_new(NULL);

    g_assert_no_error(error);
    for (unsigned i = 0; i < blocks->len; i++) {
        const MemoryBlock *block = &g_array_index(blocks, MemoryBlock, i);

        g_string_append_printf(text, "%u%s%s ", (unsigned)block->index, block->online ? "+" : "-",
                               block->can_offline ? "*" : "");
    }
    g_assert_cmpstr(text->str, ==, expected);
}

static void blocks_by_index(void)
{
    g_autoptr(GError) error = NULL;

    sysfs = g_dir_make_tmp("sysfs-XXXXXX", NULL);
    assert_blocks("");
    rig_put(sysfs, MEMORY "block_size_bytes", "8000000\n");
    g_assert_null(memory_blocks_list(sysfs, &error));
    g_assert_cmpstr(error->message, ==, "guest reported zero memory blocks!");
    rig_put(sysfs, MEMORY "memory32/state", "online\n");
    rig_put(sysfs, MEMORY "memory32/removable", "1\n");
    rig_put(sysfs, MEMORY "memory4/state", "offline\n");
    rig_put(sysfs, MEMORY "memory4/removable", "0\n");
    rig_put(sysfs, MEMORY "memory5/state", "going-offline\n");
    rig_put(sysfs, MEMORY "memory6/removable", "1\n");
    rig_put(sysfs, MEMORY "memoryx/state", "online\n");
    assert_blocks("4- 5- 6+ 32+* ");
    rig_free(sysfs);
}

static void the_size_is_hexadecimal(void)
{
    g_autoptr(GError) error = NULL;
    uint64_t size = 0;

    sysfs = g_dir_make_tmp("sysfs-XXXXXX", NULL);
    g_assert_false(memory_blocks_size(sysfs, &size, &error));
    g_assert_true(g_str_has_suffix(error->message, "memory/\"): No such file or directory"));
    g_clear_error(&error);
    rig_put(sysfs, MEMORY "block_size_bytes", "8000000\n");
    g_assert_true(memory_blocks_size(sysfs, &size, &error));
    g_assert_cmpuint(size, ==, 128u << 20);
    rig_put(sysfs, MEMORY "block_size_bytes", "\n");
    g_assert_false(memory_blocks_size(sysfs, &size, &error));
    rig_free(sysfs);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/processors/list", processors_by_number);
    g_test_add_func("/processors/many", as_many_processors_as_there_are);
    g_test_add_func("/memory/blocks", blocks_by_index);
    g_test_add_func("/memory/size", the_size_is_hexadecimal);
    return g_test_run();
}
