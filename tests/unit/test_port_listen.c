/*
 * test_port_listen: the listening side of port: who may listen where, who gets in.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "port_unix_rig.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <linux/vm_sockets.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void test_mode_and_unlink(Fixture *fixture, gconstpointer unused)
{
    struct stat status;

    (void)unused;
    g_assert_cmpint(stat(fixture->path, &status), ==, 0);
    g_assert_cmpuint(status.st_mode & 07777, ==, 0600);
    port_close(fixture->port);
    g_assert_false(port_is_open(fixture->port));
    g_assert_cmpint(stat(fixture->path, &status), !=, 0);
    g_assert_true(port_open(fixture->port, NULL));
    g_assert_true(port_is_open(fixture->port));
    /* Somebody else's file in its place stays. */
    g_assert_cmpint(g_unlink(fixture->path), ==, 0);
    g_assert_true(g_file_set_contents(fixture->path, "x", 1, NULL));
    port_close(fixture->port);
    g_assert_cmpint(stat(fixture->path, &status), ==, 0);
}

static void test_many_connections(Fixture *fixture, gconstpointer unused)
{
    unsigned fds;
    char reply[1];

    (void)unused;
    fixture->recorder->echo = true;
    fds = count_fds();
    for (unsigned i = 1; i <= 2000; i++) {
        int fd = client(fixture->path);

        put(fd, "x");
        g_assert_cmpuint(pump_read(fd, reply, 1), ==, 1);
        close(fd);
    }
    PUMP_UNTIL(fixture->recorder->closed == 2000);
    g_assert_cmpuint(fixture->recorder->opened, ==, 2000);
    g_assert_cmpuint(fixture->recorder->data->len, ==, 2000);
    g_assert_cmpuint(count_fds(), ==, fds);
}

static void test_seventeenth_waits(Fixture *fixture, gconstpointer unused)
{
    int fds[PORT_PEERS_MAX + 1];

    (void)unused;
    for (unsigned i = 0; i <= PORT_PEERS_MAX; i++)
        fds[i] = client(fixture->path);
    put(fds[PORT_PEERS_MAX], "patient");
    PUMP_UNTIL(fixture->recorder->opened == PORT_PEERS_MAX);
    g_assert_cmpuint(pump_for(200), <=, IDLE_WAKEUPS + 1);
    g_assert_cmpuint(fixture->recorder->opened, ==, PORT_PEERS_MAX);
    g_assert_cmpuint(fixture->recorder->data->len, ==, 0);
    close(fds[3]);
    PUMP_UNTIL(fixture->recorder->data->len == 7);
    g_assert_cmpuint(fixture->recorder->opened, ==, PORT_PEERS_MAX + 1);
    for (unsigned i = 0; i <= PORT_PEERS_MAX; i++)
        if (i != 3)
            close(fds[i]);
    PUMP_UNTIL(fixture->recorder->closed == PORT_PEERS_MAX + 1);
}

static void test_stale_socket_is_replaced(Fixture *fixture, gconstpointer unused)
{
    g_autoptr(GError) error = NULL;
    int fd = listener(fixture->path);

    (void)unused;
    close(fd); /* and leaves its file */
    g_assert_true(port_open(fixture->port, &error));
    g_assert_no_error(error);
    fd = client(fixture->path);
    PUMP_UNTIL(fixture->recorder->opened == 1);
    close(fd);
}

static void check_refused(Fixture *fixture, const char *text)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(port_open(fixture->port, &error));
    g_assert_error(error, AGENT_ERROR, AGENT_ERROR_UNAVAILABLE);
    g_assert_nonnull(strstr(error->message, fixture->path));
    g_assert_nonnull(strstr(error->message, text));
    g_assert_false(port_is_open(fixture->port));
    g_assert_cmpuint(fixture->recorder->state_calls, ==, 0);
}

static void test_socket_in_use(Fixture *fixture, gconstpointer unused)
{
    int fd = listener(fixture->path), peer;

    (void)unused;
    check_refused(fixture, "in use");
    peer = client(fixture->path); /* still the first one's */
    close(peer);
    close(fd);
    g_assert_true(port_open(fixture->port, NULL)); /* may be tried again */
}

static void test_other_file_stays(Fixture *fixture, gconstpointer unused)
{
    g_autofree char *text = NULL;

    (void)unused;
    g_assert_true(g_file_set_contents(fixture->path, "precious", -1, NULL));
    check_refused(fixture, "not a socket");
    g_assert_true(g_file_get_contents(fixture->path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "precious");
}

static void test_no_directory(void)
{
    g_autoptr(Recorder) recorder = recorder_new();
    g_autoptr(GError) error = NULL;
    g_autoptr(Port) port =
        port_new("t", PORT_UNIX_LISTEN, "/nonexistent/dir/s", &RECORDING, recorder, &error);

    g_assert_no_error(error);
    g_assert_false(port_open(port, &error));
    g_assert_nonnull(strstr(error->message, "/nonexistent/dir/s"));
    g_assert_nonnull(strstr(error->message, "directory must exist"));
}

static void check_bad_path(PortMethod method, const char *path)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(port_new("test", method, path, &RECORDING, NULL, &error));
    g_assert_error(error, AGENT_ERROR, AGENT_ERROR_CONFIG);
    g_assert_nonnull(strstr(error->message, "channel test"));
}

static void test_bad_paths(void)
{
    g_autofree char *longest = g_strnfill(107, 'x');
    g_autofree char *too_long = g_strnfill(108, 'x');
    Port *port;

    longest[0] = too_long[0] = '/';
    port = port_new("test", PORT_UNIX_LISTEN, longest, &RECORDING, NULL, NULL);
    g_assert_nonnull(port);
    port_free(port);
    check_bad_path(PORT_UNIX_LISTEN, too_long);
    check_bad_path(PORT_UNIX_LISTEN, "relative.sock");
    check_bad_path(PORT_VIRTIO_SERIAL, "");
    check_bad_path(PORT_ISA_SERIAL, NULL);
    for (const char *const *path =
             (const char *const[]){"", "1234", ":1", "1:", "x:1", "1:2:3", "-2:5", "any:-1", "1:x",
                                   "1: 2", "4294967296:1", "3:4294967295", NULL};
         *path; path++)
        check_bad_path(PORT_VSOCK_LISTEN, *path);
    for (const char *const *path = (const char *const[]){"any:1234", "-1:1234", "3:1", NULL}; *path;
         path++) {
        port = port_new("test", PORT_VSOCK_LISTEN, *path, &RECORDING, NULL, NULL);
        g_assert_nonnull(port);
        g_assert_cmpstr(port_name(port), ==, "test");
        port_free(port);
    }
}

static void test_method_names(void)
{
    PortMethod method;

    for (unsigned i = 0; i < 4; i++) {
        g_assert_true(port_method_parse(port_method_name((PortMethod)i), &method));
        g_assert_cmpuint(method, ==, i);
    }
    g_assert_true(port_method_parse("vsock-listen", &method));
    g_assert_cmpuint(method, ==, PORT_VSOCK_LISTEN);
    g_assert_false(port_method_parse("virtio", &method));
    g_assert_false(port_method_parse(NULL, &method));
    g_assert_null(port_method_name((PortMethod)4));
}

static void test_handed_over_listener(void)
{
    g_autofree char *directory = g_dir_make_tmp("port-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(directory, "s", NULL);
    g_autoptr(Recorder) recorder = recorder_new();
    g_autoptr(GError) error = NULL;
    int fd = listener(path), peer;
    Port *port = port_new_from_fd("systemd", fd, &RECORDING, recorder, &error);
    char reply[2];

    g_assert_no_error(error);
    g_assert_cmpint(fcntl(fd, F_GETFD), ==, FD_CLOEXEC);
    g_assert_false(port_is_open(port));
    recorder->echo = true;
    peer = client(path);
    put(peer, "1");
    pump_for(30);
    g_assert_cmpuint(recorder->opened, ==, 0);
    g_assert_true(port_open(port, &error));
    g_assert_cmpuint(pump_read(peer, reply, 1), ==, 1);
    port_close(port);
    g_assert_cmpuint(recorder->closed, ==, 1);
    g_assert_cmpstr(recorder->reason, ==, "port closed");
    g_assert_cmpint(read(peer, reply, 1), ==, 0);
    close(peer);
    peer = client(path); /* still bound: it waits */
    put(peer, "2");
    g_assert_true(port_open(port, &error));
    g_assert_cmpuint(pump_read(peer, reply, 1), ==, 1);
    close(peer);
    port_free(port);
    g_assert_cmpint(fcntl(fd, F_GETFD), ==, -1);
    g_assert_cmpint(g_unlink(path), ==, 0); /* systemd's, not removed */
    g_rmdir(directory);
}

static void check_not_a_listener(int fd)
{
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(fd, >=, 0);
    g_assert_null(port_new_from_fd("x", fd, &RECORDING, NULL, &error));
    g_assert_error(error, AGENT_ERROR, AGENT_ERROR_CONFIG);
    g_assert_cmpint(fcntl(fd, F_GETFD), ==, -1);
}

static int packet_listener(void)
{
    struct sockaddr_un unnamed = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

    g_assert_cmpint(bind(fd, (struct sockaddr *)&unnamed, sizeof(sa_family_t)), ==, 0);
    g_assert_cmpint(listen(fd, 1), ==, 0);
    return fd;
}

static void test_handed_over_others(void)
{
    check_not_a_listener(packet_listener());
    check_not_a_listener(open("/dev/null", O_RDONLY));
    check_not_a_listener(socket(AF_UNIX, SOCK_STREAM, 0)); /* does not listen */
    check_not_a_listener(socket(AF_UNIX, SOCK_DGRAM, 0));
    check_not_a_listener(socket(AF_INET, SOCK_STREAM, 0));
}

static void check_free_on(Fixture *fixture, const char *event)
{
    g_autoptr(GError) error = NULL;
    bool vanishes = g_str_equal(event, "closed");
    int fd;

    if (!fixture->port)
        fixture->port = port_new("test", PORT_UNIX_LISTEN, fixture->path, &RECORDING,
                                 fixture->recorder, &error);
    g_assert_true(port_open(fixture->port, &error));
    fd = client(fixture->path);
    fixture->recorder->act_on = event;
    fixture->recorder->act = act_free;
    put(fd, "x");
    if (vanishes)
        close(fd);
    else
        shutdown(fd, SHUT_WR);
    PUMP_UNTIL(!fixture->recorder->act_on);
    fixture->port = NULL;
    pump_for(10);
    if (!vanishes)
        close(fd);
    g_assert_false(g_file_test(fixture->path, G_FILE_TEST_EXISTS));
}

static void test_free_in_callbacks(Fixture *fixture, gconstpointer unused)
{
    unsigned fds;

    (void)unused;
    check_free_on(fixture, "opened");
    fds = count_fds();
    check_free_on(fixture, "data");
    check_free_on(fixture, "eof");
    check_free_on(fixture, "closed");
    g_assert_cmpuint(count_fds(), ==, fds);
}

static void test_reopen_in_callbacks(Fixture *fixture, gconstpointer unused)
{
    static const char *const EVENTS[] = {"opened", "data", "eof", "closed"};
    unsigned fds;

    (void)unused;
    fds = count_fds();
    for (unsigned i = 0; i < G_N_ELEMENTS(EVENTS); i++) {
        int fd = client(fixture->path);

        fixture->recorder->act_on = EVENTS[i];
        fixture->recorder->act = act_reopen;
        put(fd, "x");
        shutdown(fd, SHUT_WR);
        if (i == 3)
            close(fd);
        PUMP_UNTIL(!fixture->recorder->act_on && fixture->recorder->closed == i + 1);
        if (i != 3)
            close(fd);
    }
    g_assert_cmpuint(fixture->recorder->opened, ==, G_N_ELEMENTS(EVENTS));
    g_assert_cmpuint(count_fds(), ==, fds);
}

static void test_out_of_descriptors(Fixture *fixture, gconstpointer unused)
{
    struct rlimit before, tight;
    int fd = client(fixture->path);

    (void)unused;
    g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &before), ==, 0);
    tight = before;
    tight.rlim_cur = (rlim_t)fd + 1;
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &tight), ==, 0);
    g_assert_cmpuint(pump_for(300), <=, IDLE_WAKEUPS + 2);
    g_assert_cmpuint(fixture->recorder->opened, ==, 0);
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &before), ==, 0);
    PUMP_UNTIL(fixture->recorder->opened == 1);
    close(fd);
}

static void test_vsock(void)
{
    g_autoptr(Recorder) recorder = recorder_new();
    g_autoptr(GError) error = NULL;
    g_autofree char *path = g_strdup_printf("any:%d", 20000 + getpid() % 40000);
    g_autoptr(Port) port = port_new("v", PORT_VSOCK_LISTEN, path, &RECORDING, recorder, &error);
    g_autoptr(Port) second = port_new("v2", PORT_VSOCK_LISTEN, path, &RECORDING, recorder, NULL);
    int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
    bool available = fd >= 0;

    if (available)
        close(fd);
    if (!available) {
        g_assert_false(port_open(port, &error));
        g_assert_nonnull(strstr(error->message, "no vsock"));
        return;
    }
    g_assert_true(port_open(port, &error));
    g_assert_no_error(error);
    g_assert_true(port_is_open(port));
    g_assert_false(port_open(second, &error));
    g_assert_nonnull(strstr(error->message, path));
}

static void test_vsock_trust(void)
{
    g_assert_true(port_vsock_trusts(VMADDR_CID_HOST, 4000000000u));
    g_assert_true(port_vsock_trusts(VMADDR_CID_HYPERVISOR, 5000));
    g_assert_true(port_vsock_trusts(VMADDR_CID_LOCAL, 1023));
    g_assert_false(port_vsock_trusts(VMADDR_CID_LOCAL, 1024));
    g_assert_false(port_vsock_trusts(3, 1023)); /* root of another VM */
    g_assert_false(port_vsock_trusts(VMADDR_CID_ANY, 1));
}

/* Any user of this machine could connect to the loopback. */
static void test_vsock_refuses_local_users(void)
{
    g_autoptr(Recorder) recorder = recorder_new();
    g_autofree char *path = g_strdup_printf("any:%d", 20000 + getpid() % 40000);
    g_autoptr(Port) port = port_new("v", PORT_VSOCK_LISTEN, path, &RECORDING, recorder, NULL);
    struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_LOCAL};
    struct timeval limit = {.tv_usec = 200000};
    int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
    char byte;

    address.svm_port = (unsigned)(20000 + getpid() % 40000);
    if (fd >= 0)
        setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &limit, sizeof(limit));
    if (fd < 0 || !port_open(port, NULL) ||
        connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        if (fd >= 0)
            close(fd);
        g_test_skip("no vsock loopback here (module vsock_loopback)");
        return;
    }
    g_assert_cmpuint(pump_read(fd, &byte, 1), ==, 0);
    g_assert_cmpuint(recorder->opened, ==, 0);
    close(fd);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, set, function)                                                                   \
    g_test_add("/port/listen/" path, Fixture, NULL, set, function, teardown)
    ADD("mode_0600_and_unlinks_its_own", setup, test_mode_and_unlink);
    ADD("many_connections", setup, test_many_connections);
    ADD("seventeenth_peer_waits", setup, test_seventeenth_waits);
    ADD("stale_socket_is_replaced", setup_closed, test_stale_socket_is_replaced);
    ADD("socket_in_use", setup_closed, test_socket_in_use);
    ADD("other_file_stays", setup_closed, test_other_file_stays);
    ADD("free_in_callbacks", setup, test_free_in_callbacks);
    ADD("reopen_in_callbacks", setup, test_reopen_in_callbacks);
    ADD("out_of_descriptors_does_not_spin", setup, test_out_of_descriptors);
#undef ADD
    g_test_add_func("/port/listen/no_directory", test_no_directory);
    g_test_add_func("/port/listen/handed_over_listener", test_handed_over_listener);
    g_test_add_func("/port/listen/handed_over_others_refused", test_handed_over_others);
    g_test_add_func("/port/listen/vsock", test_vsock);
    g_test_add_func("/port/listen/vsock_trust", test_vsock_trust);
    g_test_add_func("/port/listen/vsock_refuses_local_users", test_vsock_refuses_local_users);
    g_test_add_func("/port/bad_paths", test_bad_paths);
    g_test_add_func("/port/method_names", test_method_names);
    return g_test_run();
}
