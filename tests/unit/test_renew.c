/*
 * test_renew: when a replaced program hands its ports to the service manager and ends.
 *
 * The manager is a socket of the test, the program a link in a directory that stands for /proc.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "loop_rig.h"
#include "notify_rig.h"

#include "sys/renew.h"

#include <glib/gstdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define SETTLE_US MSEC(20)
#define OWED_US   MSEC(400)
#define GONE      "/usr/sbin/quiesced (deleted)"

typedef struct {
    char *directory, *self, *program, *socket;
    int manager, port;
    unsigned left;
    bool busy, owing;
    Renew *renew;
} Fixture;

static bool may_leave(gpointer user_data)
{
    return !((Fixture *)user_data)->busy;
}

static bool owed(gpointer user_data)
{
    return ((Fixture *)user_data)->owing;
}

static unsigned ports(int *fds, unsigned size, gpointer user_data)
{
    g_assert_cmpuint(size, ==, RENEW_PORTS_MAX);
    fds[0] = -1;
    fds[1] = ((Fixture *)user_data)->port;
    return 2;
}

static void leave(gpointer user_data)
{
    ((Fixture *)user_data)->left++;
}

static Renew *renew_for(Fixture *fixture, const char *manager)
{
    RenewSpec spec = {
        .procfs = fixture->directory,
        .manager = manager,
        .settle_us = SETTLE_US,
        .owed_us = OWED_US,
        .may_leave = may_leave,
        .owed = owed,
        .ports = ports,
        .leave = leave,
        .user_data = fixture,
    };

    return renew_new(&spec);
}

static void set_up(Fixture *fixture, gconstpointer data)
{
    (void)data;
    fixture->directory = g_dir_make_tmp("renew-XXXXXX", NULL);
    fixture->self = g_build_filename(fixture->directory, "self", NULL);
    fixture->program = g_build_filename(fixture->self, "exe", NULL);
    fixture->socket = g_build_filename(fixture->directory, "notify", NULL);
    g_assert_cmpint(g_mkdir(fixture->self, 0700), ==, 0);
    g_assert_cmpint(symlink(GONE, fixture->program), ==, 0);
    fixture->manager = notify_rig_bind(fixture->socket);
    fixture->port = memfd_create("port", MFD_CLOEXEC);
    fixture->renew = renew_for(fixture, fixture->socket);
}

static void tear_down(Fixture *fixture, gconstpointer data)
{
    (void)data;
    renew_free(fixture->renew);
    close(fixture->manager);
    close(fixture->port);
    (void)g_unlink(fixture->program);
    (void)g_unlink(fixture->socket);
    (void)g_rmdir(fixture->self);
    (void)g_rmdir(fixture->directory);
    g_free(fixture->directory);
    g_free(fixture->self);
    g_free(fixture->program);
    g_free(fixture->socket);
}

static void expect(const Fixture *fixture, const char *expected, int *ret_fd)
{
    g_autofree char *text = NULL;

    loop_until(text || (text = notify_rig_receive(fixture->manager, ret_fd)));
    g_assert_cmpstr(text, ==, expected);
}

static void expect_nothing(const Fixture *fixture)
{
    (void)loop_for(3 * SETTLE_US);
    g_assert_null(notify_rig_receive(fixture->manager, NULL));
    g_assert_cmpuint(fixture->left, ==, 0);
}

/* The ports were given away; the fd that confirms it when closed. */
static int expect_stored(const Fixture *fixture)
{
    int port = -1, barrier = -1;

    expect(fixture, "FDSTORE=1\nFDNAME=port-1\nFDPOLL=0", &port);
    g_assert_cmpint(port, >=, 0);
    close(port);
    expect(fixture, "BARRIER=1", &barrier);
    return barrier;
}

static void expect_left(const Fixture *fixture)
{
    close(expect_stored(fixture));
    loop_until(fixture->left == 1);
}

static void leaves_when_it_was_replaced(Fixture *fixture, gconstpointer data)
{
    int barrier = -1;

    (void)data;
    renew_settled(fixture->renew, true);
    expect_nothing(fixture); /* nobody asked */
    g_assert_true(renew_ask(fixture->renew, false));
    g_assert_true(renew_ask(fixture->renew, false));
    barrier = expect_stored(fixture);
    (void)loop_for(MSEC(20));
    g_assert_cmpuint(fixture->left, ==, 0); /* the manager may not have them yet */
    close(barrier);
    loop_until(fixture->left == 1);
}

static void refuses_without_reason_or_successor(Fixture *fixture, gconstpointer data)
{
    g_autofree char *own = g_file_read_link("/proc/self/exe", NULL);
    Renew *alone = renew_for(fixture, NULL);

    (void)data;
    g_assert_false(renew_ask(alone, false));
    renew_free(alone);
    g_assert_cmpint(g_unlink(fixture->program), ==, 0);
    g_assert_false(renew_ask(fixture->renew, false));
    g_assert_cmpint(symlink(own, fixture->program), ==, 0);
    g_assert_false(renew_ask(fixture->renew, false));
    renew_settled(fixture->renew, true);
    expect_nothing(fixture);
    g_assert_false(renew_ask(NULL, true));
    renew_settled(NULL, true);
    renew_consider(NULL);
    renew_took(NULL, 1);
    renew_free(NULL);
}

/* The unit changed, not the program. */
static void leaves_when_told_to(Fixture *fixture, gconstpointer data)
{
    (void)data;
    g_assert_cmpint(g_unlink(fixture->program), ==, 0);
    renew_settled(fixture->renew, true);
    g_assert_true(renew_ask(fixture->renew, true));
    expect_left(fixture);
}

static void waits_for_the_thaw(Fixture *fixture, gconstpointer data)
{
    (void)data;
    g_assert_true(renew_ask(fixture->renew, false));
    renew_consider(fixture->renew);
    expect_nothing(fixture);
    renew_settled(fixture->renew, true);
    renew_consider(fixture->renew);
    g_assert_null(notify_rig_receive(fixture->manager, NULL)); /* the report may be asked for yet */
    renew_settled(fixture->renew, false);
    expect_nothing(fixture);
    renew_settled(fixture->renew, true);
    expect_left(fixture);
}

static void waits_for_the_answer(Fixture *fixture, gconstpointer data)
{
    (void)data;
    fixture->busy = true;
    renew_settled(fixture->renew, true);
    g_assert_true(renew_ask(fixture->renew, false));
    expect_nothing(fixture);
    fixture->busy = false;
    expect_nothing(fixture); /* it does not poll */
    renew_consider(fixture->renew);
    expect_left(fixture);
}

static void waits_for_what_it_owes(Fixture *fixture, gconstpointer data)
{
    int64_t asked_us = deadline_now();

    fixture->owing = true;
    renew_settled(fixture->renew, true);
    g_assert_true(renew_ask(fixture->renew, false));
    expect_nothing(fixture);
    renew_consider(fixture->renew);
    if (GPOINTER_TO_INT(data)) /* the host fetched it */
        fixture->owing = false;
    renew_consider(fixture->renew);
    expect_left(fixture);
    if (!GPOINTER_TO_INT(data)) /* it never does */
        g_assert_cmpint(deadline_now() - asked_us, >=, OWED_US);
}

/* A request came while the manager took the ports. */
static void stays_when_something_began(Fixture *fixture, gconstpointer data)
{
    int barrier = -1;

    (void)data;
    renew_settled(fixture->renew, true);
    g_assert_true(renew_ask(fixture->renew, false));
    barrier = expect_stored(fixture);
    renew_settled(fixture->renew, false);
    close(barrier);
    expect(fixture, "FDSTOREREMOVE=1\nFDNAME=port-1", NULL);
    expect_nothing(fixture);
    renew_settled(fixture->renew, true);
    expect_left(fixture);
}

static void the_manager_lets_go_of_what_was_taken(Fixture *fixture, gconstpointer data)
{
    (void)data;
    renew_took(fixture->renew, 0);
    renew_took(fixture->renew, 1);
    expect(fixture, "FDSTOREREMOVE=1\nFDNAME=port-0", NULL);
    expect_nothing(fixture);
}

#define ADD(function) g_test_add("/renew/" #function, Fixture, NULL, set_up, function, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD(leaves_when_it_was_replaced);
    ADD(refuses_without_reason_or_successor);
    ADD(leaves_when_told_to);
    ADD(waits_for_the_thaw);
    ADD(waits_for_the_answer);
    ADD(waits_for_what_it_owes);
    g_test_add("/renew/waits_until_the_host_has_it", Fixture, GINT_TO_POINTER(1), set_up,
               waits_for_what_it_owes, tear_down);
    ADD(stays_when_something_began);
    ADD(the_manager_lets_go_of_what_was_taken);
    return g_test_run();
}
