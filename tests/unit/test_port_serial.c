/*
 * test_port_serial: the serial methods of port and port_watch, with ptys.
 *
 * A pty's master stands for a virtio port (path /dev/ptmx, the host opens the slave): it polls as
 * hung up, level-triggered, while the slave is closed. Unlike a virtio port it tells of an opened
 * slave only when data comes, and reads as EIO instead of 0. A slave stands for a serial line (the
 * host has the master): when the master closes, it is gone like an unplugged device.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/port_internal.h"
#include "test_port.h"

#include <glib/gstdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <termios.h>

#include <linux/capability.h>

#define MIB ((size_t)1 << 20)

typedef struct {
    char *directory, *path;
    Recorder *recorder;
    Port *port;
} Fixture;

static void make_raw(int fd)
{
    struct termios line;

    g_assert_cmpint(tcgetattr(fd, &line), ==, 0);
    cfmakeraw(&line);
    g_assert_cmpint(tcsetattr(fd, TCSANOW, &line), ==, 0);
}

/* A new pty's master; `slave` gets the path of the other side. */
static int pty_new(char slave[64])
{
    int fd = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(unlockpt(fd), ==, 0);
    g_assert_cmpint(ptsname_r(fd, slave, 64), ==, 0);
    return fd;
}

static void put(int fd, const char *text)
{
    g_assert_cmpint(write(fd, text, strlen(text)), ==, (ssize_t)strlen(text));
}

static void setup(Fixture *fixture, gconstpointer unused)
{
    (void)unused;
    fixture->directory = g_dir_make_tmp("port-XXXXXX", NULL);
    g_assert_nonnull(fixture->directory);
    fixture->path = g_build_filename(fixture->directory, "port", NULL);
    fixture->recorder = recorder_new();
}

static void teardown(Fixture *fixture, gconstpointer unused)
{
    (void)unused;
    port_free(fixture->port);
    recorder_free(fixture->recorder);
    g_unlink(fixture->path);
    g_assert_cmpint(g_rmdir(fixture->directory), ==, 0);
    g_free(fixture->path);
    g_free(fixture->directory);
}

static void start(Fixture *fixture, PortMethod method, const char *path)
{
    g_autoptr(GError) error = NULL;

    fixture->port = port_new("test", method, path, &RECORDING, fixture->recorder, &error);
    g_assert_no_error(error);
    g_assert_true(port_open(fixture->port, &error));
    g_assert_no_error(error);
}

/* The port holds a master; opens the host's side of it. */
static int host_open(Fixture *fixture)
{
    char slave[64];
    int fd;

    g_assert_cmpint(ptsname_r(fixture->port->fd, slave, sizeof(slave)), ==, 0);
    fd = open(slave, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    g_assert_cmpint(fd, >=, 0);
    return fd;
}

/* A virtio port whose host was there once and left. */
static void start_away(Fixture *fixture)
{
    int fd;

    start(fixture, PORT_VIRTIO_SERIAL, "/dev/ptmx");
    g_assert_true(fixture->recorder->open);
    g_assert_cmpint(unlockpt(fixture->port->fd), ==, 0);
    make_raw(fixture->port->fd);
    fd = host_open(fixture);
    PUMP_UNTIL(fixture->recorder->opened == 1);
    close(fd);
    PUMP_UNTIL(fixture->recorder->closed == 1);
    g_assert_cmpstr(fixture->recorder->reason, ==, "hang-up");
}

static void test_connects_for_every_command(Fixture *fixture, gconstpointer unused)
{
    unsigned fds;

    (void)unused;
    start_away(fixture);
    fixture->recorder->echo = true;
    fds = count_fds();
    for (unsigned i = 2; i <= 1001; i++) {
        char reply[5];
        int fd = host_open(fixture);

        put(fd, "ping\n");
        g_assert_cmpuint(pump_read(fd, reply, 5), ==, 5);
        g_assert_cmpmem(reply, 5, "ping\n", 5);
        close(fd);
        PUMP_UNTIL(fixture->recorder->closed == i);
        g_assert_cmpuint(fixture->recorder->opened, ==, i);
    }
    g_assert_cmpuint(count_fds(), ==, fds);
    g_assert_cmpuint(fixture->recorder->data->len, ==, 5 * 1000);
    g_assert_cmpuint(fixture->recorder->state_calls, ==, 1);
}

static void test_no_wakeups_while_away(Fixture *fixture, gconstpointer unused)
{
    (void)unused;
    start_away(fixture);
    g_assert_cmpuint(pump_for(300), <=, IDLE_WAKEUPS);
    g_assert_cmpuint(fixture->recorder->opened, ==, 1);
    g_assert_true(port_is_open(fixture->port));
}

static void test_data_before_hang_up(Fixture *fixture, gconstpointer unused)
{
    int fd;

    (void)unused;
    start_away(fixture);
    fd = host_open(fixture);
    put(fd, "one line\n");
    close(fd);
    PUMP_UNTIL(fixture->recorder->closed == 2);
    g_assert_cmpuint(fixture->recorder->opened, ==, 2);
    g_assert_cmpstr(fixture->recorder->data->str, ==, "one line\n");
    g_assert_cmpstr(fixture->recorder->reason, ==, "hang-up");
    g_assert_cmpuint(pump_for(100), <=, IDLE_WAKEUPS);
}

/* The kernel may tell of the open host after the data: that host must keep its peer. */
static void test_data_overtakes_open(Fixture *fixture, gconstpointer unused)
{
    char reply[6];
    int fd;

    (void)unused;
    start_away(fixture);
    fixture->recorder->echo = true;
    fd = host_open(fixture);
    put(fd, "early");
    close(fd);
    PUMP_UNTIL(fixture->recorder->data->len == 5);
    fd = host_open(fixture);
    put(fd, "!");
    g_assert_cmpuint(pump_read(fd, reply, 6), ==, 6);
    pump_for(60);
    g_assert_cmpuint(fixture->recorder->opened, ==, 2);
    g_assert_cmpuint(fixture->recorder->closed, ==, 1);
    g_assert_cmpmem(reply, 6, "early!", 6);
    close(fd);
    PUMP_UNTIL(fixture->recorder->closed == 2);
}

static void test_stale_reply_is_dropped(Fixture *fixture, gconstpointer unused)
{
    g_autofree char *reply = g_strnfill(MIB, 'a');
    g_autofree char *got = g_malloc(2 * MIB);
    size_t count;
    int fd;

    (void)unused;
    start_away(fixture);
    fd = host_open(fixture);
    put(fd, "x");
    PUMP_UNTIL(fixture->recorder->opened == 2);
    g_assert_true(port_peer_send(fixture->recorder->peer, reply, MIB));
    g_assert_true(port_peer_send(fixture->recorder->peer, "STALE", 5));
    g_assert_cmpuint(port_peer_queued(fixture->recorder->peer), >, MIB / 2);
    pump_for(20);
    g_assert_cmpuint(pump_for(100), <=, IDLE_WAKEUPS); /* EAGAIN does not spin */
    close(fd);
    PUMP_UNTIL(fixture->recorder->closed == 2);
    fd = host_open(fixture);
    put(fd, "y");
    PUMP_UNTIL(fixture->recorder->opened == 3);
    g_assert_cmpuint(port_peer_queued(fixture->recorder->peer), ==, 0);
    g_assert_true(port_peer_send(fixture->recorder->peer, "FRESH", 5));
    count = pump_read(fd, got, 5);
    while (count < 2 * MIB && !g_strstr_len(got, (gssize)count, "FRESH"))
        count += pump_read(fd, got + count, 1);
    g_assert_null(g_strstr_len(got, (gssize)count, "STALE"));
    close(fd);
}

static void test_large_reply_goes_on(Fixture *fixture, gconstpointer unused)
{
    g_autofree char *reply = g_malloc(MIB);
    g_autofree char *got = g_malloc(MIB);
    int fd;

    (void)unused;
    for (size_t i = 0; i < MIB; i++)
        reply[i] = (char)(i * 2654435761u >> 13);
    start_away(fixture);
    fd = host_open(fixture);
    put(fd, "x");
    PUMP_UNTIL(fixture->recorder->opened == 2);
    g_assert_true(port_peer_send(fixture->recorder->peer, reply, MIB));
    g_assert_cmpuint(pump_read(fd, got, MIB), ==, MIB);
    g_assert_true(memcmp(reply, got, MIB) == 0);
    close(fd);
}

static void test_overflow_begins_anew_with_data(Fixture *fixture, gconstpointer unused)
{
    g_autofree char *reply = g_malloc0(8 * MIB);
    int fd;

    (void)unused;
    start_away(fixture);
    fd = host_open(fixture);
    put(fd, "x");
    PUMP_UNTIL(fixture->recorder->opened == 2);
    for (unsigned i = 0; i < 8; i++)
        g_assert_true(port_peer_send(fixture->recorder->peer, reply, 8 * MIB));
    g_assert_false(port_peer_send(fixture->recorder->peer, reply, 8 * MIB));
    g_assert_cmpuint(fixture->recorder->closed, ==, 1);
    PUMP_UNTIL(fixture->recorder->closed == 2);
    g_assert_cmpstr(fixture->recorder->reason, ==, "queue overflow");
    while (read(fd, reply, MIB) > 0)
        ; /* makes it writable: an edge, but no data */
    g_assert_cmpuint(pump_for(100), <=, IDLE_WAKEUPS + 2);
    g_assert_cmpuint(fixture->recorder->opened, ==, 2);
    put(fd, "again");
    PUMP_UNTIL(fixture->recorder->opened == 3);
    g_assert_cmpstr(fixture->recorder->data->str, ==, "xagain");
    g_assert_true(port_is_open(fixture->port));
    close(fd);
    PUMP_UNTIL(fixture->recorder->closed == 3);
}

static void test_close_and_open(Fixture *fixture, gconstpointer unused)
{
    char slave[64];
    int master = pty_new(slave);
    unsigned fds = count_fds();

    (void)unused;
    start(fixture, PORT_VIRTIO_SERIAL, slave);
    PUMP_UNTIL(fixture->recorder->opened == 1);
    port_close(fixture->port);
    g_assert_false(port_is_open(fixture->port));
    g_assert_cmpuint(fixture->recorder->closed, ==, 1);
    g_assert_cmpstr(fixture->recorder->reason, ==, "port closed");
    g_assert_cmpuint(fixture->recorder->state_calls, ==, 1);
    g_assert_cmpuint(count_fds(), ==, fds); /* the host sees nobody */
    g_assert_true(port_open(fixture->port, NULL));
    g_assert_true(port_open(fixture->port, NULL));
    PUMP_UNTIL(fixture->recorder->opened == 2);
    make_raw(master);
    put(master, "data");
    PUMP_UNTIL(fixture->recorder->data->len == 4);
    close(master);
}

static void test_isa_is_raw(Fixture *fixture, gconstpointer unused)
{
    struct termios line;
    char slave[64], reply[4], echoed[64];
    int master = pty_new(slave), keep = open(slave, O_RDWR | O_NOCTTY | O_NONBLOCK);

    (void)unused;
    put(master, "left over\n"); /* from before: flushed */
    g_assert_cmpint(read(master, reply, 4), ==, 4);
    g_assert_cmpint(read(master, echoed, sizeof(echoed)), ==, 7); /* cooked until then */
    start(fixture, PORT_ISA_SERIAL, slave);
    PUMP_UNTIL(fixture->recorder->opened == 1);
    g_assert_cmpint(tcgetattr(keep, &line), ==, 0);
    g_assert_cmpuint(line.c_lflag & (ICANON | ECHO | ISIG), ==, 0);
    g_assert_cmpuint(line.c_oflag & OPOST, ==, 0);
    g_assert_cmpuint(line.c_cflag & (CLOCAL | CREAD), ==, CLOCAL | CREAD);
    g_assert_cmpuint(cfgetispeed(&line), ==, B38400);
    g_assert_cmpuint(cfgetospeed(&line), ==, B38400);
    fixture->recorder->echo = true;
    g_assert_cmpint(write(master, "\x04\xff\r\n", 4), ==, 4); /* end of file in cooked mode */
    g_assert_cmpuint(pump_read(master, reply, 4), ==, 4);
    g_assert_cmpmem(reply, 4, "\x04\xff\r\n", 4);
    g_assert_cmpuint(fixture->recorder->data->len, ==, 4);
    g_assert_cmpuint(pump_for(120), <=, IDLE_WAKEUPS);
    close(keep);
    close(master);
}

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
    struct rlimit before, tight;
    int lowest = open("/dev/null", O_RDONLY);

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

static void test_acts_in_callbacks(Fixture *fixture, gconstpointer user_data)
{
    static const char *const EVENTS[] = {"state", "opened", "data", "closed"};
    void (*act)(Port *, PortPeer *) = user_data ? act_reopen : act_free;
    unsigned fds = count_fds();

    for (unsigned i = 0; i < G_N_ELEMENTS(EVENTS); i++) {
        char slave[64];
        int master = pty_new(slave);

        make_raw(master);
        fixture->recorder->act = act;
        fixture->recorder->act_on = EVENTS[i];
        start(fixture, PORT_VIRTIO_SERIAL, slave);
        put(master, "x");
        pump_for(10);
        close(master);
        PUMP_UNTIL(!fixture->recorder->act_on);
        pump_for(10);
        if (user_data)
            port_free(fixture->port);
        fixture->port = NULL;
        g_assert_cmpuint(count_fds(), ==, fds);
    }
}

static void test_free_while_settling_and_waiting(Fixture *fixture, gconstpointer unused)
{
    unsigned fds = count_fds();
    int fd;

    (void)unused;
    start_away(fixture);
    fd = host_open(fixture);
    put(fd, "x");
    close(fd);
    PUMP_UNTIL(fixture->recorder->data->len == 1);
    port_free(g_steal_pointer(&fixture->port)); /* the peer is not told */
    g_assert_cmpuint(fixture->recorder->closed, ==, 1);
    start(fixture, PORT_ISA_SERIAL, fixture->path);
    port_free(g_steal_pointer(&fixture->port));
    g_assert_cmpuint(pump_for(60), <=, IDLE_WAKEUPS);
    g_assert_cmpuint(count_fds(), ==, fds);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, data, function)                                                                  \
    g_test_add("/port/serial/" path, Fixture, data, setup, function, teardown)
    ADD("connects_for_every_command", NULL, test_connects_for_every_command);
    ADD("no_wakeups_while_the_host_is_away", NULL, test_no_wakeups_while_away);
    ADD("data_before_hang_up", NULL, test_data_before_hang_up);
    ADD("data_overtakes_open", NULL, test_data_overtakes_open);
    ADD("stale_reply_is_dropped", NULL, test_stale_reply_is_dropped);
    ADD("large_reply_goes_on", NULL, test_large_reply_goes_on);
    ADD("overflow_begins_anew_with_data", NULL, test_overflow_begins_anew_with_data);
    ADD("close_and_open", NULL, test_close_and_open);
    ADD("isa_is_raw", NULL, test_isa_is_raw);
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
    ADD("free_in_callbacks", NULL, test_acts_in_callbacks);
    ADD("reopen_in_callbacks", "reopen", test_acts_in_callbacks);
    ADD("free_while_settling_and_waiting", NULL, test_free_while_settling_and_waiting);
#undef ADD
    return g_test_run();
}
