/*
 * Tests of sys/hookdir: what is found, what hides what, what is refused and why. NAME.conf is
 * tested in test_hookconf.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "hookdir_rig.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

static void test_nothing(Fixture *f, gconstpointer data)
{
    (void)data;
    assert_scan(f, "");
    f->directories[0] = "/nonexistent/hooks.d";
    f->options.stock_directory = "/nonexistent/fsfreeze-hook.d";
    assert_scan(f, "");
    f->options.directories = NULL;
    f->options.stock_directory = "";
    assert_scan(f, "");
}

static void test_defaults(Fixture *f, gconstpointer data)
{
    g_autofree char *path = g_build_filename(f->etc, "app", NULL);

    (void)data;
    script(f->etc, "app");
    assert_scan(f, "app:50:f");
    g_assert_cmpstr(nth(f, 0)->path, ==, path);
    g_assert_cmpint(nth(f, 0)->kind, ==, HOOK_PLAIN);
    g_assert_cmpint(nth(f, 0)->on_failure, ==, ON_FAILURE_ABORT);
    g_assert_cmpint(nth(f, 0)->timeout_us, ==, 0);
    g_assert_null(nth(f, 0)->mountpoints);
}

static void test_order_prefix(Fixture *f, gconstpointer data)
{
    (void)data;
    script(f->etc, "90-late");
    script(f->etc, "05-early");
    script(f->etc, "plain");
    script(f->etc, "7-one-digit");
    script(f->etc, "10-");
    script(f->usr, "50-also");
    assert_scan(f, "early:5:f 10-:50:f 7-one-digit:50:f also:50:f plain:50:f late:90:f");
}

static void test_precedence(Fixture *f, gconstpointer data)
{
    (void)data;
    script(f->usr, "50-app");
    script(f->run, "50-app");
    script(f->usr, "other");
    assert_scan(f, "app:50:f other:50:f");
    g_assert_true(g_str_has_prefix(nth(f, 0)->path, f->run));
    script(f->etc, "50-app");
    assert_scan(f, "app:50:f other:50:f");
    g_assert_true(g_str_has_prefix(nth(f, 0)->path, f->etc));
    /* A refused one still hides: it was put there on purpose. */
    put(f->etc, "50-app", "", 0644);
    assert_scan(f, "app:50:f! other:50:f");
}

static void test_mask(Fixture *f, gconstpointer data)
{
    (void)data;
    script(f->usr, "50-app");
    script(f->usr, "keep");
    link_to(f->etc, "50-app", "/dev/null");
    assert_scan(f, "keep:50:f");
}

static void test_left_overs(Fixture *f, gconstpointer data)
{
    static const char *const NAMES[] = {
        "app~",      "app.bak",       "app.orig",     "app.rpmnew", "app.rpmsave",
        "app.rpm-x", "app.dpkg-dist", "app.dpkg-new", "app.swp",    ".app.swp",
        ".hidden",   "app.sh.sample", "app.conf",
    };

    (void)data;
    for (unsigned i = 0; i < G_N_ELEMENTS(NAMES); i++) {
        script(f->etc, NAMES[i]);
        script(f->stock, NAMES[i]);
    }
    f->options.stock_directory = f->stock;
    assert_scan(f, "");
    script(f->etc, "app.sh");
    assert_scan(f, "app.sh:50:f");
}

static void test_refused_modes(Fixture *f, gconstpointer data)
{
    (void)data;
    put(f->etc, "app", "#!/bin/sh\n", 0775);
    assert_refused(f, "group-writable");
    put(f->etc, "app", "#!/bin/sh\n", 0757);
    assert_refused(f, "world-writable");
    put(f->etc, "app", "#!/bin/sh\n", 0644);
    assert_refused(f, "not executable");
    put(f->etc, "app", "#!/bin/sh\n", 0755);
    assert_scan(f, "app:50:f");
}

static void test_refused_owner(Fixture *f, gconstpointer data)
{
    (void)data;
    script(f->etc, "app");
    f->options.owner = getuid() + 1;
    assert_refused(f, "folder is owned by uid");
    if (getuid() != 0) {
        g_test_skip("the owner of the file alone can be changed by root only");
        return;
    }
    g_autofree char *path = g_build_filename(f->etc, "app", NULL);
    f->options.owner = 0;
    g_assert_cmpint(chown(path, 12345, 0), ==, 0);
    assert_refused(f, "owned by uid 12345, not by root");
}

static void test_refused_folder(Fixture *f, gconstpointer data)
{
    (void)data;
    script(f->usr, "app");
    g_assert_cmpint(chmod(f->etc, 0777), ==, 0);
    assert_scan(f, "app:50:f"); /* an empty folder harms nobody */
    /* Else anybody could switch a hook off. */
    link_to(f->etc, "app", "/dev/null");
    assert_refused(f, "its folder is world-writable");
    g_assert_cmpint(chmod(f->etc, 0775), ==, 0);
    assert_refused(f, "its folder is group-writable");
    g_assert_cmpint(chmod(f->etc, 0755), ==, 0);
    assert_scan(f, "");
}

static void test_refused_types(Fixture *f, gconstpointer data)
{
    g_autofree char *path = g_build_filename(f->etc, "app", NULL);

    (void)data;
    g_assert_cmpint(g_mkdir(path, 0755), ==, 0);
    assert_refused(f, "not a regular file");
    g_assert_cmpint(g_rmdir(path), ==, 0);
    g_assert_cmpint(mkfifo(path, 0755), ==, 0);
    assert_refused(f, "not a regular file");
    g_assert_cmpint(g_unlink(path), ==, 0);
    link_to(f->etc, "app", "/nonexistent/app");
    assert_refused(f, "No such file");
}

static void test_links(Fixture *f, gconstpointer data)
{
    g_autofree char *target = g_build_filename(f->stock, "real", NULL);

    (void)data;
    script(f->stock, "real");
    link_to(f->etc, "app", target);
    assert_scan(f, "app:50:f");
    g_assert_cmpint(chmod(f->stock, 0777), ==, 0);
    assert_refused(f, "its folder is world-writable");
}

static void test_refused_names(Fixture *f, gconstpointer data)
{
    g_autofree char *longest = g_strnfill(245, 'x');

    (void)data;
    script(f->etc, "new\nline");
    assert_refused(f, "control characters");
    g_assert_cmpstr(nth(f, 0)->name, ==, "new line");
    tear_down(f, NULL);
    set_up(f, NULL);
    script(f->etc, "bad\xff");
    assert_refused(f, "bad UTF-8");
    g_assert_true(g_utf8_validate(nth(f, 0)->name, -1, NULL));
    g_assert_true(g_utf8_validate(nth(f, 0)->path, -1, NULL));
    tear_down(f, NULL);
    set_up(f, NULL);
    script(f->etc, longest);
    assert_refused(f, "longer than 255 bytes");
}

static void test_stock_directory(Fixture *f, gconstpointer data)
{
    g_autofree char *folder = g_build_filename(f->stock, "folder", NULL);

    (void)data;
    script(f->stock, "20-mysql.sh");
    script(f->stock, "plain");
    put(f->stock, "README", "not a script\n", 0644);
    put(f->stock, "plain.conf", "[Hook]\nOrder=1\n", 0644);
    g_assert_cmpint(g_mkdir(folder, 0755), ==, 0);
    f->options.stock_directory = f->stock;
    assert_scan(f, "mysql.sh:20:e plain:50:e");
    g_assert_cmpint(nth(f, 0)->kind, ==, HOOK_STOCK);
    g_assert_cmpint(chmod(f->stock, 0777), ==, 0);
    assert_scan(f, "mysql.sh:20:e! plain:50:e!");
}

/* The stock dispatcher runs the directory itself: nothing may run twice. */
static void test_stock_hook_instead(Fixture *f, gconstpointer data)
{
    g_autofree char *hook = g_build_filename(f->etc, "fsfreeze-hook", NULL);

    (void)data;
    script(f->stock, "mysql.sh");
    script(f->etc, "fsfreeze-hook");
    f->options.directories = NULL;
    f->options.stock_directory = f->stock;
    f->options.stock_hook = hook;
    assert_scan(f, "fsfreeze-hook:50:e");
    g_assert_cmpstr(nth(f, 0)->path, ==, hook);
    g_assert_cmpint(nth(f, 0)->kind, ==, HOOK_STOCK);
    g_assert_cmpint(chmod(hook, 0644), ==, 0);
    assert_refused(f, "not executable");
    g_assert_cmpint(g_unlink(hook), ==, 0);
    assert_refused(f, "No such file");
}

static void test_same_names(Fixture *f, gconstpointer data)
{
    g_autofree char *etc_path = g_build_filename(f->etc, "app", NULL);
    g_autofree char *expected = NULL;

    (void)data;
    script(f->etc, "10-db");
    script(f->etc, "90-db");
    script(f->etc, "app");
    script(f->stock, "app");
    f->options.stock_directory = f->stock;
    expected = g_strdup_printf("10-db:10:f %s:50:f %s/app:50:e 90-db:90:f", etc_path, f->stock);
    assert_scan(f, expected);
}

static void test_limit(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) hooks = NULL;

    (void)data;
    for (unsigned i = 0; i < HOOKDIR_HOOKS_MAX; i++) {
        g_autofree char *name = g_strdup_printf("hook-%u", i);
        script(i % 2 ? f->etc : f->usr, name);
    }
    hooks = hookdir_scan(&f->options, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(hooks->len, ==, HOOKDIR_HOOKS_MAX);
    f->options.stock_directory = f->stock;
    script(f->stock, "one-more");
    g_assert_null(hookdir_scan(&f->options, &error));
    g_assert_error(error, AGENT_ERROR, AGENT_ERROR_LIMIT);
    g_assert_nonnull(strstr(error->message, "one-more"));
}

static void test_unreadable_directory(Fixture *f, gconstpointer data)
{
    g_autofree char *file = g_build_filename(f->top, "file", NULL);
    g_autoptr(GError) error = NULL;

    (void)data;
    script(f->top, "file");
    f->directories[1] = file;
    g_assert_null(hookdir_scan(&f->options, &error));
    g_assert_error(error, AGENT_ERROR, AGENT_ERROR_FAILED);
    g_assert_nonnull(strstr(error->message, file));
}

static void test_copy(Fixture *f, gconstpointer data)
{
    Hook *copy;

    (void)data;
    script(f->etc, "app");
    put(f->etc, "app.conf", "[Hook]\nMountpoints=/srv\nUser=x\n", 0644);
    assert_scan(f, "app:50:f!");
    copy = hook_copy(nth(f, 0));
    g_clear_pointer(&f->hooks, g_ptr_array_unref);
    g_assert_cmpstr(copy->name, ==, "app");
    g_assert_cmpstr(copy->mountpoints[0], ==, "/srv");
    g_assert_true(g_str_has_suffix(copy->refused, "app.conf:3: User: there is no user 'x'"));
    hook_free(copy);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*func)(Fixture *f, gconstpointer data);
    } TESTS[] = {
        {"/hookdir/nothing_there", test_nothing},
        {"/hookdir/defaults", test_defaults},
        {"/hookdir/order_prefix", test_order_prefix},
        {"/hookdir/etc_over_run_over_usr", test_precedence},
        {"/hookdir/null_link_masks", test_mask},
        {"/hookdir/left_overs_ignored", test_left_overs},
        {"/hookdir/refused_by_mode", test_refused_modes},
        {"/hookdir/refused_by_owner", test_refused_owner},
        {"/hookdir/refused_by_folder", test_refused_folder},
        {"/hookdir/refused_by_type", test_refused_types},
        {"/hookdir/link_into_unsafe_folder", test_links},
        {"/hookdir/refused_by_name", test_refused_names},
        {"/hookdir/same_names_are_told_apart", test_same_names},
        {"/hookdir/one_too_many", test_limit},
        {"/hookdir/unreadable_directory", test_unreadable_directory},
        {"/hookdir/copy_is_deep", test_copy},
        {"/hookdir/stock_directory", test_stock_directory},
        {"/hookdir/stock_hook_instead_of_directory", test_stock_hook_instead},
    };

    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(TESTS); i++)
        g_test_add(TESTS[i].name, Fixture, NULL, set_up, TESTS[i].func, tear_down);
    return g_test_run();
}
