/*
 * test_keyfile: what is read, with which lines, and what is refused.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "base/keyfile.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    char *directory, *path;
    GString *seen; /* one line per call */
} Fixture;

static void set_up(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    fixture->directory = g_dir_make_tmp("keyfile-XXXXXX", NULL);
    fixture->path = g_build_filename(fixture->directory, "file.conf", NULL);
    fixture->seen = g_string_new(NULL);
}

static void tear_down(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    g_unlink(fixture->path);
    g_rmdir(fixture->directory);
    g_free(fixture->directory);
    g_free(fixture->path);
    g_string_free(fixture->seen, TRUE);
}

static bool see_group(const char *group, const char *key, const char *value, const char *location,
                      gpointer user_data, GError **error G_GNUC_UNUSED)
{
    g_assert_null(key);
    g_assert_null(value);
    g_string_append_printf(user_data, "%s [%s]\n", strrchr(location, ':') + 1, group);
    return true;
}

static bool see_key(const char *group, const char *key, const char *value, const char *location,
                    gpointer user_data, GError **error)
{
    if (strcmp(key, "refuse") == 0) {
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_CONFIG, "not this");
        return false;
    }
    g_string_append_printf(user_data, "%s [%s] {%s} {%s}\n", strrchr(location, ':') + 1, group, key,
                           value);
    return true;
}

static bool read_text(Fixture *fixture, const char *text, gssize length, GError **error)
{
    g_string_truncate(fixture->seen, 0);
    g_assert_true(g_file_set_contents(fixture->path, text, length, NULL));
    return keyfile_read(fixture->path, see_group, see_key, fixture->seen, error);
}

static void expect(Fixture *fixture, const char *text, const char *seen)
{
    g_autoptr(GError) error = NULL;
    bool fine = read_text(fixture, text, -1, &error);

    g_assert_no_error(error);
    g_assert_true(fine);
    g_assert_cmpstr(fixture->seen->str, ==, seen);
}

/* The error is "PATH:LINE: REST". */
static void expect_error(Fixture *fixture, const char *text, gssize length, unsigned line,
                         const char *rest)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *start = g_strdup_printf("%s:%u: ", fixture->path, line);

    g_assert_false(read_text(fixture, text, length, &error));
    g_assert_error(error, AGENT_ERROR, AGENT_ERROR_CONFIG);
    g_assert_true(g_str_has_prefix(error->message, start));
    g_assert_nonnull(strstr(error->message, rest));
}

static void test_reads(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    expect(fixture, "# comment\n\n[one]\nkey=value\n; comment\n[two words]\nother = a = b # c \n",
           "3 [one]\n4 [one] {key} {value}\n6 [two words]\n7 [two words] {other} {a = b # c}\n");
    expect(fixture, "", "");
    expect(fixture, "[g]\nempty=\nlast=1", "1 [g]\n2 [g] {empty} {}\n3 [g] {last} {1}\n");
    expect(fixture, "[ g ]\nkey=1\nkey=2\n", "1 [g]\n2 [g] {key} {1}\n3 [g] {key} {2}\n");
}

static void test_other_systems(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    expect(fixture, "\xEF\xBB\xBF[g]\r\nkey=value\r\n", "1 [g]\n2 [g] {key} {value}\n");
}

static void test_refuses(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    expect_error(fixture, "\nkey=1\n", -1, 2, "'key=1' stands before the first [GROUP]");
    expect_error(fixture, "[g]\nnonsense\n", -1, 2, "'nonsense' is neither");
    expect_error(fixture, "[g]\n=value\n", -1, 2, "'=value' is neither");
    expect_error(fixture, "[g\nk=1\n", -1, 1, "'[g' does not end in ']'");
    expect_error(fixture, "[g] x\n", -1, 1, "does not end in ']'");
    expect_error(fixture, "[]\n", -1, 1, "is not the name of a group");
    expect_error(fixture, "[ ]\n", -1, 1, "is not the name of a group");
    expect_error(fixture, "[[g]]\n", -1, 1, "is not the name of a group");
    expect_error(fixture, "[\n", -1, 1, "does not end in ']'");
    expect_error(fixture, "[g]\nk=\xFF\n", -1, 2, "is not UTF-8 text");
    expect_error(fixture, "[g]\nk=a\0b\n", 10, 2, "is not UTF-8 text");
}

static void test_callback_error(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    expect_error(fixture, "[g]\na=1\nrefuse=1\nb=2\n", -1, 3, ": not this");
    g_assert_cmpstr(fixture->seen->str, ==, "1 [g]\n2 [g] {a} {1}\n");
}

static void test_no_group_callback(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    g_assert_true(g_file_set_contents(fixture->path, "[g]\na=1\n", -1, NULL));
    g_assert_true(keyfile_read(fixture->path, NULL, see_key, fixture->seen, NULL));
    g_assert_cmpstr(fixture->seen->str, ==, "2 [g] {a} {1}\n");
}

static void test_missing(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(keyfile_read(fixture->path, NULL, see_key, fixture->seen, &error));
    g_assert_error(error, AGENT_ERROR, AGENT_ERROR_UNAVAILABLE);
    g_assert_nonnull(strstr(error->message, fixture->path));
}

static void test_not_a_file(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(keyfile_read(fixture->directory, NULL, see_key, fixture->seen, &error));
    g_assert_error(error, AGENT_ERROR, AGENT_ERROR_CONFIG);
    g_clear_error(&error);
    g_assert_cmpint(mkfifo(fixture->path, 0600), ==, 0);
    g_assert_false(keyfile_read(fixture->path, NULL, see_key, fixture->seen, &error));
    g_assert_error(error, AGENT_ERROR, AGENT_ERROR_CONFIG);
    g_assert_true(keyfile_read("/dev/null", NULL, see_key, fixture->seen, NULL));
}

static void test_size(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = g_malloc(KEYFILE_SIZE_MAX + 1);

    memset(text, '#', KEYFILE_SIZE_MAX + 1);
    g_assert_true(read_text(fixture, text, KEYFILE_SIZE_MAX, NULL));
    g_assert_false(read_text(fixture, text, KEYFILE_SIZE_MAX + 1, &error));
    g_assert_error(error, AGENT_ERROR, AGENT_ERROR_LIMIT);
}

static void add(const char *name, void (*func)(Fixture *, gconstpointer))
{
    g_test_add(name, Fixture, NULL, set_up, func, tear_down);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    alarm(30); /* a read that hangs fails instead of waiting */
    add("/keyfile/reads_groups_and_keys_with_lines", test_reads);
    add("/keyfile/reads_files_of_other_systems", test_other_systems);
    add("/keyfile/refuses_what_is_no_line", test_refuses);
    add("/keyfile/callback_error_gets_its_place", test_callback_error);
    add("/keyfile/group_callback_may_be_missing", test_no_group_callback);
    add("/keyfile/missing_file_is_unavailable", test_missing);
    add("/keyfile/directory_and_fifo_are_refused", test_not_a_file);
    add("/keyfile/size_limit", test_size);
    return g_test_run();
}
