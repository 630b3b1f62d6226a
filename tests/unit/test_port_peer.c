/*
 * test_port_peer: a peer of port: its data, its output queue, its end. Over unix sockets.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "port_unix_rig.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void test_request_and_reply(Fixture *fixture, gconstpointer unused)
{
    char reply[6] = "";
    int fd = client(fixture->path);

    (void)unused;
    fixture->recorder->echo = true;
    PUMP_UNTIL(fixture->recorder->opened == 1);
    g_assert_cmpuint(fixture->recorder->reads, ==, 0);
    port_peer_set_data(fixture->recorder->peer, fixture);
    g_assert_true(port_peer_data(fixture->recorder->peer) == fixture);
    put(fd, "hello\n");
    g_assert_cmpuint(pump_read(fd, reply, 6), ==, 6);
    g_assert_cmpmem(reply, 6, "hello\n", 6);
    close(fd);
    PUMP_UNTIL(fixture->recorder->closed == 1);
    g_assert_cmpstr(fixture->recorder->reason, ==, "hang-up");
    g_assert_cmpuint(pump_for(200), <=, IDLE_WAKEUPS);
}

static size_t anonymous_memory(void)
{
    g_autofree char *text = NULL;
    const char *line;

    g_assert_true(g_file_get_contents("/proc/self/status", &text, NULL, NULL));
    line = strstr(text, "RssAnon:");
    g_assert_nonnull(line);
    return (size_t)g_ascii_strtoull(line + strlen("RssAnon:"), NULL, 10) * 1024;
}

#if defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_ASAN 1
#endif
#endif

/* AddressSanitizer keeps what is freed: there is nothing to see then. */
static void check_memory_below(size_t limit)
{
#ifdef UNDER_ASAN
    (void)limit;
#else
    g_assert_cmpuint(anonymous_memory(), <, limit);
#endif
}

/* Sends pieces of `size` until the queue overflows; returns what it held at most. */
static size_t fill_until_overflow(PortPeer *peer, size_t size, void **ret_lasting)
{
    g_autofree char *piece = g_malloc0(size);
    size_t most = 0;

    while (port_peer_send(peer, piece, size)) {
        most = MAX(most, port_peer_queued(peer));
        /* Something that stays above the queue on the heap must not keep it there. */
        if (!*ret_lasting && most > PORT_QUEUE_MAX / 2)
            *ret_lasting = g_malloc(100000);
    }
    return most;
}

static void check_overflow(Fixture *fixture, size_t size)
{
    g_autofree void *lasting = NULL;
    size_t before, most;
    int fd = client(fixture->path), other = client(fixture->path);

    PUMP_UNTIL(fixture->recorder->opened == 2);
    before = anonymous_memory();
    most = fill_until_overflow(fixture->recorder->peer, size, &lasting);
    g_assert_cmpuint(most, <=, PORT_QUEUE_MAX);
    g_assert_cmpuint(most, >, PORT_QUEUE_MAX - size);
    g_assert_cmpuint(fixture->recorder->closed, ==, 0); /* not from within send */
    g_assert_cmpuint(port_peer_queued(fixture->recorder->peer), ==, 0);
    PUMP_UNTIL(fixture->recorder->closed == 1);
    g_assert_cmpstr(fixture->recorder->reason, ==, "queue overflow");
    check_memory_below(before + 2 * MIB);
    close(fd);
    close(other);
    PUMP_UNTIL(fixture->recorder->closed == 2);
}

static void test_overflow(Fixture *fixture, gconstpointer unused)
{
    (void)unused;
    check_overflow(fixture, MIB);
}

static void test_overflow_by_small_replies(Fixture *fixture, gconstpointer unused)
{
    (void)unused;
    check_overflow(fixture, 61);
}

static void test_small_replies_cost_little(Fixture *fixture, gconstpointer unused)
{
    int fd = client(fixture->path);
    size_t before, queued;

    (void)unused;
    PUMP_UNTIL(fixture->recorder->opened == 1);
    before = anonymous_memory();
    while (port_peer_queued(fixture->recorder->peer) < 8 * MIB)
        g_assert_true(port_peer_send(fixture->recorder->peer, "{\"return\": {}}\n", 15));
    queued = port_peer_queued(fixture->recorder->peer);
    check_memory_below(before + queued + queued / 8);
    close(fd);
}

/* A pattern that no shift of pieces leaves alone. */
static char *pattern_new(size_t size)
{
    char *bytes = g_malloc(size);
    uint32_t number = 1;

    for (size_t i = 0; i < size; i++) {
        number = number * 1664525u + 1013904223u;
        bytes[i] = (char)(number >> 24);
    }
    return bytes;
}

static void test_large_reply_arrives(Fixture *fixture, gconstpointer unused)
{
    const size_t size = 12 * MIB;
    g_autofree char *sent = pattern_new(size);
    g_autofree char *got = g_malloc(size);
    int fd = client(fixture->path);
    size_t at = 0;

    (void)unused;
    PUMP_UNTIL(fixture->recorder->opened == 1);
    for (size_t part = 1; at < size; at += part, part = MIN(part * 3, size - at))
        g_assert_true(port_peer_send(fixture->recorder->peer, sent + at, part));
    g_assert_cmpuint(port_peer_queued(fixture->recorder->peer), >, 4 * MIB);
    g_assert_cmpuint(pump_read(fd, got, size), ==, size);
    g_assert_true(memcmp(sent, got, size) == 0);
    PUMP_UNTIL(port_peer_queued(fixture->recorder->peer) == 0);
    close(fd);
}

static void test_blocked_writes_do_not_spin(Fixture *fixture, gconstpointer unused)
{
    int fd = client(fixture->path);
    g_autofree char *bytes = g_malloc0(4 * MIB);

    (void)unused;
    PUMP_UNTIL(fixture->recorder->opened == 1);
    g_assert_true(port_peer_send(fixture->recorder->peer, bytes, 4 * MIB));
    pump_for(20);
    g_assert_cmpuint(pump_for(200), <=, IDLE_WAKEUPS);
    close(fd);
}

/* A long write is cut in turns; the rest goes without the reader's help. */
static void test_long_write_goes_on(Fixture *fixture, gconstpointer unused)
{
    g_autofree char *bytes = g_malloc0(4 * MIB);
    int fd = client(fixture->path), room = 16 * (int)MIB;

    (void)unused;
    PUMP_UNTIL(fixture->recorder->opened == 1);
    if (setsockopt(fixture->recorder->peer->fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) !=
        0) {
        g_test_skip("only root may enlarge the socket's buffer enough");
    } else {
        g_assert_true(port_peer_send(fixture->recorder->peer, bytes, 4 * MIB));
        g_assert_cmpuint(port_peer_queued(fixture->recorder->peer), ==, 3 * MIB);
        PUMP_UNTIL(port_peer_queued(fixture->recorder->peer) == 0);
    }
    close(fd);
}

static gboolean answer_later(gpointer user_data)
{
    PortPeer *peer = user_data;

    g_assert_true(port_peer_send(peer, "the reply\n", 10));
    port_peer_finish(peer);
    g_assert_false(port_peer_send(peer, "x", 1));
    return G_SOURCE_REMOVE;
}

static void act_answer_later(Port *port, PortPeer *peer)
{
    (void)port;
    g_timeout_add(50, answer_later, peer);
}

static void test_half_close_gets_reply(Fixture *fixture, gconstpointer unused)
{
    char reply[11] = "";
    int fd = client(fixture->path);

    (void)unused;
    fixture->recorder->act_on = "eof";
    fixture->recorder->act = act_answer_later;
    put(fd, "request\n");
    g_assert_cmpint(shutdown(fd, SHUT_WR), ==, 0);
    PUMP_UNTIL(fixture->recorder->eofs == 1);
    g_assert_cmpstr(fixture->recorder->data->str, ==, "request\n");
    g_assert_cmpuint(fixture->recorder->closed, ==, 0);
    g_assert_cmpuint(pump_read(fd, reply, 11), ==, 10); /* and then the end */
    g_assert_cmpmem(reply, 10, "the reply\n", 10);
    PUMP_UNTIL(fixture->recorder->closed == 1);
    g_assert_cmpstr(fixture->recorder->reason, ==, "end of file");
    g_assert_cmpuint(fixture->recorder->eofs, ==, 1);
    close(fd);
}

static void test_half_closed_waits_without_spinning(Fixture *fixture, gconstpointer unused)
{
    int fd = client(fixture->path);

    (void)unused;
    put(fd, "request\n");
    g_assert_cmpint(shutdown(fd, SHUT_WR), ==, 0);
    PUMP_UNTIL(fixture->recorder->eofs == 1);
    g_assert_cmpuint(pump_for(200), <=, IDLE_WAKEUPS);
    close(fd); /* it did not wait */
    PUMP_UNTIL(fixture->recorder->closed == 1);
    g_assert_cmpstr(fixture->recorder->reason, ==, "hang-up");
}

static void test_finish_flushes(Fixture *fixture, gconstpointer unused)
{
    const size_t size = 3 * MIB;
    g_autofree char *sent = pattern_new(size);
    g_autofree char *got = g_malloc(size + 1);
    int fd = client(fixture->path);

    (void)unused;
    PUMP_UNTIL(fixture->recorder->opened == 1);
    g_assert_true(port_peer_send(fixture->recorder->peer, sent, size));
    port_peer_finish(fixture->recorder->peer);
    pump_for(50);
    g_assert_cmpuint(fixture->recorder->closed, ==, 0);
    g_assert_cmpuint(pump_read(fd, got, size + 1), ==, size);
    g_assert_true(memcmp(sent, got, size) == 0);
    PUMP_UNTIL(fixture->recorder->closed == 1);
    g_assert_cmpstr(fixture->recorder->reason, ==, "finished");
    close(fd);
}

static void test_without_eof_handler(void)
{
    static const PortEvents events = {
        .peer_opened = on_opened, .peer_data = on_data, .peer_closed = on_closed};
    g_autofree char *directory = g_dir_make_tmp("port-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(directory, "s", NULL);
    g_autoptr(Recorder) recorder = recorder_new();
    g_autoptr(GError) error = NULL;
    Port *port = port_new("test", PORT_UNIX_LISTEN, path, &events, recorder, &error);
    char reply[3];
    int fd;

    g_assert_true(port_open(port, &error));
    recorder->echo = true;
    fd = client(path);
    put(fd, "hi");
    shutdown(fd, SHUT_WR);
    g_assert_cmpuint(pump_read(fd, reply, 3), ==, 2);
    PUMP_UNTIL(recorder->closed == 1);
    close(fd);
    port_free(port);
    g_assert_cmpint(g_rmdir(directory), ==, 0);
}

static void test_vanishes_mid_write(Fixture *fixture, gconstpointer unused)
{
    g_autofree char *bytes = g_malloc0(4 * MIB);
    int fd = client(fixture->path);

    (void)unused;
    signal(SIGPIPE, SIG_DFL);
    PUMP_UNTIL(fixture->recorder->opened == 1);
    g_assert_true(port_peer_send(fixture->recorder->peer, bytes, 4 * MIB));
    close(fd);
    PUMP_UNTIL(fixture->recorder->closed == 1);
    g_assert_cmpstr(fixture->recorder->reason, ==, "hang-up");
    /* And one that is gone before the loop could notice. */
    fd = client(fixture->path);
    PUMP_UNTIL(fixture->recorder->opened == 2);
    close(fd);
    g_assert_false(port_peer_send(fixture->recorder->peer, "x", 1));
    g_assert_cmpuint(fixture->recorder->closed, ==, 1);
    PUMP_UNTIL(fixture->recorder->closed == 2);
    g_assert_cmpstr(fixture->recorder->reason, ==, "hang-up");
}

static void test_data_before_hang_up(Fixture *fixture, gconstpointer unused)
{
    g_autofree char *bytes = pattern_new(150000);
    int fd = client(fixture->path), size = 400000;

    (void)unused;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    g_assert_cmpint(send(fd, bytes, 150000, 0), ==, 150000);
    close(fd);
    PUMP_UNTIL(fixture->recorder->closed == 1);
    g_assert_cmpuint(fixture->recorder->data->len, ==, 150000);
    g_assert_true(memcmp(fixture->recorder->data->str, bytes, 150000) == 0);
}

static void test_reads_leave_others_their_turn(Fixture *fixture, gconstpointer unused)
{
    int fd = client(fixture->path), size = 1000000;
    g_autofree char *bytes = g_malloc0(MIB);
    unsigned before;

    (void)unused;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    fcntl(fd, F_SETFL, O_NONBLOCK);
    PUMP_UNTIL(fixture->recorder->opened == 1);
    for (size_t sent = 0; sent < 4 * MIB;) {
        ssize_t count = write(fd, bytes, MIB);

        sent += count > 0 ? (size_t)count : 0;
        before = fixture->recorder->reads;
        g_main_context_iteration(NULL, FALSE);
        g_assert_cmpuint(fixture->recorder->reads - before, <=, 4);
    }
    PUMP_UNTIL(fixture->recorder->data->len >= 4 * MIB);
    close(fd);
}

/* Small ones between large ones, kept whole and in order, and nothing left when it is over. */
static void test_taken_replies(Fixture *fixture, gconstpointer unused)
{
    const size_t sizes[] = {5, 3 * MIB, 7, 2 * MIB, 70000, 1};
    g_autofree char *got = NULL;
    size_t total = 0, at = 0;
    int fd = client(fixture->path);

    (void)unused;
    PUMP_UNTIL(fixture->recorder->opened == 1);
    for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
        char *bytes = malloc(sizes[i]);

        memset(bytes, 'a' + (int)i, sizes[i]);
        g_assert_true(port_peer_send_taken(fixture->recorder->peer, bytes, sizes[i]));
        total += sizes[i];
    }
    g_assert_cmpuint(port_peer_queued(fixture->recorder->peer), >, 4 * MIB);
    got = g_malloc(total);
    g_assert_cmpuint(pump_read(fd, got, total), ==, total);
    for (unsigned i = 0; i < G_N_ELEMENTS(sizes); at += sizes[i], i++) {
        g_assert_cmpint(got[at], ==, 'a' + (int)i);
        g_assert_cmpint(got[at + sizes[i] - 1], ==, 'a' + (int)i);
    }
    g_assert_cmpuint(port_peer_queued(fixture->recorder->peer), ==, 0);
    /* Queued again, and the peer leaves: it is freed all the same. */
    g_assert_true(port_peer_send_taken(fixture->recorder->peer, calloc(1, 8 * MIB), 8 * MIB));
    close(fd);
    PUMP_UNTIL(fixture->recorder->closed == 1);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, set, function)                                                                   \
    g_test_add("/port/peer/" path, Fixture, NULL, set, function, teardown)
    ADD("request_and_reply", setup, test_request_and_reply);
    ADD("queue_overflow_drops_the_peer", setup, test_overflow);
    ADD("queue_overflow_by_small_replies", setup, test_overflow_by_small_replies);
    ADD("small_replies_cost_what_they_count", setup, test_small_replies_cost_little);
    ADD("large_reply_arrives_whole", setup, test_large_reply_arrives);
    ADD("taken_replies_arrive_in_order", setup, test_taken_replies);
    ADD("blocked_writes_do_not_spin", setup, test_blocked_writes_do_not_spin);
    ADD("long_write_goes_on", setup, test_long_write_goes_on);
    ADD("half_close_gets_its_reply", setup, test_half_close_gets_reply);
    ADD("half_closed_waits_without_spinning", setup, test_half_closed_waits_without_spinning);
    ADD("finish_flushes", setup, test_finish_flushes);
    ADD("vanishes_mid_write", setup, test_vanishes_mid_write);
    ADD("data_before_hang_up", setup, test_data_before_hang_up);
    ADD("reads_leave_others_their_turn", setup, test_reads_leave_others_their_turn);
#undef ADD
    g_test_add_func("/port/peer/without_eof_handler", test_without_eof_handler);
    return g_test_run();
}
