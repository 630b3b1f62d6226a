/*
 * Tests of quiesce/warnings: an invented procfs, and mounts to go with it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/warnings.h"
#include "suspects_rig.h"

#include <glib/gstdio.h>
#include <string.h>

typedef struct {
    Tree tree;
    char *mountinfo, *sysfs;
    WarningsSpec spec;
    Warnings *result;
    GMainLoop *loop;
} Fixture;

static void mount_free(gpointer data)
{
    Mount *mount = data;

    g_free(mount->mountpoint);
    g_ptr_array_unref(mount->mountpoints);
    g_free(mount);
}

static void add_mount(Fixture *fixture, const char *mountpoint, unsigned major, unsigned minor,
                      MountAction action)
{
    Mount *mount = g_new0(Mount, 1);

    mount->mountpoint = g_strdup(mountpoint);
    mount->mountpoints = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(mount->mountpoints, g_strdup(mountpoint));
    mount->visible = 1;
    mount->major = major;
    mount->minor = minor;
    mount->action = action;
    g_ptr_array_add(fixture->spec.mounts, mount);
}

static void set_up(Fixture *fixture, gconstpointer data)
{
    (void)data;
    tree_set_up(&fixture->tree);
    rig_daemon(&fixture->tree, "self", "quiesced");
    rig_put(fixture->tree.root, "meminfo", "Dirty: 1024 kB\nWriteback: 0 kB\n");
    fixture->mountinfo = g_build_filename(fixture->tree.root, "self/mountinfo", NULL);
    fixture->sysfs = g_build_filename(fixture->tree.root, "sys", NULL);
    fixture->loop = g_main_loop_new(NULL, FALSE);
    fixture->spec = (WarningsSpec){
        .paths = {.mountinfo = fixture->mountinfo,
                  .sysfs = fixture->sysfs,
                  .procfs = fixture->tree.root},
        .mounts = g_ptr_array_new_with_free_func(mount_free),
        .reply_budget_us = 50 * USEC_PER_SEC,
        .limit_us = 300 * USEC_PER_SEC,
    };
    add_mount(fixture, "/", 254, 1, MOUNT_FREEZE);
    add_mount(fixture, "/run", 0, 25, MOUNT_SKIP);
    add_mount(fixture, "/srv/data", 254, 16, MOUNT_FREEZE);
    add_mount(fixture, "/srv/btrfs", 0, 44, MOUNT_EXCLUDED);
}

static void tear_down(Fixture *fixture, gconstpointer data)
{
    (void)data;
    warnings_free(fixture->result);
    g_ptr_array_unref(fixture->spec.mounts);
    g_main_loop_unref(fixture->loop);
    g_free(fixture->mountinfo);
    g_free(fixture->sysfs);
    tree_tear_down(&fixture->tree);
}

static void arrived(Warnings *warnings, gpointer user_data)
{
    Fixture *fixture = user_data;

    fixture->result = warnings;
    g_main_loop_quit(fixture->loop);
}

static void run(Fixture *fixture)
{
    g_autoptr(GError) error = NULL;

    g_clear_pointer(&fixture->result, warnings_free);
    g_assert_nonnull(warnings_run(&fixture->spec, arrived, fixture, &error));
    g_assert_no_error(error);
    g_main_loop_run(fixture->loop);
    g_assert_true(fixture->result->complete);
}

/* The only warning; `part` of its text. */
static void assert_one(const Fixture *fixture, const char *code, const char *subject,
                       const char *part)
{
    const Warning *warning = NULL;

    g_assert_cmpuint(fixture->result->list->len, ==, 1);
    warning = g_ptr_array_index(fixture->result->list, 0);
    g_assert_cmpstr(warning->code, ==, code);
    g_assert_cmpstr(warning->subject, ==, subject);
    if (!strstr(warning->text, part))
        g_error("'%s' does not have '%s'", warning->text, part);
}

static void assert_none(const Fixture *fixture)
{
    g_assert_cmpuint(fixture->result->list->len, ==, 0);
}

static void nothing_to_say(Fixture *fixture, gconstpointer data)
{
    (void)data;
    rig_daemon(&fixture->tree, "1", "systemd");
    run(fixture);
    assert_none(fixture);
    g_assert_cmpint(fixture->result->flush_us, ==, 25000);
}

static void standard_error(Fixture *fixture, gconstpointer data)
{
    g_autofree char *link = g_build_filename(fixture->tree.root, "self/fd/2", NULL);

    (void)data;
    rig_link(fixture->tree.root, "self/fd/2", "/srv/data/quiesced.log");
    run(fixture);
    assert_one(fixture, "log-on-filesystem", "/srv/data", "own log, /srv/data/quiesced.log");
    g_assert_cmpint(g_unlink(link), ==, 0);
    rig_link(fixture->tree.root, "self/fd/2", "/dev/null");
    run(fixture);
    assert_none(fixture);
    g_assert_cmpint(g_unlink(link), ==, 0);
    rig_link(fixture->tree.root, "self/fd/2", "socket:[812]");
    run(fixture);
    assert_none(fixture);
}

static void journal(Fixture *fixture, gconstpointer data)
{
    (void)data;
    rig_daemon(&fixture->tree, "300", "systemd-journal");
    rig_file(&fixture->tree, "300", 20, "/srv/data/system.journal", 31, "0100002");
    run(fixture);
    assert_none(fixture); /* the agent does not log there */
    fixture->spec.log_in_journal = true;
    run(fixture);
    assert_one(fixture, "log-on-filesystem", "/srv/data", "the journal is written here");
}

static void listener(Fixture *fixture, gconstpointer data)
{
    const char *only_root[] = {"/", NULL};

    (void)data;
    rig_daemon(&fixture->tree, "812", "clamonacc");
    rig_process(fixture->tree.root, "812", 4026532200, "/",
                RIG_CONTAINER); /* its program lies on an overlay */
    rig_listener(&fixture->tree, "812", 5, "fanotify sdev:19 mflags:0 mask:10000 ignored_mask:0\n");
    rig_file(&fixture->tree, "812", 6, "/data/log", 77, "0102001");
    run(fixture);
    assert_one(fixture, "fanotify-listener", "/srv/data",
               "clamonacc (pid 812) answers fanotify permission events and has files open for "
               "writing here");
    fixture->spec.mountpoints = only_root;
    run(fixture);
    assert_none(fixture);
}

static void dirty_set(Fixture *fixture, gconstpointer data)
{
    (void)data;
    rig_put(fixture->tree.root, "meminfo", "Dirty: 409600 kB\nWriteback: 40960 kB\n");
    run(fixture);
    assert_one(fixture, "large-dirty-set", NULL,
               "440 MiB wait to be written to disk, which takes about 11.0 s");
    rig_put(fixture->tree.root, "meminfo", "Dirty: 204800 kB\nWriteback: 0 kB\n");
    run(fixture);
    assert_none(fixture);
    /* A host that waits 4 s does not wait for the rest after 5. */
    fixture->spec.reply_budget_us = 4 * USEC_PER_SEC;
    run(fixture);
    assert_one(fixture, "large-dirty-set", NULL, "about 5.0 s");
    g_assert_cmpint(fixture->result->flush_us, ==, 5 * USEC_PER_SEC);
    rig_put(fixture->tree.root, "meminfo", "");
    run(fixture);
    assert_none(fixture);
    g_assert_cmpint(fixture->result->flush_us, ==, -1);
}

static void capped_limit(Fixture *fixture, gconstpointer data)
{
    (void)data;
    rig_put(fixture->tree.root, "sys/kernel/hung_task_panic", "1\n");
    rig_put(fixture->tree.root, "sys/kernel/hung_task_timeout_secs", "120\n");
    run(fixture);
    assert_one(fixture, "frozen-limit-capped", NULL,
               "105.0 s instead of 300.0 s: the kernel panics (kernel.hung_task_panic) when a "
               "process hangs for 120 s");
    fixture->spec.limit_us = 60 * USEC_PER_SEC;
    run(fixture);
    assert_none(fixture);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define TEST(name, function)                                                                       \
    g_test_add("/warnings/" name, Fixture, NULL, set_up, function, tear_down)
    TEST("none", nothing_to_say);
    TEST("standard-error", standard_error);
    TEST("journal", journal);
    TEST("listener", listener);
    TEST("dirty-set", dirty_set);
    TEST("capped-limit", capped_limit);
    return g_test_run();
}
