/*
 * Tests of sys/suspects, on an invented procfs.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "suspects_rig.h"
#include "sys/suspects_internal.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/syscall.h>

enum { ROOT, DATA, BTRFS };

#define MARK_DATA  "fanotify sdev:fe00010 mflags:0 mask:10000 ignored_mask:0\n"
#define MARK_BTRFS "fanotify sdev:2c mflags:0 mask:40000 ignored_mask:0\n"

static void set_up(Tree *tree, gconstpointer data)
{
    (void)data;
    tree_set_up(tree);
    rig_daemon(tree, "self", "quiesced");
    rig_daemon(tree, "1", "systemd");
    rig_put(tree->root, "meminfo", "");
}

static void tear_down(Tree *tree, gconstpointer data)
{
    (void)data;
    tree_tear_down(tree);
}

static const char *name_of(unsigned filesystem, gpointer user_data)
{
    static const char *const NAMES[] = {"/", "/srv/data", "/srv/btrfs"};

    (void)user_data;
    return NAMES[filesystem];
}

static Suspects *find_with(const Tree *tree, unsigned kinds, Deadline deadline)
{
    g_autofree char *sysfs = g_build_filename(tree->root, "sys", NULL);
    SuspectsInput *input = suspects_input_new(tree->root, sysfs, kinds, deadline);
    Suspects *found = NULL;

    suspects_input_add(input, 254, 1, true);
    suspects_input_add(input, 254, 16, false);
    suspects_input_add(input, 0, 44, false);
    found = suspects_find(input);
    suspects_input_free(input);
    return found;
}

static Suspects *find(const Tree *tree, unsigned kinds)
{
    return find_with(tree, kinds, DEADLINE_NEVER);
}

static const Suspect *nth(const Suspects *found, unsigned index)
{
    g_assert_cmpuint(index, <, found->list->len);
    return &g_array_index(found->list, Suspect, index);
}

static void assert_text(const Tree *tree, unsigned filesystem, const char *expected)
{
    Suspects *found = find(tree, SUSPECTS_STUCK);
    g_autofree char *text = suspects_text(found, filesystem, name_of, NULL);

    g_assert_cmpstr(text, ==, expected);
    suspects_free(found);
}

/* --- listeners ---------------------------------------------------------------------------------
 */

static void marks_of_every_kind(Tree *tree, gconstpointer data)
{
    static const struct {
        const char *mark;
        int filesystem; /* -1: nobody is asked */
    } CASES[] = {
        {MARK_DATA, DATA},
        {MARK_BTRFS, BTRFS},
        {"fanotify mnt_id:1f mflags:0 mask:20000 ignored_mask:0\n", DATA},
        {"fanotify mnt_id:21 mflags:0 mask:100000 ignored_mask:0\n", BTRFS},
        {"fanotify ino:80 sdev:fe00010 mflags:0 mask:48010000 ignored_mask:0 fhandle-bytes:8\n",
         DATA},
        {"fanotify sdev:fe00020 mflags:0 mask:10000 ignored_mask:0\n", -1},
        {"fanotify sdev:fe00010 mflags:0 mask:3b ignored_mask:10000\n", -1},
        {"fanotify mnt_id:1f mflags:0 ignored_mask:10000\n", -1},
        {"inotify wd:1 ino:80 sdev:fe00010 mask:10000 ignored_mask:0\n", -1},
    };

    (void)data;
    for (unsigned i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autofree char *process = g_strdup_printf("%u", 800 + i);
        g_autofree char *expected =
            g_strdup_printf("held up by scanner (pid %s, fanotify permission listener)", process);
        g_autofree char *folder = g_build_filename(tree->root, process, NULL);

        rig_daemon(tree, process, "scanner");
        rig_listener(tree, process, 5, CASES[i].mark);
        assert_text(tree, DATA, CASES[i].filesystem == DATA ? expected : NULL);
        assert_text(tree, BTRFS, CASES[i].filesystem == BTRFS ? expected : NULL);
        rig_remove(folder);
    }
}

static void what_a_listener_has_where(Tree *tree, gconstpointer data)
{
    Suspects *found = NULL;

    (void)data;
    rig_daemon(tree, "812", "clamonacc");
    rig_listener(tree, "812", 5, "fanotify mnt_id:19 mflags:0 mask:10000 ignored_mask:0\n");
    rig_file(tree, "812", 1, "/srv/data/log", 31, "0102001");
    rig_file(tree, "812", 2, "/srv/data/main.cvd", 31, "0100000");
    rig_file(tree, "812", 3, "/srv/btrfs/daily.cvd", 33, "0100000");
    found = find(tree, SUSPECTS_PLANNED);
    g_assert_true(found->complete);
    g_assert_cmpuint(found->list->len, ==, 3);
    for (unsigned i = 0; i < 3; i++) {
        const Suspect *suspect = nth(found, i);
        const SuspectFile expected[] = {SUSPECT_FILE_PROGRAM, SUSPECT_FILE_WRITTEN,
                                        SUSPECT_FILE_OPEN};

        g_assert_cmpint(suspect->kind, ==, SUSPECT_LISTENER);
        g_assert_cmpint(suspect->pid, ==, 812);
        g_assert_cmpstr(suspect->name, ==, "clamonacc");
        g_assert_cmpint(suspect->file, ==, expected[suspect->filesystem]);
        g_assert_false(suspect->marked); /* its mark is on a tmpfs */
    }
    suspects_free(found);
    /* It is asked about none of these, so it does not hold up their freeze. */
    assert_text(tree, DATA, NULL);
}

static void a_folder_of_its_own_counts(Tree *tree, gconstpointer data)
{
    Suspects *found = NULL;
    g_autofree char *cwd = g_build_filename(tree->root, "812/cwd", NULL);
    g_autofree char *exe = g_build_filename(tree->root, "812/exe", NULL);

    (void)data;
    rig_daemon(tree, "812", "fapolicyd");
    rig_listener(tree, "812", 5, MARK_BTRFS);
    g_assert_cmpint(g_unlink(cwd) + g_unlink(exe), ==, 0);
    rig_link(tree->root, "812/cwd", "/srv/data/lib");
    rig_link(tree->root, "812/exe", "/run/fapolicyd (deleted)");
    found = find(tree, SUSPECTS_PLANNED);
    g_assert_cmpuint(found->list->len, ==, 2);
    g_assert_cmpuint(nth(found, 0)->filesystem, ==, DATA);
    g_assert_cmpint(nth(found, 0)->file, ==, SUSPECT_FILE_FOLDER);
    g_assert_cmpuint(nth(found, 1)->filesystem, ==, BTRFS);
    g_assert_cmpint(nth(found, 1)->file, ==, SUSPECT_FILE_NONE);
    g_assert_true(nth(found, 1)->marked);
    suspects_free(found);
}

static void mounts_of_other_namespaces(Tree *tree, gconstpointer data)
{
    (void)data;
    rig_daemon(tree, "900", "guard");
    rig_process(tree->root, "900", 4026532200, "/", RIG_CONTAINER);
    rig_listener(tree, "900", 5, "fanotify mnt_id:4d mflags:0 mask:10000 ignored_mask:0\n");
    assert_text(tree, DATA, "held up by guard (pid 900, fanotify permission listener)");
}

static void the_journal_where_it_is_asked_for(Tree *tree, gconstpointer data)
{
    Suspects *found = NULL;

    (void)data;
    rig_daemon(tree, "300", "systemd-journal");
    rig_file(tree, "300", 20, "/srv/data/journal/system.journal", 31, "0100002");
    rig_daemon(tree, "301", "other");
    rig_file(tree, "301", 20, "/srv/data/file", 31, "0100002");
    found = find(tree, SUSPECTS_PLANNED);
    g_assert_cmpuint(found->list->len, ==, 1);
    g_assert_cmpint(nth(found, 0)->kind, ==, SUSPECT_JOURNAL);
    g_assert_cmpint(nth(found, 0)->pid, ==, 300);
    g_assert_cmpuint(nth(found, 0)->filesystem, ==, DATA);
    suspects_free(found);
    assert_text(tree, DATA, NULL);
}

/* --- writers -----------------------------------------------------------------------------------
 */

/* A task in a system call; `fd` of it is a file on /srv/data. */
static void put_task(const Tree *tree, const char *process, long number, const char *arguments,
                     const char *state, const char *wchan)
{
    g_autofree char *task = g_strdup_printf("%s/task/%s", process, process);
    g_autofree char *call = g_strdup_printf("%ld %s 0x7ffd0 0x7f00\n", number, arguments);
    g_autofree char *stat = g_strdup_printf("%s (a ) b) %s 1 1 1 0\n", process, state);
    const char *const NAMES[] = {"syscall", "stat", "wchan"};
    const char *const TEXTS[] = {number < 0 ? "running\n" : call, stat, wchan};

    rig_daemon(tree, process, "cat");
    rig_daemon(tree, task, "cat");
    for (unsigned i = 0; i < 3; i++) {
        g_autofree char *name = g_strdup_printf("%s/%s", task, NAMES[i]);

        rig_put(tree->root, name, TEXTS[i]);
    }
    rig_file(tree, task, 7, "/srv/data/file", 31, "0100001");
}

static void calls_that_hold_up(Tree *tree, gconstpointer data)
{
    static const struct {
        long number;
        const char *arguments, *state, *wchan, *named;
    } CASES[] = {
        {SYS_splice, "0x3 0x0 0x7 0x0 0x1000 0x0", "S", "pipe_wait_readable", "splice"},
        {SYS_splice, "0x7 0x0 0x3 0x0 0x1000 0x0", "S", "pipe_wait_writable", NULL},
        {SYS_sendfile, "0x7 0x3 0x0 0x1000 0x0 0x0", "S", "0", "sendfile"},
        {SYS_copy_file_range, "0x3 0x0 0xffffffff00000007 0x0 0x1000 0x0", "S", "0",
         "copy_file_range"},
        {SYS_write, "0x7 0x7f 0x1000 0x0 0x0 0x0", "D", "balance_dirty_pages", "write"},
        {SYS_pwrite64, "0x7 0x7f 0x1000 0x0 0x0 0x0", "D", "folio_wait_bit", "pwrite"},
        {SYS_fallocate, "0x7 0x0 0x0 0x1000 0x0 0x0", "D", "io_schedule", "fallocate"},
        /* A FIFO that is full is no write to the disk, though its path is there. */
        {SYS_write, "0x7 0x7f 0x1000 0x0 0x0 0x0", "S", "pipe_write", NULL},
        /* Those who wait for the thaw. */
        {SYS_write, "0x7 0x7f 0x1000 0x0 0x0 0x0", "D", "percpu_rwsem_wait", NULL},
        {SYS_splice, "0x3 0x0 0x7 0x0 0x1000 0x0", "D", "__percpu_down_read", NULL},
        {SYS_read, "0x7 0x7f 0x1000 0x0 0x0 0x0", "D", "folio_wait_bit", NULL},
        {SYS_write, "0x8 0x7f 0x1000 0x0 0x0 0x0", "D", "folio_wait_bit", NULL},
        {SYS_write, "0xffffffff 0x7f 0x1000 0x0 0x0 0x0", "D", "folio_wait_bit", NULL},
        {-1, "", "R", "0", NULL},
    };

    (void)data;
    for (unsigned i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autofree char *process = g_strdup_printf("%u", 500 + i);
        g_autofree char *folder = g_build_filename(tree->root, process, NULL);
        g_autofree char *expected =
            CASES[i].named
                ? g_strdup_printf("held up by cat (pid %s, in %s)", process, CASES[i].named)
                : NULL;

        put_task(tree, process, CASES[i].number, CASES[i].arguments, CASES[i].state,
                 CASES[i].wchan);
        assert_text(tree, DATA, expected);
        assert_text(tree, BTRFS, NULL);
        rig_remove(folder);
    }
}

static void the_stack_tells_a_victim_too(Tree *tree, gconstpointer data)
{
    (void)data;
    put_task(tree, "500", SYS_write, "0x7 0x7f 0x1000 0x0 0x0 0x0", "D", "vfs_write");
    assert_text(tree, DATA, "held up by cat (pid 500, in write)");
    rig_put(tree->root, "500/task/500/stack",
            "[<0>] __percpu_down_read+0x5e/0x90\n[<0>] vfs_write+0x389/0x3d0\n");
    assert_text(tree, DATA, NULL);
}

static void kernel_threads_are_left_out(Tree *tree, gconstpointer data)
{
    (void)data;
    put_task(tree, "500", SYS_splice, "0x3 0x0 0x7 0x0 0x1000 0x0", "S", "0");
    rig_put(tree->root, "500/stat", "500 (a) 1 2) S 1 500 500 0\n");
    assert_text(tree, DATA, "held up by cat (pid 500, in splice)");
    rig_put(tree->root, "500/stat", "500 (a) 1 1) S 2 0 0 0\n");
    assert_text(tree, DATA, NULL);
}

/* --- loop files --------------------------------------------------------------------------------
 */

static void a_loop_file_on_what_was_frozen_before(Tree *tree, gconstpointer data)
{
    (void)data;
    rig_put(tree->root, "sys/dev/block/254:16/slaves/loop0/dev", "7:0\n");
    rig_put(tree->root, "sys/dev/block/7:0/loop/backing_file", "/var/images/data.img\n");
    assert_text(tree, DATA, "held up by its loop file on /, frozen before it");
    rig_put(tree->root, "sys/dev/block/7:0/loop/backing_file", "/run/data.img\n");
    assert_text(tree, DATA, NULL);
    rig_put(tree->root, "sys/dev/block/7:0/loop/backing_file", "/srv/btrfs/data.img\n");
    assert_text(tree, DATA, NULL); /* not frozen */
}

/* --- text and limits ---------------------------------------------------------------------------
 */

static void the_likeliest_come_first(Tree *tree, gconstpointer data)
{
    (void)data;
    rig_daemon(tree, "90", "scan\nner\x01");
    rig_listener(tree, "90", 5, MARK_DATA);
    put_task(tree, "80", SYS_write, "0x7 0x7f 0x1000 0x0 0x0 0x0", "D", "io_schedule");
    put_task(tree, "95", SYS_splice, "0x3 0x0 0x7 0x0 0x1000 0x0", "S", "0");
    put_task(tree, "96", SYS_splice, "0x3 0x0 0x7 0x0 0x1000 0x0", "S", "0");
    assert_text(tree, DATA,
                "held up by cat (pid 95, in splice), cat (pid 96, in splice) and 2 more");
    rig_put(tree->root, "96/task/96/syscall", "running\n");
    assert_text(tree, DATA,
                "held up by cat (pid 95, in splice), scan ner (pid 90, fanotify permission "
                "listener) and 1 more");
}

static void several_threads_are_one(Tree *tree, gconstpointer data)
{
    (void)data;
    put_task(tree, "80", SYS_splice, "0x3 0x0 0x7 0x0 0x1000 0x0", "S", "0");
    rig_daemon(tree, "80/task/81", "cat");
    rig_put(tree->root, "80/task/81/syscall", "275 0x3 0x0 0x7 0x0 0x1000 0x0 0x7ffd0 0x7f00\n");
    rig_put(tree->root, "80/task/81/stat", "81 (cat) S 1 1\n");
    rig_file(tree, "80/task/81", 7, "/srv/data/file", 31, "0100001");
    assert_text(tree, DATA, "held up by cat (pid 80, in splice)");
}

static void found_are_limited(Tree *tree, gconstpointer data)
{
    Suspects *found = NULL;

    (void)data;
    for (unsigned i = 0; i <= SUSPECTS_FOUND_MAX; i++) {
        g_autofree char *process = g_strdup_printf("%u", 1000 + i);

        put_task(tree, process, SYS_splice, "0x3 0x0 0x7 0x0 0x1000 0x0", "S", "0");
    }
    found = find(tree, SUSPECTS_STUCK);
    g_assert_cmpuint(found->list->len, ==, SUSPECTS_FOUND_MAX);
    g_assert_false(found->complete);
    suspects_free(found);
}

static void processes_are_limited(Tree *tree, gconstpointer data)
{
    Suspects *found = NULL;

    (void)data;
    for (unsigned i = 2; i <= SUSPECTS_PROCESSES_MAX; i++) {
        g_autofree char *process = g_strdup_printf("%s/%u", tree->root, i);

        g_assert_cmpint(g_mkdir(process, 0700), ==, 0);
    }
    found = find(tree, SUSPECTS_STUCK);
    g_assert_true(found->complete);
    suspects_free(found);
    rig_daemon(tree, "99999", "one too many");
    found = find(tree, SUSPECTS_STUCK);
    g_assert_false(found->complete);
    suspects_free(found);
}

static void fds_and_marks_are_limited(Tree *tree, gconstpointer data)
{
    g_autoptr(GString) marks = g_string_new(NULL);
    Suspects *found = NULL;

    (void)data;
    rig_daemon(tree, "812", "scanner");
    for (unsigned i = 0; i < SUSPECTS_MARKS_MAX; i++)
        g_string_append(marks, "fanotify ino:1 sdev:19 mflags:0 mask:10000 ignored_mask:0\n");
    g_string_append(marks, MARK_DATA);
    rig_listener(tree, "812", 5, marks->str);
    found = find(tree, SUSPECTS_STUCK);
    g_assert_false(found->complete);
    suspects_free(found);
    assert_text(tree, DATA, NULL);

    rig_daemon(tree, "813", "many");
    for (unsigned i = 0; i < SUSPECTS_FDS_MAX; i++) {
        g_autofree char *link = g_strdup_printf("813/fd/%u", i);

        rig_link(tree->root, link, "socket:[1]");
    }
    rig_put(tree->root, "812/fdinfo/5", "fanotify flags:4 event-flags:0\n" MARK_DATA);
    found = find(tree, SUSPECTS_STUCK);
    g_assert_true(found->complete);
    suspects_free(found);
    rig_link(tree->root, "813/fd/9999", "socket:[1]");
    found = find(tree, SUSPECTS_STUCK);
    g_assert_false(found->complete);
    suspects_free(found);
}

static void the_deadline_ends_it(Tree *tree, gconstpointer data)
{
    Suspects *found = NULL;

    (void)data;
    put_task(tree, "80", SYS_splice, "0x3 0x0 0x7 0x0 0x1000 0x0", "S", "0");
    found = find_with(tree, SUSPECTS_STUCK, deadline_in(0));
    g_assert_cmpuint(found->list->len, ==, 0);
    g_assert_false(found->complete);
    suspects_free(found);
}

static void without_procfs_it_is_not_complete(Tree *tree, gconstpointer data)
{
    SuspectsInput *input =
        suspects_input_new("/nonexistent", tree->root, SUSPECTS_STUCK, DEADLINE_NEVER);
    Suspects *found = suspects_find(input);

    (void)data;
    g_assert_false(found->complete);
    suspects_free(found);
    suspects_input_free(input);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define TEST(name, function) g_test_add("/suspects/" name, Tree, NULL, set_up, function, tear_down)
    TEST("listener/marks", marks_of_every_kind);
    TEST("listener/own-files", what_a_listener_has_where);
    TEST("listener/folder", a_folder_of_its_own_counts);
    TEST("listener/namespace", mounts_of_other_namespaces);
    TEST("journal", the_journal_where_it_is_asked_for);
    TEST("writer/calls", calls_that_hold_up);
    TEST("writer/stack", the_stack_tells_a_victim_too);
    TEST("writer/kernel-thread", kernel_threads_are_left_out);
    TEST("loop", a_loop_file_on_what_was_frozen_before);
    TEST("text/order", the_likeliest_come_first);
    TEST("text/threads", several_threads_are_one);
    TEST("limit/found", found_are_limited);
    TEST("limit/processes", processes_are_limited);
    TEST("limit/fds-and-marks", fds_and_marks_are_limited);
    TEST("limit/deadline", the_deadline_ends_it);
    TEST("no-procfs", without_procfs_it_is_not_complete);
    return g_test_run();
}
