/*
 * test_port_replug: serial devices that go and come, are busy, forbidden or broken, and port_watch.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "port_pty_rig.h"
#include "sys/watchfd.h"

#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <fcntl.h>
#include <glib/gstdio.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void check_replug(Fixture *fixture, PortMethod method)
{
    char first[64], second[64], reply[2];
    int master = pty_new(first);

    make_raw(master);
    g_assert_cmpint(symlink(first, fixture->path), ==, 0);
    start(fixture, method, fixture->path);
    PUMP_UNTIL(fixture->recorder->opened == 1);
    put(master, "1");
    PUMP_UNTIL(fixture->recorder->data->len == 1);
    close(master);
    PUMP_UNTIL(!fixture->recorder->open);
    g_assert_cmpuint(fixture->recorder->closed, ==, 1);
    g_assert_cmpstr(fixture->recorder->reason, ==, "unplugged");
    g_assert_nonnull(strstr(fixture->recorder->error, fixture->path));
    g_assert_false(port_is_open(fixture->port));
    g_assert_cmpuint(pump_for(120), <=, IDLE_WAKEUPS);
    g_assert_cmpuint(fixture->recorder->state_calls, ==, 2);

    master = pty_new(second);
    make_raw(master);
    g_assert_cmpint(g_unlink(fixture->path), ==, 0);
    pump_for(20);
    g_assert_cmpint(symlink(second, fixture->path), ==, 0);
    PUMP_UNTIL(fixture->recorder->open);
    fixture->recorder->echo = true;
    put(master, "2");
    g_assert_cmpuint(pump_read(master, reply, 1), ==, 1);
    g_assert_cmpuint(fixture->recorder->opened, ==, 2);
    close(master);
}

static void test_replug_virtio(Fixture *fixture, gconstpointer unused)
{
    (void)unused;
    check_replug(fixture, PORT_VIRTIO_SERIAL);
}

static void test_replug_isa(Fixture *fixture, gconstpointer unused)
{
    (void)unused;
    check_replug(fixture, PORT_ISA_SERIAL);
}

/* Gone and back before the agent got to run. */
static void test_replaced_at_once(Fixture *fixture, gconstpointer unused)
{
    char slave[64];
    int master = pty_new(slave);

    (void)unused;
    g_assert_cmpint(symlink(slave, fixture->path), ==, 0);
    start(fixture, PORT_VIRTIO_SERIAL, fixture->path);
    PUMP_UNTIL(fixture->recorder->opened == 1);
    close(master);
    g_assert_cmpint(g_unlink(fixture->path), ==, 0);
    master = pty_new(slave);
    g_assert_cmpint(symlink(slave, fixture->path), ==, 0);
    PUMP_UNTIL(fixture->recorder->opened == 2);
    g_assert_true(fixture->recorder->open);
    close(master);
}

/* As udev makes it: the directory, a link in it, its target; here in the worst order. */
static void test_appears_piece_by_piece(Fixture *fixture, gconstpointer unused)
{
    g_autofree char *outer = g_build_filename(fixture->directory, "dev", NULL);
    g_autofree char *inner = g_build_filename(outer, "virtio-ports", NULL);
    g_autofree char *path = g_build_filename(inner, "agent.0", NULL);
    g_autofree char *target = g_build_filename(outer, "vport1p1", NULL);
    g_autofree char *temporary = g_build_filename(outer, "#tmp", NULL);
    char slave[64];
    int master = pty_new(slave);

    (void)unused;
    start(fixture, PORT_VIRTIO_SERIAL, path);
    g_assert_false(fixture->recorder->open);
    g_assert_nonnull(strstr(fixture->recorder->error, path));
    g_assert_nonnull(strstr(fixture->recorder->error, "add a virtio-serial channel"));
    g_assert_cmpuint(pump_for(50), <=, IDLE_WAKEUPS);
    g_assert_cmpint(g_mkdir(outer, 0700), ==, 0);
    pump_for(20);
    g_assert_cmpint(g_mkdir(inner, 0700), ==, 0);
    pump_for(20);
    g_assert_cmpint(symlink("../vport1p1", path), ==, 0);
    pump_for(20);
    g_assert_false(fixture->recorder->open);
    g_assert_cmpint(symlink(slave, temporary), ==, 0);
    g_assert_cmpuint(pump_for(50), <=, IDLE_WAKEUPS + 1); /* somebody else's name */
    g_assert_cmpint(rename(temporary, target), ==, 0);
    PUMP_UNTIL(fixture->recorder->open);
    g_assert_cmpuint(fixture->recorder->state_calls, ==, 2); /* said once, not at every piece */
    PUMP_UNTIL(fixture->recorder->opened == 1);
    close(master);
    g_unlink(path);
    g_unlink(target);
    g_rmdir(inner);
    g_rmdir(outer);
}

/* All of it between two turns of the loop, and torn down and built again. */
static void test_appears_at_once(Fixture *fixture, gconstpointer unused)
{
    g_autofree char *inner = g_build_filename(fixture->directory, "a", "b", NULL);
    g_autofree char *outer = g_path_get_dirname(inner);
    g_autofree char *path = g_build_filename(inner, "port", NULL);
    char slave[64];
    int master = pty_new(slave);

    (void)unused;
    start(fixture, PORT_VIRTIO_SERIAL, path);
    for (unsigned i = 0; i < 3; i++) {
        g_assert_cmpint(g_mkdir_with_parents(inner, 0700), ==, 0);
        pump_for(i == 1 ? 20 : 0);
        if (i < 2) {
            g_rmdir(inner);
            g_rmdir(outer);
            pump_for(i == 1 ? 20 : 0);
        }
    }
    g_assert_cmpint(symlink(slave, path), ==, 0);
    PUMP_UNTIL(fixture->recorder->open);
    close(master);
    g_unlink(path);
    g_rmdir(inner);
    g_rmdir(outer);
}

static void count_change(gpointer user_data)
{
    (*(unsigned *)user_data)++;
}

static void test_watch_minds_its_names(Fixture *fixture, gconstpointer unused)
{
    g_autofree char *other = g_build_filename(fixture->directory, "other", NULL);
    g_autoptr(PortWatch) watch = NULL;
    unsigned changes = 0;

    (void)unused;
    watch = port_watch_new(fixture->path, count_change, &changes, NULL);
    g_assert_nonnull(watch);
    g_assert_true(g_file_set_contents(other, "x", 1, NULL));
    g_unlink(other);
    pump_for(20);
    g_assert_cmpuint(changes, ==, 0);
    g_assert_cmpint(mkfifo(fixture->path, 0600), ==, 0);
    PUMP_UNTIL(changes == 1);
    g_unlink(fixture->path);
    PUMP_UNTIL(changes == 2);
}

static void test_cannot_watch(Fixture *fixture, gconstpointer unused)
{
    g_autoptr(GError) error = NULL;
    int kept = watchfd_take(), lowest = open("/dev/null", O_RDONLY);
    struct rlimit before, tight;

    (void)unused;
    close(lowest);
    fixture->port =
        port_new("test", PORT_VIRTIO_SERIAL, fixture->path, &RECORDING, fixture->recorder, &error);
    g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &before), ==, 0);
    tight = before;
    tight.rlim_cur = (rlim_t)lowest;
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &tight), ==, 0);
    g_assert_false(port_open(fixture->port, &error));
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &before), ==, 0);
    watchfd_give(kept);
    g_assert_error(error, AGENT_ERROR, AGENT_ERROR_UNAVAILABLE);
    g_assert_nonnull(strstr(error->message, fixture->path));
    g_clear_error(&error);
    g_assert_true(port_open(fixture->port, &error)); /* waits now */
    g_assert_no_error(error);
    g_assert_cmpint(mkfifo(fixture->path, 0600), ==, 0);
    PUMP_UNTIL(fixture->recorder->open);
}

static void test_wrong_node(Fixture *fixture, gconstpointer unused)
{
    char slave[64];
    int master = pty_new(slave);

    (void)unused;
    g_assert_true(g_file_set_contents(fixture->path, "not a device", -1, NULL));
    start(fixture, PORT_ISA_SERIAL, fixture->path);
    g_assert_false(fixture->recorder->open);
    g_assert_nonnull(strstr(fixture->recorder->error, "method or path"));
    g_assert_cmpuint(pump_for(120), <=, IDLE_WAKEUPS); /* our own close wakes nobody */
    g_unlink(fixture->path);
    g_assert_cmpint(symlink("/dev/null", fixture->path), ==, 0); /* cannot be polled, no tty */
    g_assert_cmpuint(pump_for(120), <=, IDLE_WAKEUPS + 2);
    g_assert_false(fixture->recorder->open);
    g_unlink(fixture->path);
    g_assert_cmpint(symlink(slave, fixture->path), ==, 0);
    PUMP_UNTIL(fixture->recorder->open);
    close(master);
}

/* It opens, but every read fails: must not be closed and opened in a circle. */
static void test_device_that_never_works(Fixture *fixture, gconstpointer unused)
{
    const char *path = access("/dev/fuse", R_OK | W_OK) == 0 ? "/dev/fuse" : "/dev/net/tun";

    (void)unused;
    if (access(path, R_OK | W_OK) != 0) {
        g_test_skip("neither /dev/fuse nor /dev/net/tun may be opened");
        return;
    }
    start(fixture, PORT_VIRTIO_SERIAL, path);
    g_assert_true(fixture->recorder->open);
    PUMP_UNTIL(!fixture->recorder->open);
    g_assert_cmpuint(pump_for(300), <=, IDLE_WAKEUPS);
    g_assert_cmpuint(fixture->recorder->state_calls, ==, 2);
}

/* Root may do what these tests need to be refused. */
static bool drop_capability(unsigned capability, struct __user_cap_data_struct saved[2])
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct now[2];

    if (syscall(SYS_capget, &header, saved) != 0)
        return false;
    memcpy(now, saved, sizeof(now));
    now[capability / 32].effective &= ~(1u << (capability % 32));
    return syscall(SYS_capset, &header, now) == 0;
}

static void restore_capabilities(struct __user_cap_data_struct saved[2])
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};

    g_assert_cmpint(syscall(SYS_capset, &header, saved), ==, 0);
}

/* The driver lets go some time after the kernel announced the close, as virtio ports do. */
static void test_busy_until_closed(Fixture *fixture, gconstpointer unused)
{
    struct __user_cap_data_struct saved[2];
    char slave[64];
    int master = pty_new(slave);
    int other = open(slave, O_RDWR | O_NOCTTY), second = open(slave, O_RDWR | O_NOCTTY);

    (void)unused;
    g_assert_cmpint(ioctl(other, TIOCEXCL), ==, 0);
    if (!drop_capability(CAP_SYS_ADMIN, saved)) {
        g_test_skip("capabilities cannot be changed here");
        return;
    }
    start(fixture, PORT_VIRTIO_SERIAL, slave);
    g_assert_false(fixture->recorder->open);
    g_assert_nonnull(strstr(fixture->recorder->error, "another program has it open"));
    pump_for(750); /* past the tries that follow the first failure */
    g_assert_cmpuint(pump_for(100), <=, IDLE_WAKEUPS);
    g_assert_false(fixture->recorder->open);
    close(other);
    pump_for(15);
    g_assert_false(fixture->recorder->open);
    g_assert_cmpint(ioctl(second, TIOCNXCL), ==, 0);
    PUMP_UNTIL(fixture->recorder->open);
    g_assert_cmpuint(fixture->recorder->state_calls, ==, 2);
    restore_capabilities(saved);
    close(second);
    close(master);
}

static void test_forbidden_until_allowed(Fixture *fixture, gconstpointer unused)
{
    struct __user_cap_data_struct saved[2];

    (void)unused;
    g_assert_cmpint(mkfifo(fixture->path, 0), ==, 0);
    if (!drop_capability(CAP_DAC_OVERRIDE, saved)) {
        g_test_skip("capabilities cannot be changed here");
        return;
    }
    start(fixture, PORT_VIRTIO_SERIAL, fixture->path);
    g_assert_false(fixture->recorder->open);
    g_assert_nonnull(strstr(fixture->recorder->error, "let the service read and write it"));
    g_assert_cmpuint(pump_for(50), <=, IDLE_WAKEUPS);
    g_assert_cmpint(g_chmod(fixture->path, 0600), ==, 0);
    PUMP_UNTIL(fixture->recorder->open);
    restore_capabilities(saved);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, data, function)                                                                  \
    g_test_add("/port/replug/" path, Fixture, data, setup, function, teardown)
    ADD("replug_virtio", NULL, test_replug_virtio);
    ADD("replug_isa", NULL, test_replug_isa);
    ADD("replaced_at_once", NULL, test_replaced_at_once);
    ADD("appears_piece_by_piece", NULL, test_appears_piece_by_piece);
    ADD("appears_at_once", NULL, test_appears_at_once);
    ADD("watch_minds_its_names", NULL, test_watch_minds_its_names);
    ADD("cannot_watch", NULL, test_cannot_watch);
    ADD("wrong_node", NULL, test_wrong_node);
    ADD("device_that_never_works", NULL, test_device_that_never_works);
    ADD("busy_until_closed", NULL, test_busy_until_closed);
    ADD("forbidden_until_allowed", NULL, test_forbidden_until_allowed);
#undef ADD
    return g_test_run();
}
