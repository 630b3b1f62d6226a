/*
 * test_graph: the order of what stands on what, as sys/graph reads it from sysfs.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "graph_rig.h"

static void independent_share_a_rank(Fixture *fixture, gconstpointer data)
{
    (void)data;
    device(fixture, "vda", "254:0");
    device(fixture, "vda/vda1", "254:1");
    device(fixture, "vda/vda2", "254:2");
    device(fixture, "vdb", "254:16");
    rank(fixture, "1 0 254:1 / / rw - ext4 /dev/vda1 rw\n"
                  "2 1 254:2 / /home rw - ext4 /dev/vda2 rw\n"
                  "3 1 254:16 / /srv rw - xfs /dev/vdb rw\n"
                  "4 1 0:20 / /proc rw - proc proc rw\n");
    assert_rank(fixture, "/home", 0, "254:0");
    assert_rank(fixture, "/srv", 0, "");
    assert_rank(fixture, "/", 1, "254:0");
    assert_rank(fixture, "/proc", 0, "");
}

static void root_alone(Fixture *fixture, gconstpointer data)
{
    (void)data;
    rank(fixture, "1 0 254:1 / / rw - ext4 /dev/vda1 rw\n2 1 0:20 / /proc rw - proc proc rw\n");
    assert_rank(fixture, "/", 0, "");
}

/* data/mountinfo-stacked: LVM over LUKS, RAID, loops upon each other, on an overlay, partitions. */
static void build_stack(Fixture *fixture)
{
    device(fixture, "sda", "8:0");
    device(fixture, "sda/sda1", "8:1");
    device(fixture, "sda/sda2", "8:2");
    device(fixture, "sdb", "8:16");
    device(fixture, "sdc", "8:32");
    device(fixture, "sdc/sdc1", "8:33");
    device(fixture, "dm-0", "253:0");
    device(fixture, "dm-1", "253:1");
    device(fixture, "dm-2", "253:2");
    device(fixture, "md0", "9:0");
    slave(fixture, "dm-0", "sda/sda2");
    slave(fixture, "dm-1", "sda/sda2");
    slave(fixture, "dm-2", "dm-1");
    slave(fixture, "md0", "sdb");
    slave(fixture, "md0", "sda");
    loop(fixture, "loop0", "7:0", "/images/xfs.img");
    loop(fixture, "loop1", "7:1", "/raid/disk images/a.img");
    loop(fixture, "loop2", "7:2", "/raid/loop/deeper/b.img (deleted)");
    loop(fixture, "loop3", "7:3", "/home/user/c.img");
    device(fixture, "loop3/loop3p1", "259:1");
    loop(fixture, "loop4", "7:4", "/merged/d.img");
    loop(fixture, "loop5", "7:5", "/raid/loop/core.snap");
}

static void stacked(Fixture *fixture, gconstpointer data)
{
    g_autofree char *path = g_test_build_filename(G_TEST_DIST, "data", "mountinfo-stacked", NULL);

    (void)data;
    build_stack(fixture);
    rank_file(fixture, path);
    assert_rank(fixture, "/mnt/nested", 0, "7:1");
    assert_rank(fixture, "/raid/loop", 1, "9:0");
    assert_rank(fixture, "/raid", 2, "8:0 8:16");
    assert_rank(fixture, "/images/mnt", 0, "253:0");
    assert_rank(fixture, "/mnt/part", 0, "7:3");
    assert_rank(fixture, "/mnt/on-overlay", 0, "0:80");
    assert_rank(fixture, "/merged", 1, "253:2");
    assert_rank(fixture, "/home", 1, "253:1");
    assert_rank(fixture, "/boot", 0, "8:0");
    assert_rank(fixture, "/plain", 0, "8:32");
    /* A read-only image does not raise what carries it. */
    assert_rank(fixture, "/snap/core", 0, "7:1");
    assert_rank(fixture, "/", 3, "8:2");
}

/* The filesystem was mounted before its carrier, as after `mount --move`. */
static void order_of_the_table_does_not_matter(Fixture *fixture, gconstpointer data)
{
    (void)data;
    device(fixture, "sda", "8:0");
    device(fixture, "sdb", "8:16");
    loop(fixture, "loop0", "7:0", "/zz/disk.img");
    rank(fixture, "1 0 8:0 / / rw - ext4 /dev/sda rw\n"
                  "2 1 7:0 / /aa rw - ext4 /dev/loop0 rw\n"
                  "3 1 8:16 / /zz rw - ext4 /dev/sdb rw\n");
    assert_rank(fixture, "/aa", 0, "8:16");
    assert_rank(fixture, "/zz", 1, "");
    rank(fixture, "1 0 8:0 / / rw - ext4 /dev/sda rw\n"
                  "2 1 8:16 / /zz rw - ext4 /dev/sdb rw\n"
                  "3 1 7:0 / /aa rw - ext4 /dev/loop0 rw\n");
    assert_rank(fixture, "/aa", 0, "8:16");
    assert_rank(fixture, "/zz", 1, "");
    assert_rank(fixture, "/", 2, "");
}

static void root_on_a_loop_goes_first(Fixture *fixture, gconstpointer data)
{
    (void)data;
    device(fixture, "sda", "8:0");
    device(fixture, "sdb", "8:16");
    loop(fixture, "loop0", "7:0", "/host/root.disk");
    rank(fixture, "1 0 7:0 / / rw - ext4 /dev/loop0 rw\n"
                  "2 1 8:0 / /host rw - ext4 /dev/sda rw\n"
                  "3 1 8:16 / /srv rw - ext4 /dev/sdb rw\n");
    assert_rank(fixture, "/", 0, "8:0");
    assert_rank(fixture, "/host", 1, "");
    /* What carries it is never frozen: last again. */
    rank(fixture, "1 0 7:0 / / rw - ext4 /dev/loop0 rw\n"
                  "2 1 8:0 / /host rw - iso9660 /dev/sda ro\n"
                  "3 1 8:16 / /srv rw - ext4 /dev/sdb rw\n");
    assert_rank(fixture, "/", 1, "8:0");
}

/* An image mounted over its own folder shows a path inside itself. */
static void image_over_its_own_folder(Fixture *fixture, gconstpointer data)
{
    (void)data;
    device(fixture, "sda", "8:0");
    device(fixture, "sdb", "8:16");
    loop(fixture, "loop0", "7:0", "/data/disk.img");
    rank(fixture, "1 0 8:0 / / rw - ext4 /dev/sda rw\n"
                  "2 1 7:0 / /data rw - ext4 /dev/loop0 rw\n");
    assert_rank(fixture, "/data", 0, "8:0");
    assert_rank(fixture, "/", 1, "");
    /* The carrier is what is hidden there, also if it is seen elsewhere. */
    rank(fixture, "1 0 8:0 / / rw - ext4 /dev/sda rw\n"
                  "2 1 8:16 / /elsewhere rw - ext4 /dev/sdb rw\n"
                  "3 1 8:16 / /data rw - ext4 /dev/sdb rw\n"
                  "4 3 7:0 / /data rw - ext4 /dev/loop0 rw\n");
    assert_rank(fixture, "/data", 0, "8:16");
    assert_rank(fixture, "/elsewhere", 1, "");
}

static void cycle_is_cut(Fixture *fixture, gconstpointer data)
{
    (void)data;
    device(fixture, "sda", "8:0");
    device(fixture, "sdb", "8:16");
    loop(fixture, "loop0", "7:0", "/b/disk.img");
    loop(fixture, "loop1", "7:1", "/a/disk.img");
    loop(fixture, "loop2", "7:2", "/c/disk.img");
    rank(fixture, "1 0 8:0 / / rw - ext4 /dev/sda rw\n"
                  "2 1 7:0 / /a rw - ext4 /dev/loop0 rw\n"
                  "3 1 7:1 / /b rw - ext4 /dev/loop1 rw\n"
                  "4 1 7:2 / /d rw - ext4 /dev/loop2 rw\n"
                  "5 1 8:16 / /c rw - ext4 /dev/sdb rw\n");
    assert_rank(fixture, "/a", 0, "7:1");
    assert_rank(fixture, "/b", 1, "7:0");
    assert_rank(fixture, "/d", 0, "8:16");
    assert_rank(fixture, "/c", 1, "");
    assert_rank(fixture, "/", 2, "");
}

/* Devices that sit on each other, a damaged sysfs, end the walk. */
static void device_cycle_ends(Fixture *fixture, gconstpointer data)
{
    (void)data;
    device(fixture, "dm-0", "253:0");
    device(fixture, "dm-1", "253:1");
    slave(fixture, "dm-0", "dm-1");
    slave(fixture, "dm-1", "dm-0");
    put(fixture, "devices/dm-2/slaves/x", "dev", "not a number\n");
    put_link(fixture, "dev/block/253:2", "dm-2");
    rank(fixture, "1 0 253:0 / / rw - ext4 /dev/dm-0 rw\n"
                  "2 1 253:2 / /x rw - ext4 /dev/dm-2 rw\n"
                  "3 1 99:9 / /unknown rw - ext4 /dev/gone rw\n");
    assert_rank(fixture, "/", 1, "253:1");
    assert_rank(fixture, "/x", 0, "");
    assert_rank(fixture, "/unknown", 0, "");
}

/* `depth` dm devices, the lowest of them over a loop file on /srv. */
static void build_tower(Fixture *fixture, unsigned depth)
{
    g_autofree char *below = g_strdup("loop0");

    loop(fixture, "loop0", "7:0", "/srv/disk.img");
    for (unsigned i = 1; i <= depth; i++) {
        g_autofree char *name = g_strdup_printf("dm-%u", i);
        g_autofree char *number = g_strdup_printf("253:%u", i);

        device(fixture, name, number);
        slave(fixture, name, below);
        g_free(below);
        below = g_strdup(name);
    }
}

static void depth_limit(Fixture *fixture, gconstpointer data)
{
    static const char *const SRV = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
                                   "2 1 8:2 / /srv rw - ext4 /dev/sda2 rw\n";
    g_autofree char *within =
        g_strdup_printf("%s3 1 253:%u / /top rw - ext4 /dev/dm rw\n", SRV, GRAPH_DEPTH_MAX - 1);
    g_autofree char *beyond =
        g_strdup_printf("%s3 1 253:%u / /top rw - ext4 /dev/dm rw\n", SRV, GRAPH_DEPTH_MAX);

    (void)data;
    build_tower(fixture, GRAPH_DEPTH_MAX);
    rank(fixture, within);
    g_assert_cmpuint(at(fixture, "/srv")->rank, ==, 1);
    rank(fixture, beyond);
    g_assert_cmpuint(at(fixture, "/srv")->rank, ==, 0);
}

static void btrfs_devices(Fixture *fixture, gconstpointer data)
{
    (void)data;
    device(fixture, "sda", "8:0");
    device(fixture, "sdb", "8:16");
    device(fixture, "dm-3", "253:3");
    put(fixture, "devices/dm-3", "dm/name", "vg-my--data\n");
    slave(fixture, "dm-3", "sda");
    loop(fixture, "loop0", "7:0", "/srv/member.img");
    put_link(fixture, "fs/btrfs/1234-5678/devices/loop0", "loop0");
    put_link(fixture, "fs/btrfs/1234-5678/devices/sdb", "sdb");
    put(fixture, "fs/btrfs/features", "raid1c34", "0\n");
    put_link(fixture, "fs/btrfs/9999-0000/devices/dm-3", "dm-3");
    rank(fixture, "1 0 8:1 / / rw - ext4 /dev/sdx rw\n"
                  "2 1 0:50 /@ /pool rw - btrfs /dev/sdb rw\n"
                  "3 1 0:51 / /lvm rw - btrfs /dev/mapper/vg-my--data rw\n"
                  "4 1 0:52 / /lvm2 rw - btrfs /dev/vg/my-data rw\n"
                  "5 1 8:3 / /srv rw - ext4 /dev/sdy rw\n"
                  "6 1 0:53 / /gone rw - btrfs /dev/mapper/nothing rw\n"
                  "7 1 0:54 / /bch rw - bcachefs /dev/sda:/dev/sdb rw\n");
    /* Its second device is a file on /srv. */
    g_assert_cmpuint(at(fixture, "/pool")->carriers->len, ==, 2);
    g_assert_cmpuint(at(fixture, "/pool")->rank, ==, 0);
    assert_rank(fixture, "/srv", 1, "");
    assert_rank(fixture, "/lvm", 0, "253:3");
    assert_rank(fixture, "/lvm2", 0, "253:3");
    assert_rank(fixture, "/gone", 0, "");
    g_assert_cmpstr(g_ptr_array_index(at(fixture, "/bch")->carriers, 0), ==, "8:0");
}

static void loop_over_a_device(Fixture *fixture, gconstpointer data)
{
    (void)data;
    loop(fixture, "loop0", "7:0", "/srv/disk.img");
    device(fixture, "dm-0", "253:0");
    slave(fixture, "dm-0", "loop0");
    loop(fixture, "loop1", "7:1", "/dev/dm-0");
    rank(fixture, "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
                  "2 1 8:2 / /srv rw - ext4 /dev/sda2 rw\n"
                  "3 1 0:5 / /dev rw - devtmpfs devtmpfs rw\n"
                  "4 1 7:1 / /x rw - ext4 /dev/loop1 rw\n");
    assert_rank(fixture, "/x", 0, "253:0");
    assert_rank(fixture, "/srv", 1, "");
}

static void bcache_backing(Fixture *fixture, gconstpointer data)
{
    (void)data;
    loop(fixture, "loop0", "7:0", "/srv/disk.img");
    put(fixture, "devices/loop0/bcache", "state", "clean\n");
    device(fixture, "sdb", "8:16");
    device(fixture, "bcache0", "252:0");
    slave(fixture, "bcache0", "sdb");
    put_link(fixture, "devices/bcache0/bcache", "loop0/bcache");
    rank(fixture, "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
                  "2 1 8:2 / /srv rw - ext4 /dev/sda2 rw\n"
                  "3 1 252:0 / /x rw - ext4 /dev/bcache0 rw\n");
    assert_rank(fixture, "/x", 0, "8:16 7:0");
    assert_rank(fixture, "/srv", 1, "");
}

static void again_gives_the_same(Fixture *fixture, gconstpointer data)
{
    (void)data;
    device(fixture, "sda", "8:0");
    device(fixture, "sda/sda1", "8:1");
    rank(fixture, "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 8:2 / /x rw - ext4 /dev/y rw\n");
    rank_again(fixture);
    assert_rank(fixture, "/", 1, "8:0");
}

/* Of this thread: what a bound is for, whatever else the machine does. */
static int64_t cpu_us(void)
{
    struct timespec now;

    g_assert_cmpint(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now), ==, 0);
    return now.tv_sec * G_USEC_PER_SEC + now.tv_nsec / 1000;
}

static void many(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GString) text = g_string_new("1 0 8:1 / / rw - ext4 /dev/sda1 rw\n");
    int64_t start = 0;

    (void)data;
    loop(fixture, "loop0", "7:0", "/var/lib/9999/disk.img");
    for (unsigned i = 2; i < 10000; i++)
        g_string_append_printf(text, "%u 1 259:%u / /var/lib/%u rw - xfs /dev/x rw\n", i, i, i);
    g_string_append(text, "20000 1 7:0 / /loop rw - xfs /dev/loop0 rw\n");
    rank(fixture, text->str);
    start = cpu_us();
    rank_again(fixture);
    g_test_message("10 000: %.1f ms", (double)(cpu_us() - start) / 1000);
    g_assert_cmpint(cpu_us() - start, <, 3 * G_USEC_PER_SEC);
    assert_rank(fixture, "/loop", 0, "259:9999");
    assert_rank(fixture, "/var/lib/9999", 1, "");
    assert_rank(fixture, "/", 2, "");
}

#define add(name, function) g_test_add("/graph/" name, Fixture, NULL, set_up, function, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("independent_share_a_rank", independent_share_a_rank);
    add("root_alone", root_alone);
    add("stacked", stacked);
    add("order_of_the_table_does_not_matter", order_of_the_table_does_not_matter);
    add("root_on_a_loop_goes_first", root_on_a_loop_goes_first);
    add("image_over_its_own_folder", image_over_its_own_folder);
    add("cycle_is_cut", cycle_is_cut);
    add("device_cycle_ends", device_cycle_ends);
    add("depth_limit", depth_limit);
    add("btrfs_devices", btrfs_devices);
    add("loop_over_a_device", loop_over_a_device);
    add("bcache_backing", bcache_backing);
    add("again_gives_the_same", again_gives_the_same);
    add("many", many);
    return g_test_run();
}
