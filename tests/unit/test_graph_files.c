/*
 * test_graph_files: what a filesystem is used for (swap, the agent's state), and the files of loop
 * devices.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "graph_rig.h"

#include <sys/sysmacros.h>

/* --- what a filesystem is used for -------------------------------------------------------------
 */

static void swap_goes_last_with_root(Fixture *fixture, gconstpointer data)
{
    const char *const swaps[] = {"/srv/swap/file", "/home/swap", "/nowhere/swap", NULL};
    GraphOptions options = {.sysfs = fixture->sysfs, .swap_files = swaps};

    (void)data;
    loop(fixture, "loop0", "7:0", "/srv/disk.img");
    loop(fixture, "loop1", "7:1", "/var/home.img");
    rank(fixture, "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
                  "2 1 8:2 / /srv rw - ext4 /dev/sda2 rw\n"
                  "3 1 7:0 / /x rw - ext4 /dev/loop0 rw\n"
                  "4 1 8:3 / /var rw - ext4 /dev/sda3 rw\n"
                  "5 1 7:1 / /home rw - ext4 /dev/loop1 rw\n");
    graph_rank(fixture->mounts, &options);
    assert_rank(fixture, "/x", 0, "8:2");
    assert_rank(fixture, "/srv", 2, "");
    /* What carries it must come later, so it cannot wait. */
    assert_rank(fixture, "/home", 0, "8:3");
    assert_rank(fixture, "/var", 1, "");
    assert_rank(fixture, "/", 2, "");
    g_assert_true(at(fixture, "/srv")->carries_swap && at(fixture, "/home")->carries_swap);
    g_assert_true(at(fixture, "/")->carries_swap);
    g_assert_false(at(fixture, "/x")->carries_swap || at(fixture, "/var")->carries_swap);
    rank_again(fixture);
    g_assert_false(at(fixture, "/srv")->carries_swap);
    assert_rank(fixture, "/srv", 1, "");
}

static void the_agents_state_is_not_frozen(Fixture *fixture, gconstpointer data)
{
    GraphOptions options = {.sysfs = fixture->sysfs, .state = "/run/quiesced"};

    (void)data;
    loop(fixture, "loop0", "7:0", "/srv/run.img");
    rank(fixture, "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
                  "2 1 8:2 / /srv rw - ext4 /dev/sda2 rw\n"
                  "3 1 7:0 / /run rw - ext4 /dev/loop0 rw\n");
    graph_rank(fixture->mounts, &options);
    g_assert_nonnull(at(fixture, "/run")->unfit);
    g_assert_nonnull(at(fixture, "/srv")->unfit);
    g_assert_null(at(fixture, "/")->unfit);
    /* On an overlay: what is below that. */
    rank(fixture, "1 0 0:9 / / rw - overlay x rw,lowerdir=/l,upperdir=/srv/up,workdir=/srv/w\n"
                  "2 1 8:2 / /srv rw - ext4 /dev/sda2 rw\n");
    graph_rank(fixture->mounts, &options);
    g_assert_nonnull(at(fixture, "/srv")->unfit);
    g_assert_null(at(fixture, "/")->unfit);
    /* As it should be. */
    rank(fixture, "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:9 / /run rw - tmpfs tmpfs rw\n");
    graph_rank(fixture->mounts, &options);
    g_assert_null(at(fixture, "/")->unfit);
}

static void swap_files_are_read(Fixture *fixture, gconstpointer data)
{
    g_auto(GStrv) none = graph_swap_files(fixture->sysfs);
    g_auto(GStrv) files = NULL;

    (void)data;
    g_assert_cmpuint(g_strv_length(none), ==, 0);
    put(fixture, "", "swaps",
        "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
        "/swapfile                               file\t\t1048572\t\t0\t\t-2\n"
        "/dev/sda3                               partition\t1048572\t\t0\t\t-3\n"
        "/srv/my\\040swap                        file\t\t1048572\t\t0\t\t-4\n");
    files = graph_swap_files(fixture->sysfs);
    g_assert_cmpuint(g_strv_length(files), ==, 2);
    g_assert_cmpstr(files[0], ==, "/swapfile");
    g_assert_cmpstr(files[1], ==, "/srv/my swap");
}

/* --- what a loop device says -------------------------------------------------------------------
 */

static dev_t file_is_on_8_16(const char *name)
{
    g_assert_cmpstr(name, ==, "loop0");
    return makedev(8, 16);
}

static dev_t file_is_on_a_subvolume(const char *name)
{
    (void)name;
    return makedev(0, 99);
}

static dev_t must_not_be_asked(const char *name)
{
    (void)name;
    g_assert_not_reached();
}

static void loop_knows_its_file(Fixture *fixture, gconstpointer data)
{
    static const char TABLE[] = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
                                "2 1 8:32 / /img rw - ext4 /dev/sdc rw\n"
                                "3 1 7:0 / /x rw - ext4 /dev/loop0 rw\n"
                                "4 1 8:16 / /elsewhere rw - ext4 /dev/sdb rw\n";
    GraphOptions options = {.sysfs = fixture->sysfs, .loop = file_is_on_8_16};

    (void)data;
    g_assert_false(graph_has_loops(fixture->sysfs));
    /* A path of another namespace, which means something else here. */
    loop(fixture, "loop0", "7:0", "/img/disk.img");
    put(fixture, "devices/loop0", "uevent", "MAJOR=7\nMINOR=0\nDEVNAME=loop0\nDEVTYPE=disk\n");
    g_assert_true(graph_has_loops(fixture->sysfs));
    rank(fixture, TABLE);
    assert_rank(fixture, "/x", 0, "8:32");
    graph_rank(fixture->mounts, &options);
    assert_rank(fixture, "/x", 0, "8:16");
    assert_rank(fixture, "/elsewhere", 1, "");
    assert_rank(fixture, "/img", 0, "");
    /* No mount has the number of a subvolume. */
    options.loop = file_is_on_a_subvolume;
    graph_rank(fixture->mounts, &options);
    assert_rank(fixture, "/x", 0, "8:32");
}

/* To ask means that the kernel asks the server about the file. */
static void a_loop_on_a_server_is_not_asked(Fixture *fixture, gconstpointer data)
{
    GraphOptions options = {.sysfs = fixture->sysfs, .loop = must_not_be_asked};

    (void)data;
    loop(fixture, "loop0", "7:0", "/nfs/disk.img");
    put(fixture, "devices/loop0", "uevent", "DEVNAME=loop0\n");
    rank(fixture, "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
                  "2 1 0:32 / /nfs rw - nfs4 server:/x rw\n"
                  "3 1 7:0 / /x rw - ext4 /dev/loop0 rw\n");
    graph_rank(fixture->mounts, &options);
    assert_rank(fixture, "/x", 0, "0:32");
    assert_rank(fixture, "/", 1, "");
}

/* Paths are the agent's own: what another namespace calls so is not meant. */
static void paths_are_of_the_own_namespace(Fixture *fixture, gconstpointer data)
{
    Mount *mount = NULL;

    (void)data;
    loop(fixture, "loop0", "7:0", "/data/disk.img");
    rank(fixture, "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
                  "2 1 7:0 / /x rw - ext4 /dev/loop0 rw\n"
                  "3 1 8:16 / /data rw - ext4 /dev/sdb rw\n");
    mount = (Mount *)at(fixture, "/data");
    mount->where.inode = 7;
    rank_again(fixture);
    assert_rank(fixture, "/x", 0, "8:1");
    assert_rank(fixture, "/data", 0, "");
}

#define add(name, function)                                                                        \
    g_test_add("/graph-files/" name, Fixture, NULL, set_up, function, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("swap_goes_last_with_root", swap_goes_last_with_root);
    add("the_agents_state_is_not_frozen", the_agents_state_is_not_frozen);
    add("swap_files_are_read", swap_files_are_read);
    add("loop_knows_its_file", loop_knows_its_file);
    add("a_loop_on_a_server_is_not_asked", a_loop_on_a_server_is_not_asked);
    add("paths_are_of_the_own_namespace", paths_are_of_the_own_namespace);
    return g_test_run();
}
