/*
 * test_port_serial: the serial methods of port while the device is there, with ptys.
 *
 * A pty's master stands for a virtio port (path /dev/ptmx, the host opens the slave): it polls as
 * hung up, level-triggered, while the slave is closed. Unlike a virtio port it tells of an opened
 * slave only when data comes, and reads as EIO instead of 0. A slave stands for a serial line (the
 * host has the master): when the master closes, it is gone like an unplugged device.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "port_pty_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

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
    pump_for(250);
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

/* Queues more than a pty holds, ended by "TAIL", for a host that sent `text`. */
static int owe(Fixture *fixture, const char *text)
{
    g_autofree char *reply = g_strnfill(MIB, 'a');
    unsigned opened = fixture->recorder->opened;
    int fd = host_open(fixture);

    put(fd, text);
    PUMP_UNTIL(fixture->recorder->opened == opened + 1 && fixture->recorder->data->len > 0);
    g_assert_true(port_peer_send(fixture->recorder->peer, reply, MIB));
    g_assert_true(port_peer_send(fixture->recorder->peer, "TAIL", 4));
    g_assert_cmpuint(port_peer_queued(fixture->recorder->peer), >, MIB / 2);
    return fd;
}

static void read_tail(int fd)
{
    g_autofree char *got = g_malloc(MIB + 4);
    size_t count = pump_read(fd, got, 4);

    while (memcmp(got + count - 4, "TAIL", 4) != 0)
        count += pump_read(fd, got + count, 1); /* fails the test when nothing comes */
}

/* What was read just before the kernel told of the last host's end may have been the next one's:
 * it is there by then. */
static void test_answers_outlast_a_short_absence(Fixture *fixture, gconstpointer unused)
{
    int fd;

    (void)unused;
    start_away(fixture);
    fd = owe(fixture, "x");
    fixture->port->fresh_us = g_get_monotonic_time(); /* whatever the machine's pace */
    close(fd);
    PUMP_UNTIL(fixture->port->settle_timer);
    g_assert_cmpuint(fixture->recorder->parted, ==, 2);
    fd = host_open(fixture);
    put(fd, "y");
    read_tail(fd);
    g_assert_cmpuint(fixture->recorder->opened, ==, 2);
    g_assert_null(fixture->port->settle_timer);
    close(fd);
    PUMP_UNTIL(fixture->recorder->closed == 2);
    g_assert_cmpstr(fixture->recorder->data->str, ==, "xy");
}

/* Nothing is owed to a host that sent nothing of late, or whose answers are all out. */
static void test_who_owes_nothing_is_closed(Fixture *fixture, gconstpointer unused)
{
    int fd;

    (void)unused;
    start_away(fixture);
    fd = owe(fixture, "x");
    pump_for(250);
    close(fd);
    PUMP_UNTIL(fixture->recorder->closed == 2);
    g_assert_null(fixture->port->settle_timer);
    fd = host_open(fixture);
    put(fd, "x");
    PUMP_UNTIL(fixture->recorder->opened == 3);
    close(fd);
    PUMP_UNTIL(fixture->recorder->closed == 3);
    g_assert_null(fixture->port->settle_timer);
}

/* The host is there again when its data is read, though the event said that it was away. */
static void test_back_before_the_read(Fixture *fixture, gconstpointer user_data)
{
    bool owes = user_data != NULL;
    int fd;

    start_away(fixture);
    fixture->recorder->owes = owes;
    fd = host_open(fixture);
    put(fd, "x");
    PUMP_UNTIL(fixture->recorder->opened == 2);
    put(fd, "y");
    fixture->port->fresh_us = g_get_monotonic_time();
    port_serial_ready(fixture->port, EPOLLIN | EPOLLHUP);
    g_assert_cmpstr(fixture->recorder->data->str, ==, "xy");
    g_assert_cmpuint(fixture->recorder->closed, ==, owes ? 1 : 2);
    g_assert_cmpuint(fixture->recorder->opened, ==, owes ? 2 : 3);
    pump_for(250); /* no timer ends it */
    g_assert_nonnull(fixture->recorder->peer);
    close(fd);
    PUMP_UNTIL(!fixture->recorder->peer);
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
    for (size_t sent = 0; sent < PORT_QUEUE_MAX; sent += 8 * MIB)
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
    g_assert_cmpuint(pump_for(250), <=, IDLE_WAKEUPS);
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
    ADD("answers_outlast_a_short_absence", NULL, test_answers_outlast_a_short_absence);
    ADD("who_owes_nothing_is_closed", NULL, test_who_owes_nothing_is_closed);
    ADD("back_before_the_read", NULL, test_back_before_the_read);
    ADD("back_before_the_read_and_owed", "owed", test_back_before_the_read);
    ADD("large_reply_goes_on", NULL, test_large_reply_goes_on);
    ADD("overflow_begins_anew_with_data", NULL, test_overflow_begins_anew_with_data);
    ADD("close_and_open", NULL, test_close_and_open);
    ADD("isa_is_raw", NULL, test_isa_is_raw);
    ADD("free_in_callbacks", NULL, test_acts_in_callbacks);
    ADD("reopen_in_callbacks", "reopen", test_acts_in_callbacks);
    ADD("free_while_settling_and_waiting", NULL, test_free_while_settling_and_waiting);
#undef ADD
    return g_test_run();
}
