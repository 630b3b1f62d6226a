/*
 * Tests of sys/ready_socket: who is heard on a session hook's notify socket, and how much.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "session_rig.h"

#include "sys/notify.h"
#include "sys/ready_socket.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The one socket in the runtime directory; waits for it. */
static struct sockaddr_un find_socket(const Fixture *f)
{
    struct sockaddr_un address = {0};
    socklen_t length = 0;

    for (unsigned i = 0; i < 500 && address.sun_path[0] == '\0'; i++) {
        g_autoptr(GDir) directory = g_dir_open(f->runtime, 0, NULL);
        const char *name = g_dir_read_name(directory);

        if (name) {
            g_autofree char *path = g_build_filename(f->runtime, name, NULL);
            g_assert_true(notify_address(path, &address, &length));
        }
        run_for(MSEC(5));
    }
    g_assert_cmpint(address.sun_path[0], ==, '/');
    return address;
}

/* Returns how many of `count` it took. */
static unsigned shout(const struct sockaddr_un *address, const char *text, unsigned count)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    unsigned taken = 0;

    for (unsigned i = 0; i < count; i++)
        taken += sendto(fd, text, strlen(text), 0, (const struct sockaddr *)address,
                        sizeof *address) > 0;
    close(fd);
    return taken;
}

static void test_stranger(Fixture *f, gconstpointer data)
{
    struct sockaddr_un address;
    g_autofree char *go = g_build_filename(f->directory, "go", NULL);
    g_autofree char *body =
        g_strdup_printf("until [ -e %s ]; do sleep 0.02; done; rm %s; " HOLDS, go, go);

    (void)data;
    make(f, body);
    begin(f, VERB_FREEZE, LONG);
    address = find_socket(f);
    g_assert_cmpuint(shout(&address, "READY=1", 1), ==, 1);
    g_assert_false(run_until(&f->answered, MSEC(300)));
    /* However many: the child's own word still counts. */
    for (unsigned i = 0; i < 300; i++) {
        (void)shout(&address, "READY=1", 10);
        (void)g_main_context_iteration(NULL, FALSE);
    }
    g_assert_false(f->answered);
    g_assert_true(g_file_set_contents(go, "", 0, NULL));
    g_assert_true(run_until(&f->answered, MSEC(8000)));
    assert_reason(f, STEP_OK, "");
    call(f, VERB_THAW, LONG);
    assert_reason(f, STEP_OK, "");
}

static void test_flood(Fixture *f, gconstpointer data)
{
    (void)data;
    /* One below the limit, READY=1 as the last. */
    hold(f, "$say STATUS=x 1022; " HOLDS);
    call(f, VERB_THAW, LONG);
    make(f, "$say STATUS=x 2000; " HOLDS);
    call(f, VERB_FREEZE, LONG);
    assert_reason(f, STEP_FAILED, "sent 1024 messages to its notify socket, none of them READY=1");
    g_assert_true(run_until(&f->settled, MSEC(5000)));
    /* Once it holds it gets an error for it, and does not lose its lock. */
    hold(f, "$say READY=1; $say STATUS=x 2000 || echo refused >>$log; cat >/dev/null");
    for (unsigned i = 0; i < 1000 && !logged(f, "refused"); i++)
        run_for(MSEC(10));
    g_assert_true(logged(f, "refused"));
    g_assert_cmpuint(f->losses, ==, 0);
    call(f, VERB_THAW, LONG);
    assert_reason(f, STEP_OK, "");
}

static void test_large_datagram(Fixture *f, gconstpointer data)
{
    (void)data;
    make(f, "$say \"$(printf 'READY=1\\nX=%5000s' x)\"; exit 3");
    call(f, VERB_FREEZE, LONG);
    assert_reason(f, STEP_FAILED, "exit status 3");
    make(f, "$say READY=12; $say XREADY=1; exit 3");
    call(f, VERB_FREEZE, LONG);
    assert_reason(f, STEP_FAILED, "exit status 3");
    hold(f, "$say \"$(printf 'READY=1\\nX=%4000s' x)\"; cat >/dev/null");
}

static void test_clean(Fixture *f, gconstpointer data)
{
    g_autofree char *other = g_build_filename(f->runtime, "ready-file", NULL);
    g_autofree char *path = NULL;
    ReadySocket *socket = ready_socket_new(f->runtime, false, NULL);
    struct stat status;

    (void)data;
    g_assert_nonnull(socket);
    path = g_strdup(ready_socket_path(socket));
    g_assert_cmpint(stat(path, &status), ==, 0);
    g_assert_cmpint(status.st_mode & 0777, ==, 0600);
    g_assert_true(g_file_set_contents(other, "", 0, NULL));
    ready_socket_clean(f->runtime);
    g_assert_cmpint(access(path, F_OK), !=, 0);
    g_assert_cmpint(g_unlink(other), ==, 0); /* was left alone */
    ready_socket_free(socket);
    ready_socket_clean("/nonexistent/run");
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*func)(Fixture *f, gconstpointer data);
    } TESTS[] = {
        {"stranger", test_stranger},
        {"flood", test_flood},
        {"large_datagram", test_large_datagram},
        {"sockets_of_a_predecessor", test_clean},
    };

    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(TESTS); i++) {
        g_autofree char *path = g_strdup_printf("/ready_socket/%s", TESTS[i].name);

        g_test_add(path, Fixture, NULL, set_up, TESTS[i].func, tear_down);
    }
    return g_test_run();
}
