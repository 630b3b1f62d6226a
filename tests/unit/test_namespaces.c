/*
 * Tests of sys/namespaces: folders that look like /proc.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/namespaces.h"

#include "procfs_rig.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* "inode:pid:rooted …" */
static char *scan(const char *procfs, char **ret_unseen)
{
    g_autofree char *unseen = NULL;
    g_autoptr(GArray) found = namespaces_scan(procfs, &unseen);
    g_autoptr(GString) text = g_string_new(NULL);

    for (unsigned i = 0; i < found->len; i++) {
        const Namespace *space = &g_array_index(found, Namespace, i);

        g_string_append_printf(text, "%s%u:%d:%d", i ? " " : "", (unsigned)space->inode, space->pid,
                               space->rooted);
    }
    if (ret_unseen)
        *ret_unseen = g_steal_pointer(&unseen);
    else
        g_assert_null(unseen);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

#define assert_scan(procfs, expected)                                                              \
    do {                                                                                           \
        g_autofree char *scan_ = scan(procfs, NULL);                                               \
        g_assert_cmpstr(scan_, ==, expected);                                                      \
    } while (0)

static void each_once_and_never_the_own(void)
{
    char *procfs = rig_new("");

    rig_process(procfs, "1", RIG_OWN, "/", "");
    rig_process(procfs, "300", 7, "/", "");
    rig_process(procfs, "40", 7, "/", "");
    rig_process(procfs, "1000", 8, "/", "");
    rig_process(procfs, "sys", 9, "/", "");
    rig_process(procfs, "12x", 10, "/", "");
    rig_put(procfs, "55/comm", "ended\n");
    assert_scan(procfs, "7:40:1 8:1000:1");
    rig_free(procfs);
}

/* Whose root is a folder of the namespace sees a part of it only. */
static void a_process_that_sees_all_is_preferred(void)
{
    char *procfs = rig_new("");

    rig_process(procfs, "10", 7, "/jail", "");
    rig_process(procfs, "11", 7, "/", "");
    rig_process(procfs, "12", 8, "/jail", "");
    rig_process(procfs, "13", 8, "/other", "");
    assert_scan(procfs, "7:11:1 8:12:0");
    rig_free(procfs);
}

static void what_cannot_be_read_is_said(void)
{
    char *procfs = rig_new("");
    g_autofree char *found = NULL, *unseen = NULL, *none = NULL, *missing = NULL;

    rig_process(procfs, "10", 7, "/", "");
    rig_link(procfs, "11/ns/mnt", "elsewhere");
    found = scan(procfs, &unseen);
    g_assert_cmpstr(found, ==, "7:10:1");
    g_assert_true(g_str_has_prefix(unseen, "the mount namespaces of 1 processes cannot be read"));
    none = scan("/nonexistent", &missing);
    g_assert_cmpstr(none, ==, "");
    g_assert_nonnull(strstr(missing, "/nonexistent"));
    rig_free(procfs);
}

static void a_kernel_without_namespaces_has_no_others(void)
{
    char *procfs = rig_new("");
    g_autofree char *self = g_build_filename(procfs, "self", NULL);

    rig_process(procfs, "10", 7, "/", "");
    rig_remove(self);
    assert_scan(procfs, "");
    rig_free(procfs);
}

static void limit(void)
{
    char *procfs = rig_new("");
    g_autofree char *unseen = NULL;
    g_autoptr(GArray) found = NULL;

    for (unsigned i = 0; i <= NAMESPACES_MAX; i++) {
        g_autofree char *pid = g_strdup_printf("%u", 1000 + i);

        rig_process(procfs, pid, 5000 + i, "/", NULL);
        if (i == NAMESPACES_MAX - 1) {
            found = namespaces_scan(procfs, &unseen);
            g_assert_cmpuint(found->len, ==, NAMESPACES_MAX);
            g_assert_null(unseen);
            g_clear_pointer(&found, g_array_unref);
        }
    }
    found = namespaces_scan(procfs, &unseen);
    g_assert_cmpuint(found->len, ==, NAMESPACES_MAX);
    g_assert_nonnull(strstr(unseen, "more than 4096 mount namespaces"));
    rig_free(procfs);
}

static void kept_by_a_file(void)
{
    char *procfs = rig_new("");
    g_autofree char *unseen = NULL;
    g_autoptr(GArray) found = NULL;

    rig_process(procfs, "10", 7, "/", "");
    found = namespaces_scan(procfs, &unseen);
    namespaces_add_kept(found, "mnt:[7]");
    namespaces_add_kept(found, "net:[8]");
    namespaces_add_kept(found, "mnt:[9]x");
    g_assert_cmpuint(found->len, ==, 1);
    namespaces_add_kept(found, "mnt:[9]");
    namespaces_add_kept(found, "mnt:[9]");
    g_assert_cmpuint(found->len, ==, 2);
    g_assert_cmpint(g_array_index(found, Namespace, 1).pid, ==, 0);
    g_assert_false(g_array_index(found, Namespace, 1).rooted);
    rig_free(procfs);
}

/* --- one of them -------------------------------------------------------------------------------
 */

static void assert_table(const char *procfs, const Namespace *space, const char *expected)
{
    char text[64] = "";
    int fd = namespace_mountinfo(procfs, space);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(read(fd, text, sizeof(text) - 1), >=, 0);
    g_assert_cmpint(close(fd), ==, 0);
    g_assert_cmpstr(text, ==, expected);
}

/* The number of a process that ended may be another's by now. */
static void a_reused_process_number_is_not_trusted(void)
{
    char *procfs = rig_new("");
    const Namespace space = {.inode = 7, .pid = 10, .rooted = true};

    rig_process(procfs, "10", 7, "/", "ten");
    assert_table(procfs, &space, "ten");
    rig_process(procfs, "10", 8, "/", "stranger");
    rig_process(procfs, "11", 7, "/", "eleven");
    assert_table(procfs, &space, "eleven");
    rig_process(procfs, "11", 8, "/", "stranger");
    g_assert_cmpint(namespace_mountinfo(procfs, &space), ==, -ENODEV);
    g_assert_cmpint(namespace_root(procfs, &space), ==, -ENODEV);
    g_assert_cmpint(namespace_open(procfs, &space), ==, -ENODEV);
    rig_free(procfs);
}

static void a_zombie_has_no_table(void)
{
    char *procfs = rig_new("");
    const Namespace space = {.inode = 7, .pid = 10, .rooted = true};

    rig_process(procfs, "10", 7, "/", NULL);
    g_assert_cmpint(namespace_mountinfo(procfs, &space), ==, -ENODEV);
    rig_free(procfs);
}

static void root(void)
{
    char *procfs = rig_new("");
    const Namespace whole = {.inode = 7, .pid = 10, .rooted = true};
    struct stat found, expected;
    int fd = -1;

    rig_process(procfs, "10", 7, "/", "");
    fd = namespace_root(procfs, &whole);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(fstat(fd, &found), ==, 0);
    g_assert_cmpint(close(fd), ==, 0);
    g_assert_cmpint(stat("/", &expected), ==, 0);
    g_assert_true(found.st_ino == expected.st_ino && found.st_dev == expected.st_dev);
    rig_process(procfs, "10", 9, "/", "");
    g_assert_cmpint(namespace_root(procfs, &whole), ==, -ENODEV);
    rig_process(procfs, "20", 7, "/jail", "");
    g_assert_cmpint(namespace_root(procfs, &whole), ==, -ENXIO);
    rig_free(procfs);
}

static int go_elsewhere(gpointer data)
{
    char **ret_cwd = data;

    if (chdir("/proc") < 0)
        return -errno;
    *ret_cwd = g_get_current_dir();
    return 42;
}

static void a_visit_leaves_the_process_where_it_is(void)
{
    g_autofree char *before = g_get_current_dir();
    g_autofree char *inside = NULL;
    g_autofree char *after = NULL;

    g_assert_cmpint(namespace_run(go_elsewhere, &inside), ==, 42);
    after = g_get_current_dir();
    g_assert_cmpstr(after, ==, before);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/namespaces/each_once_and_never_the_own", each_once_and_never_the_own);
    g_test_add_func("/namespaces/a_process_that_sees_all_is_preferred",
                    a_process_that_sees_all_is_preferred);
    g_test_add_func("/namespaces/what_cannot_be_read_is_said", what_cannot_be_read_is_said);
    g_test_add_func("/namespaces/a_kernel_without_namespaces_has_no_others",
                    a_kernel_without_namespaces_has_no_others);
    g_test_add_func("/namespaces/limit", limit);
    g_test_add_func("/namespaces/kept_by_a_file", kept_by_a_file);
    g_test_add_func("/namespaces/a_reused_process_number_is_not_trusted",
                    a_reused_process_number_is_not_trusted);
    g_test_add_func("/namespaces/a_zombie_has_no_table", a_zombie_has_no_table);
    g_test_add_func("/namespaces/root", root);
    g_test_add_func("/namespaces/a_visit_leaves_the_process_where_it_is",
                    a_visit_leaves_the_process_where_it_is);
    return g_test_run();
}
