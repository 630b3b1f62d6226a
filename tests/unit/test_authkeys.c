/*
 * Tests of sys/authkeys: what is read, what stays, what hostile homes come to.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/authkeys.h"

#include <glib/gstdio.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    AuthkeysUser user;
    char *folder, *file;
} Fixture;

static void setup(Fixture *fixture, gconstpointer unused)
{
    (void)unused;
    fixture->user = (AuthkeysUser){g_dir_make_tmp("home-XXXXXX", NULL), getuid(), getgid()};
    fixture->folder = g_build_filename(fixture->user.home, ".ssh", NULL);
    fixture->file = g_build_filename(fixture->folder, "authorized_keys", NULL);
}

static void teardown(Fixture *fixture, gconstpointer unused)
{
    (void)unused;
    (void)g_unlink(fixture->file);
    (void)g_rmdir(fixture->folder);
    g_assert_cmpint(g_rmdir(fixture->user.home), ==, 0);
    authkeys_user_clear(&fixture->user);
    g_free(fixture->folder);
    g_free(fixture->file);
}

static void check_file(const Fixture *fixture, const char *expected)
{
    g_autofree char *text = NULL;
    struct stat file;

    g_assert_true(g_file_get_contents(fixture->file, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, expected);
    g_assert_cmpint(stat(fixture->file, &file), ==, 0);
    g_assert_cmpint(file.st_mode & 0777, ==, 0600);
    g_assert_cmpint(stat(fixture->folder, &file), ==, 0);
    g_assert_cmpint(file.st_mode & 0777, ==, 0700);
}

static void write_keys(const Fixture *fixture, const char *text)
{
    g_assert_cmpint(g_mkdir(fixture->folder, 0700), ==, 0);
    g_assert_true(g_file_set_contents(fixture->file, text, -1, NULL));
}

#define KEYS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_add(Fixture *fixture, gconstpointer unused)
{
    (void)unused;
    g_assert_true(authkeys_add(&fixture->user, KEYS("ssh-a A"), false, NULL));
    check_file(fixture, "ssh-a A\n");
    g_assert_true(authkeys_add(&fixture->user, KEYS("ssh-b B", "ssh-a A", "ssh-b B"), false, NULL));
    check_file(fixture, "ssh-a A\nssh-b B\n");
    g_assert_true(authkeys_add(&fixture->user, KEYS("ssh-c C"), true, NULL));
    check_file(fixture, "ssh-c C\n");
    g_assert_true(authkeys_add(&fixture->user, KEYS(NULL), true, NULL));
    check_file(fixture, "");
}

/* A last line without its end must not run into the new key. */
static void test_stays_as_it_is(Fixture *fixture, gconstpointer unused)
{
    g_auto(GStrv) keys = NULL;

    (void)unused;
    write_keys(fixture, "# mine\n\n  ssh-a A\nssh-b B");
    g_assert_true(authkeys_add(&fixture->user, KEYS("ssh-c C"), false, NULL));
    check_file(fixture, "# mine\n\n  ssh-a A\nssh-b B\nssh-c C\n");
    keys = authkeys_get(&fixture->user, NULL);
    g_assert_cmpuint(g_strv_length(keys), ==, 3);
    g_assert_cmpstr(keys[0], ==, "ssh-a A");
    g_assert_cmpstr(keys[2], ==, "ssh-c C");
    g_assert_true(authkeys_remove(&fixture->user, KEYS("ssh-b B", "unknown"), NULL));
    check_file(fixture, "# mine\n\n  ssh-a A\nssh-c C\n");
}

static void test_missing(Fixture *fixture, gconstpointer unused)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *expected =
        g_strdup_printf("failed to read '%s': Failed to open file “%s”: No such file or directory",
                        fixture->file, fixture->file);

    (void)unused;
    g_assert_true(authkeys_remove(&fixture->user, KEYS("ssh-a A"), NULL));
    g_assert_false(g_file_test(fixture->folder, G_FILE_TEST_EXISTS));
    g_assert_null(authkeys_get(&fixture->user, &error));
    g_assert_cmpstr(error->message, ==, expected);
}

/* What is no file is not waited for; what is too large is not read; neither is written over. */
static void test_hostile_files(Fixture *fixture, gconstpointer unused)
{
    g_autofree char *much = g_strnfill(AUTHKEYS_FILE_MAX + 1, 'x');
    g_autoptr(GError) error = NULL;

    (void)unused;
    write_keys(fixture, much);
    g_assert_null(authkeys_get(&fixture->user, &error));
    g_assert_error(error, AGENT_ERROR, AGENT_ERROR_LIMIT);
    g_clear_error(&error);
    g_assert_false(authkeys_add(&fixture->user, KEYS("ssh-a A"), false, &error));
    g_clear_error(&error);
    g_assert_false(authkeys_remove(&fixture->user, KEYS("ssh-a A"), &error));
    g_clear_error(&error);
    much[AUTHKEYS_FILE_MAX - 5] = '\0';
    g_assert_true(g_file_set_contents(fixture->file, much, -1, NULL));
    g_assert_false(authkeys_add(&fixture->user, KEYS("ssh-a A"), false, &error));
    g_assert_error(error, AGENT_ERROR, AGENT_ERROR_LIMIT);
    g_clear_error(&error);
    g_unlink(fixture->file);
    g_assert_cmpint(mkfifo(fixture->file, 0600), ==, 0);
    g_assert_null(authkeys_get(&fixture->user, &error));
    g_assert_error(error, AGENT_ERROR, AGENT_ERROR_LIMIT);
}

/* A link to somebody else's file is replaced, and its target left alone. */
static void test_link(Fixture *fixture, gconstpointer unused)
{
    g_autofree char *target = g_build_filename(fixture->user.home, "target", NULL);
    g_autofree char *text = NULL;

    (void)unused;
    g_assert_true(g_file_set_contents(target, "theirs\n", -1, NULL));
    g_assert_cmpint(g_mkdir(fixture->folder, 0700), ==, 0);
    g_assert_cmpint(symlink(target, fixture->file), ==, 0);
    g_assert_true(authkeys_add(&fixture->user, KEYS("ssh-a A"), true, NULL));
    check_file(fixture, "ssh-a A\n");
    g_assert_true(g_file_get_contents(target, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "theirs\n");
    g_unlink(target);
}

static void *as_nobody(void *data)
{
    Fixture *fixture = data;
    AuthkeysUser nobody = {fixture->user.home, 65534, 65534};
    g_autoptr(GError) error = NULL;

    authkeys_become(&nobody);
    g_assert_null(authkeys_get(&nobody, &error));
    g_assert_nonnull(strstr(error->message, "Permission denied"));
    g_clear_error(&error);
    g_assert_false(authkeys_add(&nobody, KEYS("ssh-x X"), true, &error));
    g_assert_nonnull(strstr(error->message, "Permission denied"));
    return NULL;
}

/* The thread has the user's rights, not root's, and the others keep theirs. */
static void test_rights(Fixture *fixture, gconstpointer unused)
{
    pthread_t thread;

    (void)unused;
    if (getuid() != 0) {
        g_test_skip("only root can become somebody else");
        return;
    }
    write_keys(fixture, "ssh-a A\n");
    g_assert_cmpint(chmod(fixture->file, 0600), ==, 0);
    g_assert_cmpint(pthread_create(&thread, NULL, as_nobody, fixture), ==, 0);
    g_assert_cmpint(pthread_join(thread, NULL), ==, 0);
    check_file(fixture, "ssh-a A\n");
    g_assert_true(authkeys_add(&fixture->user, KEYS("ssh-b B"), false, NULL));
}

static void test_users(void)
{
    g_autoptr(GError) error = NULL;
    AuthkeysUser user = {0};

    g_assert_true(authkeys_find_user("root", &user, &error));
    g_assert_cmpuint(user.uid, ==, 0);
    authkeys_user_clear(&user);
    g_assert_false(authkeys_find_user("no-such-user-here", &user, &error));
    g_assert_cmpstr(error->message, ==,
                    "failed to lookup user 'no-such-user-here': there is no such user");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, function) g_test_add("/authkeys/" path, Fixture, NULL, setup, function, teardown)
    ADD("add", test_add);
    ADD("the_rest_stays", test_stays_as_it_is);
    ADD("missing", test_missing);
    ADD("hostile_files", test_hostile_files);
    ADD("link_is_replaced", test_link);
    ADD("rights_of_the_user", test_rights);
#undef ADD
    g_test_add_func("/authkeys/users", test_users);
    return g_test_run();
}
