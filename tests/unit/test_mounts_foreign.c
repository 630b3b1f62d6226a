/*
 * Tests of sys/mounts over several mount namespaces: folders that look like /proc.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/mounts.h"

#include "procfs_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define OWN                                                                                        \
    "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"                                                         \
    "2 1 0:20 / /proc rw - proc proc rw\n"                                                         \
    "3 1 8:2 / /srv rw - xfs /dev/sda2 rw\n"
/* What every container has. */
#define USUAL                                                                                      \
    "100 99 0:50 / / rw - overlay overlay rw,lowerdir=/l,upperdir=/var/lib/c/diff,workdir=/w\n"    \
    "101 100 0:51 / /proc rw - proc proc rw\n"                                                     \
    "102 100 0:52 / /dev rw - tmpfs tmpfs rw\n"                                                    \
    "103 100 8:1 /etc/hosts /etc/hosts rw - ext4 /dev/sda1 rw\n"

typedef struct {
    char *procfs;
    GPtrArray *mounts;
    char *unseen;
    MountsOptions options;
} Fixture;

static void set_up(Fixture *fixture, gconstpointer data)
{
    (void)data;
    fixture->procfs = rig_new(OWN);
    fixture->options.procfs = fixture->procfs;
}

static void clear_list(Fixture *fixture)
{
    g_clear_pointer(&fixture->mounts, g_ptr_array_unref);
    g_clear_pointer(&fixture->unseen, g_free);
}

static void tear_down(Fixture *fixture, gconstpointer data)
{
    (void)data;
    clear_list(fixture);
    rig_free(fixture->procfs);
}

static void list(Fixture *fixture)
{
    g_autofree char *mountinfo = g_build_filename(fixture->procfs, "self", "mountinfo", NULL);
    g_autoptr(GError) error = NULL;

    clear_list(fixture);
    fixture->options.mountinfo = mountinfo;
    fixture->mounts = mounts_list(&fixture->options, &fixture->unseen, &error);
    g_assert_no_error(error);
}

static const Mount *find(const Fixture *fixture, unsigned major, unsigned minor)
{
    for (unsigned i = 0; i < fixture->mounts->len; i++) {
        const Mount *mount = g_ptr_array_index(fixture->mounts, i);

        if (mount->major == major && mount->minor == minor)
            return mount;
    }
    return NULL;
}

static void container(Fixture *fixture, const char *pid, unsigned inode, const char *more)
{
    g_autofree char *table = g_strconcat(USUAL, more, NULL);

    rig_process(fixture->procfs, pid, inode, "/", table);
}

/* --- tests -------------------------------------------------------------------------------------
 */

static void what_only_a_container_has(Fixture *fixture, gconstpointer data)
{
    const Mount *volume = NULL;

    (void)data;
    container(fixture, "500", 7, "104 100 8:16 / /data rw - ext4 /dev/sdb rw\n");
    container(fixture, "600", 8, "");
    list(fixture);
    g_assert_null(fixture->unseen);
    g_assert_cmpuint(fixture->mounts->len, ==, 4);
    volume = g_ptr_array_index(fixture->mounts, 3);
    g_assert_cmpuint(volume->minor, ==, 16);
    g_assert_cmpint(volume->action, ==, MOUNT_FREEZE);
    g_assert_cmpstr(volume->mountpoint, ==, "/data");
    g_assert_cmpint(volume->mount_id, ==, 104);
    g_assert_false(volume->hidden);
    g_assert_true(volume->where.inode == 7 && volume->where.pid == 500 && volume->where.rooted);
    /* The own namespace's way to what both have. */
    g_assert_true(find(fixture, 8, 1)->where.inode == 0);
    g_assert_cmpuint(find(fixture, 8, 1)->mountpoints->len, ==, 1);
    fixture->options.procfs = NULL;
    list(fixture);
    g_assert_cmpuint(fixture->mounts->len, ==, 3);
}

static void the_best_way_of_several(Fixture *fixture, gconstpointer data)
{
    const Mount *volume = NULL;

    (void)data;
    rig_process(fixture->procfs, "400", 6, "/jail", USUAL);
    container(fixture, "500", 7, "104 100 8:16 /part /a rw - ext4 /dev/sdb rw\n");
    container(fixture, "600", 8,
              "104 100 8:16 / /b rw - ext4 /dev/sdb rw\n"
              "105 104 0:60 / /b rw - tmpfs tmpfs rw\n");
    container(fixture, "700", 9, "106 100 8:16 / /long/er rw - ext4 /dev/sdb rw\n");
    container(fixture, "800", 10, "107 100 8:16 / /short rw - ext4 /dev/sdb rw\n");
    list(fixture);
    volume = find(fixture, 8, 16);
    g_assert_cmpstr(volume->mountpoint, ==, "/short");
    g_assert_true(volume->where.inode == 10);
    g_assert_cmpuint(volume->visible, ==, 3);
    g_assert_cmpuint(volume->mountpoints->len, ==, 4);
    g_assert_cmpstr(g_ptr_array_index(volume->mountpoints, 3), ==, "/b");
}

static void only_mounted_over(Fixture *fixture, gconstpointer data)
{
    (void)data;
    container(fixture, "600", 8,
              "104 100 8:16 / /b rw - ext4 /dev/sdb rw\n"
              "105 104 0:60 / /b rw - tmpfs tmpfs rw\n");
    list(fixture);
    g_assert_true(find(fixture, 8, 16)->hidden);
    g_assert_true(find(fixture, 8, 16)->where.inode == 8);
    g_assert_false(mount_has_mountpoint(find(fixture, 8, 16), "/b"));
}

/* What nobody would look for is left out; what is skipped for a reason is listed with it. */
static void noise_is_left_out(Fixture *fixture, gconstpointer data)
{
    (void)data;
    container(fixture, "500", 7,
              "104 100 0:61 / /nfs rw - nfs4 server:/x rw\n"
              "105 100 7:3 / /snap ro - squashfs /dev/loop3 ro\n");
    list(fixture);
    g_assert_cmpuint(fixture->mounts->len, ==, 5);
    g_assert_true(g_str_has_prefix(find(fixture, 0, 61)->reason, "network"));
    g_assert_cmpstr(find(fixture, 7, 3)->reason, ==, "read-only");
    g_assert_null(find(fixture, 0, 50));
    fixture->options.overlays = true;
    list(fixture);
    g_assert_cmpstr(find(fixture, 0, 50)->upper, ==, "/var/lib/c/diff");
    g_assert_null(find(fixture, 0, 52));
    /* Also where there is nothing else. */
    container(fixture, "500", 7, "");
    list(fixture);
    g_assert_cmpuint(fixture->mounts->len, ==, 4);
    g_assert_nonnull(find(fixture, 0, 50));
}

static void the_own_namespace_has_the_name(Fixture *fixture, gconstpointer data)
{
    g_autofree char *unknown = NULL;

    (void)data;
    container(fixture, "500", 7,
              "104 100 8:16 / /srv rw - ext4 /dev/sdb rw\n"
              "105 100 8:16 / /srv2 rw - ext4 /dev/sdb rw\n"
              "106 100 8:32 / /data rw - ext4 /dev/sdc rw\n");
    container(fixture, "600", 8, "107 100 8:48 / /data rw - ext4 /dev/sdd rw\n");
    list(fixture);
    g_assert_true(mount_has_mountpoint(find(fixture, 8, 2), "/srv"));
    g_assert_false(mount_has_mountpoint(find(fixture, 8, 16), "/srv"));
    g_assert_true(mount_has_mountpoint(find(fixture, 8, 16), "/srv2"));
    g_assert_cmpstr(find(fixture, 8, 16)->mountpoint, ==, "/srv");
    /* A name that two containers have means both. */
    g_assert_true(mount_has_mountpoint(find(fixture, 8, 32), "/data"));
    g_assert_true(mount_has_mountpoint(find(fixture, 8, 48), "/data"));
    g_assert_false(mounts_find_unknown(
        fixture->mounts, (const char *const[]){"/data", "/srv2/", "/nowhere", NULL}, &unknown));
    g_assert_cmpstr(unknown, ==, "/nowhere");
}

static void globs_see_every_namespace(Fixture *fixture, gconstpointer data)
{
    const char *const backup[] = {"/backup", NULL};

    (void)data;
    container(fixture, "500", 7, "104 100 8:16 / /d rw - ext4 /dev/sdb rw\n");
    container(fixture, "600", 8, "105 100 8:16 / /backup rw - ext4 /dev/sdb rw\n");
    container(fixture, "700", 9, "106 100 8:2 / /backup rw - xfs /dev/sda2 rw\n");
    fixture->options.exclude = backup;
    list(fixture);
    g_assert_cmpint(find(fixture, 8, 16)->action, ==, MOUNT_EXCLUDED);
    /* But not to take away what the own namespace has under another name. */
    g_assert_cmpint(find(fixture, 8, 2)->action, ==, MOUNT_FREEZE);
}

static void a_damaged_table_leaves_only_itself_out(Fixture *fixture, gconstpointer data)
{
    (void)data;
    container(fixture, "500", 7, "what is this\n");
    container(fixture, "600", 8, "104 100 8:16 / /data rw - ext4 /dev/sdb rw\n");
    container(fixture, "700", 9, "7 7 nonsense\n");
    list(fixture);
    g_assert_nonnull(find(fixture, 8, 16));
    g_assert_cmpstr(fixture->unseen, ==,
                    "mount namespace of process 500:5: not a line of mountinfo (and 1 more)");
}

static void a_namespace_that_ends_is_no_matter(Fixture *fixture, gconstpointer data)
{
    (void)data;
    rig_process(fixture->procfs, "500", 7, "/", NULL);
    list(fixture);
    g_assert_null(fixture->unseen);
    g_assert_cmpuint(fixture->mounts->len, ==, 3);
}

static void too_many_lines(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GString) table = g_string_new(NULL);

    (void)data;
    for (unsigned i = 0; i <= MOUNTS_MAX; i++)
        g_string_append_printf(table, "%u 1 8:16 / /%u rw - ext4 /dev/sdb rw\n", 200 + i, i);
    rig_process(fixture->procfs, "500", 7, "/", table->str);
    container(fixture, "600", 8, "104 100 8:32 / /data rw - ext4 /dev/sdc rw\n");
    list(fixture);
    g_assert_nonnull(strstr(fixture->unseen, "65537 mounts"));
    g_assert_null(find(fixture, 8, 16));
    g_assert_nonnull(find(fixture, 8, 32));
}

static void too_many_bytes(Fixture *fixture, gconstpointer data)
{
    g_autofree char *path = g_build_filename(fixture->procfs, "500", "mountinfo", NULL);

    (void)data;
    container(fixture, "500", 7, "");
    container(fixture, "600", 8, "104 100 8:16 / /data rw - ext4 /dev/sdb rw\n");
    g_assert_cmpint(truncate(path, (off_t)MOUNTS_FOREIGN_BYTES_MAX + 1), ==, 0);
    list(fixture);
    g_assert_nonnull(strstr(fixture->unseen, "more than 64 MiB"));
    g_assert_null(find(fixture, 8, 16));
}

/* Of this thread: what a bound is for, whatever else the machine does. */
static int64_t cpu_us(void)
{
    struct timespec now;

    g_assert_cmpint(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now), ==, 0);
    return now.tv_sec * G_USEC_PER_SEC + now.tv_nsec / 1000;
}

static void five_hundred_containers(Fixture *fixture, gconstpointer data)
{
    int64_t start = 0;

    (void)data;
    for (unsigned i = 0; i < 500; i++) {
        g_autofree char *pid = g_strdup_printf("%u", 1000 + i);
        g_autoptr(GString) table = g_string_new(NULL);

        for (unsigned k = 0; k < 19; k++)
            g_string_append_printf(table, "%u 1 0:%u / /run/%u rw - tmpfs tmpfs rw\n", k + 2,
                                   100 + i * 20 + k, k);
        g_string_append_printf(table, "90 1 259:%u / /data rw - ext4 /dev/x rw\n", i);
        rig_process(fixture->procfs, pid, 5000 + i, "/", table->str);
    }
    start = cpu_us();
    list(fixture);
    g_test_message("500 namespaces of 20 mounts: %.1f ms", (double)(cpu_us() - start) / 1000);
    g_assert_cmpint(cpu_us() - start, <, 2 * G_USEC_PER_SEC);
    g_assert_cmpuint(fixture->mounts->len, ==, 503);
}

#define add(name, function)                                                                        \
    g_test_add("/mounts/foreign/" name, Fixture, NULL, set_up, function, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("what_only_a_container_has", what_only_a_container_has);
    add("the_best_way_of_several", the_best_way_of_several);
    add("only_mounted_over", only_mounted_over);
    add("noise_is_left_out", noise_is_left_out);
    add("the_own_namespace_has_the_name", the_own_namespace_has_the_name);
    add("globs_see_every_namespace", globs_see_every_namespace);
    add("a_damaged_table_leaves_only_itself_out", a_damaged_table_leaves_only_itself_out);
    add("a_namespace_that_ends_is_no_matter", a_namespace_that_ends_is_no_matter);
    add("too_many_lines", too_many_lines);
    add("too_many_bytes", too_many_bytes);
    add("five_hundred_containers", five_hundred_containers);
    return g_test_run();
}
