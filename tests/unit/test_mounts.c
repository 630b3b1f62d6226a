/*
 * Tests of sys/mounts: tables of real-looking systems in data/, and invented large ones.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/mount_kind.h"
#include "sys/mounts.h"

#include <glib/gstdio.h>
#include <string.h>

static GPtrArray *list_with(const char *name, const char *const *include,
                            const char *const *exclude)
{
    g_autofree char *path = g_test_build_filename(G_TEST_DIST, "data", name, NULL);
    MountsOptions options = {.mountinfo = path, .include = include, .exclude = exclude};
    g_autoptr(GError) error = NULL;
    GPtrArray *mounts = mounts_list(&options, NULL, &error);

    g_assert_no_error(error);
    g_assert_nonnull(mounts);
    return mounts;
}

static GPtrArray *list(const char *name)
{
    return list_with(name, NULL, NULL);
}

static const Mount *by_number(GPtrArray *mounts, unsigned major, unsigned minor)
{
    const Mount *found = NULL;

    for (unsigned i = 0; i < mounts->len; i++) {
        const Mount *mount = g_ptr_array_index(mounts, i);

        if (mount->major == major && mount->minor == minor) {
            g_assert_null(found);
            found = mount;
        }
    }
    g_assert_nonnull(found);
    return found;
}

static unsigned count(GPtrArray *mounts, MountAction action)
{
    unsigned found = 0;

    for (unsigned i = 0; i < mounts->len; i++)
        found += ((const Mount *)g_ptr_array_index(mounts, i))->action == action;
    return found;
}

static char *points(const Mount *mount)
{
    g_autoptr(GPtrArray) copy = g_ptr_array_new();

    for (unsigned i = 0; i < mount->mountpoints->len; i++)
        g_ptr_array_add(copy, g_ptr_array_index(mount->mountpoints, i));
    g_ptr_array_add(copy, NULL);
    return g_strjoinv(" ", (char **)copy->pdata);
}

#define assert_points(mount, expected)                                                             \
    do {                                                                                           \
        g_autofree char *points_ = points(mount);                                                  \
        g_assert_cmpstr(points_, ==, expected);                                                    \
    } while (0)

static void debian_vm(void)
{
    g_autoptr(GPtrArray) mounts = list("mountinfo-debian-vm");
    const Mount *root = by_number(mounts, 254, 1);
    const Mount *efi = by_number(mounts, 254, 15);

    g_assert_cmpuint(mounts->len, ==, 14);
    g_assert_cmpuint(count(mounts, MOUNT_FREEZE), ==, 2);
    g_assert_cmpuint(count(mounts, MOUNT_SYNC_ONLY), ==, 1);
    g_assert_cmpuint(count(mounts, MOUNT_SKIP), ==, 11);
    g_assert_cmpstr(root->mountpoint, ==, "/");
    g_assert_cmpint(root->mount_id, ==, 26);
    g_assert_cmpstr(root->device, ==, "/dev/vda1");
    g_assert_cmpstr(root->type, ==, "ext4");
    g_assert_null(root->reason);
    g_assert_cmpuint(root->rank, ==, 0);
    g_assert_cmpuint(root->carriers->len, ==, 0);
    g_assert_cmpint(efi->action, ==, MOUNT_SYNC_ONLY);
    g_assert_cmpstr(efi->reason, ==, "its type cannot be frozen");
    g_assert_cmpint(by_number(mounts, 254, 16)->action, ==, MOUNT_FREEZE);
    /* Table order. */
    g_assert_cmpstr(((const Mount *)g_ptr_array_index(mounts, 0))->type, ==, "sysfs");
    /* An automount point with its filesystem on top of it. */
    g_assert_true(by_number(mounts, 0, 28)->hidden);
    g_assert_false(by_number(mounts, 0, 40)->hidden);
}

static void btrfs_is_one(void)
{
    g_autoptr(GPtrArray) mounts = list("mountinfo-btrfs");
    const Mount *btrfs = by_number(mounts, 0, 33);

    g_assert_cmpuint(mounts->len, ==, 3);
    g_assert_cmpint(btrfs->action, ==, MOUNT_FREEZE);
    g_assert_cmpstr(btrfs->mountpoint, ==, "/");
    assert_points(btrfs, "/ /home /.snapshots");
    g_assert_cmpuint(btrfs->visible, ==, 3);
    g_assert_true(mount_has_mountpoint(btrfs, "/home"));
    g_assert_true(mount_has_mountpoint(btrfs, "/home//"));
    g_assert_false(mount_has_mountpoint(btrfs, "/hom"));
    g_assert_false(mount_has_mountpoint(btrfs, "/home/www"));
}

static void bind_mounts_are_one(void)
{
    g_autoptr(GPtrArray) mounts = list("mountinfo-btrfs");
    const Mount *data = by_number(mounts, 8, 17);

    /* Whole before part, though a part has the shortest path; then the shorter. */
    g_assert_cmpstr(data->mountpoint, ==, "/mnt/data");
    g_assert_cmpint(data->mount_id, ==, 36);
    assert_points(data, "/mnt/data /srv/pool /mnt/long/way/down /home/www");
    g_assert_cmpint(data->action, ==, MOUNT_FREEZE);
}

static void names_are_decoded(void)
{
    g_autoptr(GPtrArray) mounts = list("mountinfo-escaped");

    g_assert_cmpstr(by_number(mounts, 8, 2)->mountpoint, ==, "/srv/My Files");
    g_assert_cmpstr(by_number(mounts, 8, 2)->device, ==, "/dev/disk two");
    g_assert_cmpstr(by_number(mounts, 8, 3)->mountpoint, ==, "/srv/tab\tnew\nline");
    g_assert_cmpstr(by_number(mounts, 8, 4)->mountpoint, ==, "/srv/back\\slash#hash");
    g_assert_cmpstr(by_number(mounts, 8, 5)->mountpoint, ==, "/srv/utf8-größe");
}

static void read_only_is_the_superblocks(void)
{
    g_autoptr(GPtrArray) mounts = list("mountinfo-readonly");
    static const unsigned READ_ONLY[][2] = {{8, 2}, {8, 4}, {7, 1}, {11, 0}, {7, 2}};

    g_assert_cmpint(by_number(mounts, 8, 1)->action, ==, MOUNT_FREEZE);
    g_assert_cmpint(by_number(mounts, 8, 3)->action, ==, MOUNT_FREEZE);
    for (unsigned i = 0; i < G_N_ELEMENTS(READ_ONLY); i++) {
        const Mount *mount = by_number(mounts, READ_ONLY[i][0], READ_ONLY[i][1]);

        g_assert_cmpint(mount->action, ==, MOUNT_SKIP);
        g_assert_cmpstr(mount->reason, ==, "read-only");
    }
}

static void network_fuse_and_strangers(void)
{
    g_autoptr(GPtrArray) mounts = list("mountinfo-network");

    for (unsigned minor = 50; minor <= 55; minor++)
        g_assert_true(g_str_has_prefix(by_number(mounts, 0, minor)->reason, "network filesystem"));
    g_assert_true(g_str_has_prefix(by_number(mounts, 0, 56)->reason, "FUSE"));
    g_assert_true(g_str_has_prefix(by_number(mounts, 8, 6)->reason, "FUSE"));
    g_assert_true(g_str_has_prefix(by_number(mounts, 0, 57)->reason, "FUSE"));
    g_assert_true(g_str_has_prefix(by_number(mounts, 0, 58)->reason, "ZFS cannot be frozen"));
    g_assert_true(g_str_has_prefix(by_number(mounts, 0, 59)->reason, "ZFS cannot be frozen"));
    g_assert_true(g_str_has_prefix(by_number(mounts, 0, 60)->reason, "autofs"));
    g_assert_cmpstr(by_number(mounts, 0, 61)->reason, ==, "on no block device");
    g_assert_cmpint(by_number(mounts, 259, 7)->action, ==, MOUNT_FREEZE);
    g_assert_cmpint(by_number(mounts, 8, 7)->action, ==, MOUNT_SYNC_ONLY);
    g_assert_cmpint(by_number(mounts, 0, 62)->action, ==, MOUNT_FREEZE);
    g_assert_cmpuint(count(mounts, MOUNT_FREEZE), ==, 3);
    g_assert_cmpuint(count(mounts, MOUNT_SYNC_ONLY), ==, 1);
}

static void over_mounted(void)
{
    g_autoptr(GPtrArray) mounts = list("mountinfo-overmounted");
    const Mount *seen_elsewhere = by_number(mounts, 8, 5);
    g_autofree char *unknown = NULL;

    /* Under an equal path. */
    g_assert_true(by_number(mounts, 8, 2)->hidden);
    g_assert_cmpint(by_number(mounts, 8, 2)->action, ==, MOUNT_FREEZE);
    g_assert_cmpstr(by_number(mounts, 8, 2)->mountpoint, ==, "/data");
    g_assert_cmpuint(by_number(mounts, 8, 2)->visible, ==, 0);
    g_assert_false(by_number(mounts, 8, 4)->hidden);
    /* On a mount that is; the same path on the upper one is seen. */
    g_assert_true(by_number(mounts, 8, 3)->hidden);
    g_assert_false(by_number(mounts, 8, 6)->hidden);
    g_assert_cmpint(by_number(mounts, 8, 6)->mount_id, ==, 46);
    /* Under a mount on a parent folder, in the same parent mount. */
    g_assert_true(by_number(mounts, 8, 7)->hidden);
    g_assert_false(by_number(mounts, 0, 71)->hidden);
    /* A shorter path that is hidden loses. */
    g_assert_cmpstr(seen_elsewhere->mountpoint, ==, "/long/path/seen");
    g_assert_cmpint(seen_elsewhere->mount_id, ==, 43);
    g_assert_false(seen_elsewhere->hidden);
    assert_points(seen_elsewhere, "/long/path/seen /x");
    g_assert_cmpuint(seen_elsewhere->visible, ==, 1);
    g_assert_false(mount_has_mountpoint(seen_elsewhere, "/x"));
    g_assert_true(by_number(mounts, 0, 72)->hidden);
    g_assert_false(by_number(mounts, 8, 8)->hidden);
    /* A name that only begins alike is no parent. */
    g_assert_false(by_number(mounts, 8, 9)->hidden);
    /* Who names a path means what is seen there. */
    g_assert_false(mount_has_mountpoint(by_number(mounts, 8, 2), "/data"));
    g_assert_true(mount_has_mountpoint(by_number(mounts, 8, 4), "/data"));
    g_assert_false(mounts_find_unknown(
        mounts, (const char *const[]){"/data/", "/opt/deep/er", "/x", "/nowhere", NULL}, &unknown));
    g_assert_cmpstr(unknown, ==, "/opt/deep/er, /nowhere");
}

static void container(void)
{
    g_autoptr(GPtrArray) mounts = list("mountinfo-container");
    const Mount *overlay = by_number(mounts, 0, 262);
    const Mount *host = by_number(mounts, 254, 1);

    g_assert_cmpint(overlay->action, ==, MOUNT_SKIP);
    g_assert_cmpstr(overlay->reason, ==, "overlay: its upper filesystem is frozen");
    g_assert_cmpstr(overlay->upper, ==, "/var/lib/docker/overlay2/c0/diff");
    /* Only parts of it are mounted, and those are files. */
    g_assert_cmpint(host->action, ==, MOUNT_FREEZE);
    g_assert_cmpstr(host->mountpoint, ==, "/etc/hosts");
    g_assert_null(host->upper);
    g_assert_cmpint(by_number(mounts, 254, 32)->action, ==, MOUNT_FREEZE);
    /* The parent of the root is not in the table, and nothing is hidden by that. */
    for (unsigned i = 0; i < mounts->len; i++)
        g_assert_false(((const Mount *)g_ptr_array_index(mounts, i))->hidden);
}

static void globs(void)
{
    const char *const xfs[] = {"xfs", NULL};
    const char *const srv[] = {"/srv*", NULL};
    const char *const device[] = {"/dev/vd?1", NULL};
    const char *const every[] = {"*", NULL};
    const char *const nothing[] = {NULL};
    g_autoptr(GPtrArray) by_type = list_with("mountinfo-debian-vm", NULL, xfs);
    g_autoptr(GPtrArray) by_path = list_with("mountinfo-debian-vm", srv, NULL);
    g_autoptr(GPtrArray) by_device = list_with("mountinfo-debian-vm", NULL, device);
    g_autoptr(GPtrArray) both = list_with("mountinfo-debian-vm", every, srv);
    g_autoptr(GPtrArray) none = list_with("mountinfo-debian-vm", nothing, nothing);

    g_assert_cmpint(by_number(by_type, 254, 16)->action, ==, MOUNT_EXCLUDED);
    g_assert_cmpstr(by_number(by_type, 254, 16)->reason, ==, "excluded by configuration");
    g_assert_cmpint(by_number(by_type, 254, 1)->action, ==, MOUNT_FREEZE);

    g_assert_cmpint(by_number(by_path, 254, 16)->action, ==, MOUNT_FREEZE);
    g_assert_cmpint(by_number(by_path, 254, 1)->action, ==, MOUNT_EXCLUDED);
    g_assert_cmpstr(by_number(by_path, 254, 1)->reason, ==, "not included by configuration");
    g_assert_cmpint(by_number(by_path, 254, 15)->action, ==, MOUNT_EXCLUDED);
    /* What was nothing to do stays so, with its own reason. */
    g_assert_cmpint(by_number(by_path, 0, 19)->action, ==, MOUNT_SKIP);

    g_assert_cmpint(by_number(by_device, 254, 1)->action, ==, MOUNT_EXCLUDED);
    g_assert_cmpint(by_number(by_device, 254, 16)->action, ==, MOUNT_FREEZE);

    g_assert_cmpint(by_number(both, 254, 16)->action, ==, MOUNT_EXCLUDED);
    g_assert_cmpint(by_number(both, 254, 1)->action, ==, MOUNT_FREEZE);

    g_assert_cmpuint(count(none, MOUNT_EXCLUDED), ==, 0);
}

static void part_does_not_exclude_the_whole(void)
{
    const char *const pods[] = {"/var/lib/kubelet/pods/*", NULL};
    g_autoptr(GPtrArray) excluded = list_with("mountinfo-node", NULL, pods);
    g_autoptr(GPtrArray) included = list_with("mountinfo-node", pods, NULL);
    const char *const hosts[] = {"/etc/hosts", NULL};
    g_autoptr(GPtrArray) parts_only = list_with("mountinfo-container", NULL, hosts);

    g_assert_cmpint(by_number(excluded, 254, 1)->action, ==, MOUNT_FREEZE);
    g_assert_cmpint(by_number(excluded, 254, 48)->action, ==, MOUNT_EXCLUDED);
    g_assert_cmpint(by_number(included, 254, 1)->action, ==, MOUNT_FREEZE);
    g_assert_cmpint(by_number(parts_only, 254, 1)->action, ==, MOUNT_EXCLUDED);
}

static void unknown_names(void)
{
    g_autoptr(GPtrArray) mounts = list("mountinfo-debian-vm");
    g_autofree char *unknown = NULL;
    const char *const good[] = {"/", "/srv/", "/boot/efi", NULL};
    const char *const bad[] = {"/nope", "/", "srv", "", NULL};

    g_assert_true(mounts_find_unknown(mounts, good, &unknown));
    g_assert_null(unknown);
    g_assert_false(mounts_find_unknown(mounts, bad, &unknown));
    g_assert_cmpstr(unknown, ==, "/nope, srv, ");
}

static void kinds(void)
{
    static const struct {
        const char *type;
        bool read_only;
        unsigned major;
        MountAction action;
    } CASES[] = {
        {"ext4", false, 8, MOUNT_FREEZE},      {"ext4", true, 8, MOUNT_SKIP},
        {"btrfs", false, 0, MOUNT_FREEZE},     {"btrfs", true, 0, MOUNT_SKIP},
        {"bcachefs", false, 0, MOUNT_FREEZE},  {"xfs", false, 0, MOUNT_SKIP},
        {"f2fs", false, 8, MOUNT_FREEZE},      {"vfat", false, 8, MOUNT_SYNC_ONLY},
        {"msdos", false, 8, MOUNT_SYNC_ONLY},  {"ntfs3", false, 8, MOUNT_SYNC_ONLY},
        {"fuse", false, 0, MOUNT_SKIP},        {"fuse.s3fs", false, 0, MOUNT_SKIP},
        {"fuseblk", false, 8, MOUNT_SKIP},     {"fusectl", false, 0, MOUNT_SKIP},
        {"fusefs-ng", false, 8, MOUNT_FREEZE}, {"smb3", false, 0, MOUNT_SKIP},
        {"afs", false, 0, MOUNT_SKIP},         {"tmpfs", false, 0, MOUNT_SKIP},
        {"cgroup2", false, 0, MOUNT_SKIP},     {"overlay", false, 0, MOUNT_SKIP},
        {"zfs", false, 0, MOUNT_SKIP},         {"squashfs", false, 7, MOUNT_SKIP},
        {"", false, 8, MOUNT_FREEZE},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(CASES); i++) {
        const char *reason = "unset";

        g_test_message("%s", CASES[i].type);
        g_assert_cmpint(mount_kind(CASES[i].type, CASES[i].read_only, CASES[i].major, &reason), ==,
                        CASES[i].action);
        g_assert_cmpint(reason == NULL, ==, CASES[i].action == MOUNT_FREEZE);
    }
}

/* --- what is wrong, and what is large ----------------------------------------------------------
 */

static GPtrArray *list_text(const char *text, GError **error)
{
    g_autofree char *path = g_build_filename(g_get_tmp_dir(), "mounts-XXXXXX", NULL);
    int fd = g_mkstemp(path);
    MountsOptions options = {.mountinfo = path};
    GPtrArray *mounts = NULL;

    g_assert_cmpint(fd, >=, 0);
    g_assert_true(g_close(fd, NULL));
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    mounts = mounts_list(&options, NULL, error);
    g_unlink(path);
    return mounts;
}

static void broken_line_is_an_error(void)
{
    g_autofree char *path = g_test_build_filename(G_TEST_DIST, "data", "mountinfo-broken", NULL);
    MountsOptions options = {.mountinfo = path};
    g_autoptr(GError) error = NULL;

    g_assert_null(mounts_list(&options, NULL, &error));
    g_assert_error(error, AGENT_ERROR, AGENT_ERROR_FAILED);
    g_assert_nonnull(strstr(error->message, "mountinfo-broken:2: "));
}

static void other_formats_are_an_error(void)
{
    static const char *const TEXTS[] = {
        "/dev/sda1 / ext4 rw 0 0\n",
        "26 1 0:0 / / rw - ext4 /dev/sda1 rw\n",
        "26 1 8:1 / relative rw - ext4 /dev/sda1 rw\n",
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(TEXTS); i++) {
        g_autoptr(GError) error = NULL;
        GPtrArray *mounts = list_text(TEXTS[i], &error);

        g_test_message("%s", TEXTS[i]);
        g_assert_null(mounts);
        g_assert_error(error, AGENT_ERROR, AGENT_ERROR_FAILED);
    }
}

static void missing_file_is_an_error(void)
{
    MountsOptions options = {.mountinfo = "/nonexistent/mountinfo"};
    g_autoptr(GError) error = NULL;

    g_assert_null(mounts_list(&options, NULL, &error));
    g_assert_error(error, AGENT_ERROR, AGENT_ERROR_UNAVAILABLE);
}

/* Parents in a circle, a mount that is its own parent, and one number twice: no endless walk. */
static void circles_end(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) mounts = list_text("5 99 8:1 / / rw - ext4 /dev/a rw\n"
                                            "6 5 8:2 / / rw - ext4 /dev/b rw\n"
                                            "5 6 8:3 / / rw - ext4 /dev/c rw\n"
                                            "7 8 8:4 / /x rw - ext4 /dev/d rw\n"
                                            "8 7 8:5 / /x rw - ext4 /dev/e rw\n"
                                            "9 9 8:6 / /y rw - ext4 /dev/f rw\n",
                                            &error);

    g_assert_no_error(error);
    g_assert_cmpuint(mounts->len, ==, 6);
    g_assert_true(by_number(mounts, 8, 4)->hidden);
    g_assert_true(by_number(mounts, 8, 5)->hidden);
}

static GString *table_of(unsigned length)
{
    GString *text = g_string_new("1 0 8:1 / / rw - ext4 /dev/sda1 rw\n");

    /* Half bind mounts of one filesystem, half filesystems of their own, each on one before. */
    for (unsigned i = 2; i <= length; i++) {
        if (i % 2)
            g_string_append_printf(
                text, "%u 1 8:1 /sub /var/lib/pods/%u/mount rw - ext4 /dev/sda1 rw\n", i, i);
        else
            g_string_append_printf(text,
                                   "%u %u 259:%u / /var/lib/pods/%u/mount rw - xfs /dev/x rw\n", i,
                                   i > 2 ? i - 1 : 1, i, i > 2 ? i - 1 : 1);
    }
    return text;
}

/* Of this thread: what a bound is for, whatever else the machine does. */
static int64_t cpu_us(void)
{
    struct timespec now;

    g_assert_cmpint(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now), ==, 0);
    return now.tv_sec * G_USEC_PER_SEC + now.tv_nsec / 1000;
}

static void ten_thousand(void)
{
    g_autoptr(GString) text = table_of(10000);
    g_autoptr(GError) error = NULL;
    g_autofree char *unknown = NULL;
    int64_t start = cpu_us();
    g_autoptr(GPtrArray) mounts = list_text(text->str, &error);
    int64_t took = cpu_us() - start;

    g_assert_no_error(error);
    g_assert_cmpuint(mounts->len, ==, 5001);
    g_assert_cmpuint(by_number(mounts, 8, 1)->mountpoints->len, ==, 5000);
    /* Every bind mount lies under a filesystem mounted upon it. */
    g_assert_cmpuint(by_number(mounts, 8, 1)->visible, ==, 1);
    g_assert_false(mounts_find_unknown(mounts, (const char *const[]){"/none", NULL}, &unknown));
    g_test_message("10 000 mounts: %.1f ms", (double)took / 1000);
    g_assert_cmpint(took, <, 2 * G_USEC_PER_SEC);
}

static void limit(void)
{
    g_autoptr(GString) text = table_of(MOUNTS_MAX);
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) mounts = list_text(text->str, &error);

    g_assert_no_error(error);
    g_assert_nonnull(mounts);
    g_string_append(text, "99999999 1 8:9 / /one/more rw - ext4 /dev/y rw\n");
    g_assert_null(list_text(text->str, &error));
    g_assert_error(error, AGENT_ERROR, AGENT_ERROR_LIMIT);
    g_assert_nonnull(strstr(error->message, "65537 mounts"));
}

static void this_system(void)
{
    MountsOptions options = {.mountinfo = "/proc/self/mountinfo"};
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) mounts = mounts_list(&options, NULL, &error);
    bool root = false;

    g_assert_no_error(error);
    for (unsigned i = 0; i < mounts->len; i++)
        root = root || mount_has_mountpoint(g_ptr_array_index(mounts, i), "/");
    g_assert_true(root);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/mounts/debian_vm", debian_vm);
    g_test_add_func("/mounts/btrfs_is_one", btrfs_is_one);
    g_test_add_func("/mounts/bind_mounts_are_one", bind_mounts_are_one);
    g_test_add_func("/mounts/names_are_decoded", names_are_decoded);
    g_test_add_func("/mounts/read_only_is_the_superblocks", read_only_is_the_superblocks);
    g_test_add_func("/mounts/network_fuse_and_strangers", network_fuse_and_strangers);
    g_test_add_func("/mounts/over_mounted", over_mounted);
    g_test_add_func("/mounts/container", container);
    g_test_add_func("/mounts/globs", globs);
    g_test_add_func("/mounts/part_does_not_exclude_the_whole", part_does_not_exclude_the_whole);
    g_test_add_func("/mounts/unknown_names", unknown_names);
    g_test_add_func("/mounts/kinds", kinds);
    g_test_add_func("/mounts/broken_line_is_an_error", broken_line_is_an_error);
    g_test_add_func("/mounts/other_formats_are_an_error", other_formats_are_an_error);
    g_test_add_func("/mounts/missing_file_is_an_error", missing_file_is_an_error);
    g_test_add_func("/mounts/circles_end", circles_end);
    g_test_add_func("/mounts/ten_thousand", ten_thousand);
    g_test_add_func("/mounts/limit", limit);
    g_test_add_func("/mounts/this_system", this_system);
    return g_test_run();
}
