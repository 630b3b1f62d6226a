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

typedef struct {
    char *sysfs;
} Fixture;

typedef struct {
    const char *name, *text;
} File;

static void set_up(Fixture *fixture, gconstpointer data)
{
    (void)data;
    fixture->sysfs = g_dir_make_tmp("sysfs-XXXXXX", NULL);
}

static void tear_down(Fixture *fixture, gconstpointer data)
{
    (void)data;
    rig_free(fixture->sysfs);
}

/* Writes files of sysfs; the list ends with {0}. */
static void put(const Fixture *fixture, const File *files)
{
    for (; files->name; files++)
        rig_put(fixture->sysfs, files->name, files->text);
}

static void assert_processors(const Fixture *fixture, const char *expected)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) processors = processors_list(fixture->sysfs, &error);
    g_autoptr(GString) text = g_string_new(NULL);

    g_assert_no_error(error);
    for (unsigned i = 0; i < processors->len; i++) {
        const Processor *cpu = &g_array_index(processors, Processor, i);

        g_string_append_printf(text, "%" G_GINT64_FORMAT "%s%s ", cpu->id, cpu->online ? "+" : "-",
                               cpu->can_offline ? "*" : "");
    }
    g_assert_cmpstr(text->str, ==, expected);
}

static void processors_by_number(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    g_assert_null(processors_list(fixture->sysfs, &error));
    g_assert_true(g_str_has_prefix(error->message, "failed to list entries: "));
    g_assert_true(g_str_has_suffix(error->message, "cpu: No such file or directory"));
    put(fixture, (const File[]){
                     {CPU "online", "0,10-11\n"},
                     {CPU "cpu0/topology/core_id", "0\n"},
                     {CPU "cpu11/online", "1\n"},
                     {CPU "cpu2/online", "0\n"},
                     {CPU "cpufreq/online", "0\n"},
                     {CPU "cpuidle/x", "0\n"},
                     {CPU "cpu7x/online", "0\n"},
                     {0},
                 });
    assert_processors(fixture, "0+ 2-* 11+* ");
    rig_put(fixture->sysfs, CPU "cpu2/online", "");
    g_clear_error(&error);
    g_assert_null(processors_list(fixture->sysfs, &error));
    g_assert_true(g_str_has_suffix(error->message, "cpu2/online\"): unexpected EOF"));
}

static void as_many_processors_as_there_are(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GArray) processors = NULL;

    (void)data;
    for (unsigned i = 0; i < 4096; i++) {
        g_autofree char *name = g_strdup_printf(CPU "cpu%u", i);
        g_autofree char *path = g_build_filename(fixture->sysfs, name, NULL);

        g_assert_cmpint(g_mkdir_with_parents(path, 0700), ==, 0);
    }
    processors = processors_list(fixture->sysfs, NULL);
    g_assert_cmpuint(processors->len, ==, 4096);
    g_assert_cmpint(g_array_index(processors, Processor, 4095).id, ==, 4095);
}

static void assert_blocks(const Fixture *fixture, const char *expected)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) blocks = memory_blocks_list(fixture->sysfs, &error);
    g_autoptr(GString) text = g_string_new(NULL);

    g_assert_no_error(error);
    for (unsigned i = 0; i < blocks->len; i++) {
        const MemoryBlock *block = &g_array_index(blocks, MemoryBlock, i);

        g_string_append_printf(text, "%u%s%s ", (unsigned)block->index, block->online ? "+" : "-",
                               block->can_offline ? "*" : "");
    }
    g_assert_cmpstr(text->str, ==, expected);
}

static void blocks_by_index(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    assert_blocks(fixture, "");
    rig_put(fixture->sysfs, MEMORY "block_size_bytes", "8000000\n");
    g_assert_null(memory_blocks_list(fixture->sysfs, &error));
    g_assert_cmpstr(error->message, ==, "guest reported zero memory blocks!");
    put(fixture, (const File[]){
                     {MEMORY "memory32/state", "online\n"},
                     {MEMORY "memory32/removable", "1\n"},
                     {MEMORY "memory4/state", "offline\n"},
                     {MEMORY "memory4/removable", "0\n"},
                     {MEMORY "memory5/state", "going-offline\n"},
                     {MEMORY "memory6/removable", "1\n"},
                     {MEMORY "memoryx/state", "online\n"},
                     {0},
                 });
    assert_blocks(fixture, "4- 5- 6+ 32+* ");
}

static void the_size_is_hexadecimal(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    uint64_t size = 0;

    (void)data;
    g_assert_false(memory_blocks_size(fixture->sysfs, &size, &error));
    g_assert_true(g_str_has_suffix(error->message, "memory/\"): No such file or directory"));
    g_clear_error(&error);
    rig_put(fixture->sysfs, MEMORY "block_size_bytes", "8000000\n");
    g_assert_true(memory_blocks_size(fixture->sysfs, &size, &error));
    g_assert_cmpuint(size, ==, 128u << 20);
    rig_put(fixture->sysfs, MEMORY "block_size_bytes", "\n");
    g_assert_false(memory_blocks_size(fixture->sysfs, &size, &error));
}

#define ADD(path, function) g_test_add(path, Fixture, NULL, set_up, function, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("/processors/list", processors_by_number);
    ADD("/processors/many", as_many_processors_as_there_are);
    ADD("/memory/blocks", blocks_by_index);
    ADD("/memory/size", the_size_is_hexadecimal);
    return g_test_run();
}
