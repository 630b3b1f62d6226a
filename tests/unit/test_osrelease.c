/*
 * Tests of sys/osrelease and of procfile_whole(): quoting, garbage, and files that are too large.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "procfs_rig.h"
#include "sys/osrelease.h"
#include "sys/procfile.h"

#include <string.h>
#include <sys/stat.h>

static void values_lose_their_quotes(void)
{
    static const struct {
        const char *line, *value;
    } CASES[] = {
        {"KEY=plain", "plain"},
        {"KEY=", ""},
        {"KEY=\"two words\"", "two words"},
        {"KEY='two words'", "two words"},
        {"KEY='a\\b'", "a\\b"},
        {"KEY=two words", "two"},
        {"KEY=one;two", "one"},
        {"KEY=\"a\"'b'c", "abc"},
        {"KEY=\"\\\"\\'\\$\\`\\\\\"", "\"'$`\\"},
        {"KEY=\"\\n\"", "\\n"},
        {"KEY=\"\\\\\\\\ etc.\"", "\\\\ etc."},
        {"KEY=a\\ b", "a b"},
        {"KEY=\"never closed", "never closed"},
        {"KEY=\"back\\", "back\\"},
        {"  KEY=indented", "indented"},
        {"KEY=\"dos\"\r", "dos"},
        {"KEY=first\nKEY=last", "last"},
        {"no assignment\nKEY=x\n", "x"},
        {"#KEY=comment", NULL},
        {"KEY =x", NULL},
        {"KEYS=x", NULL},
        {"", NULL},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autofree char *value = osrelease_value(CASES[i].line, "KEY");

        g_assert_cmpstr(value, ==, CASES[i].value);
    }
}

static void the_environment_names_another_file(void)
{
    char *folder = g_dir_make_tmp("osrelease-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "file", NULL);
    g_autofree char *text = NULL;

    g_setenv("QGA_OS_RELEASE", path, TRUE);
    g_assert_null(osrelease_read());
    rig_put(folder, "file", "ID=mine\n");
    text = osrelease_read();
    g_assert_cmpstr(text, ==, "ID=mine\n");
    g_unsetenv("QGA_OS_RELEASE");
    rig_free(folder);
}

static void a_pipe_is_not_waited_for(void)
{
    char *folder = g_dir_make_tmp("osrelease-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "pipe", NULL);
    g_autofree char *text = NULL;

    g_assert_cmpint(mkfifo(path, 0600), ==, 0);
    text = procfile_whole(path, 100, NULL);
    g_assert_cmpstr(text, ==, "");
    rig_free(folder);
}

/* Files of `size` bytes in lines of ten. */
static char *whole_of(const char *folder, size_t size, size_t max)
{
    g_autofree char *path = g_build_filename(folder, "lines", NULL);
    g_autofree char *text = g_malloc(size + 1);

    for (size_t i = 0; i < size; i++)
        text[i] = i % 10 == 9 ? '\n' : 'x';
    text[size] = '\0';
    rig_put(folder, "lines", text);
    return procfile_whole(path, max, NULL);
}

static void of_a_large_file_whole_lines_are_kept(void)
{
    static const struct {
        size_t size, max, length;
    } CASES[] = {
        {0, 0, 0},
        {0, 100, 0},
        {100, 100, 100},
        {100, 99, 90},
        {101, 100, 100},
        {100, 5, 0},
        {4095, 65536, 4095},
        {4096, 65536, 4096},
        {4097, 65536, 4097},
        {200000, 65536, 65530},
        {200000, 200000, 200000},
        {9, 4, 0},
    };
    char *folder = g_dir_make_tmp("procfile-XXXXXX", NULL);

    for (unsigned i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autofree char *text = whole_of(folder, CASES[i].size, CASES[i].max);

        g_assert_nonnull(text);
        g_assert_cmpuint(strlen(text), ==, CASES[i].length);
    }
    rig_free(folder);
}

static void errors_are_the_stock_ones(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(procfile_whole("/nowhere/at/all", 100, &error));
    g_assert_cmpstr(error->message, ==, "open(\"/nowhere/at/all\"): No such file or directory");
    g_clear_error(&error);
    g_assert_null(procfile_whole("/proc", 100, &error));
    g_assert_cmpstr(error->message, ==, "read(\"/proc\"): Is a directory");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/osrelease/values", values_lose_their_quotes);
    g_test_add_func("/osrelease/environment", the_environment_names_another_file);
    g_test_add_func("/procfile/pipe", a_pipe_is_not_waited_for);
    g_test_add_func("/procfile/large", of_a_large_file_whole_lines_are_kept);
    g_test_add_func("/procfile/errors", errors_are_the_stock_ones);
    return g_test_run();
}
