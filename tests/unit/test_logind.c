/*
 * test_logind: the inhibitor on a private bus, with a logind that the test plays.
 *
 * It is played on the main loop of the code under test: whoever waits for its answer instead of
 * going on waits for good.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bus_rig.h"
#include "loop_rig.h"

#include "sys/logind.h"

#include <fcntl.h>
#include <gio/gunixfdlist.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BUS_NAME  "org.freedesktop.login1"
#define PATH      "/org/freedesktop/login1"
#define INTERFACE "org.freedesktop.login1.Manager"
#define AT_ONCE   MSEC(LOGIND_CALL_MS - 100) /* nobody waited for an answer */

static const char XML[] = "<node><interface name='" INTERFACE "'><method name='Inhibit'>"
                          "<arg type='s' direction='in'/><arg type='s' direction='in'/>"
                          "<arg type='s' direction='in'/><arg type='s' direction='in'/>"
                          "<arg type='h' direction='out'/></method></interface></node>";

typedef struct {
    GDBusConnection *bus; /* NULL: logind is not there */
    bool silent;          /* asks are kept, not answered */
    GQueue asks;          /* of GDBusMethodInvocation, unanswered */
    unsigned calls;
    char *arguments; /* of the last call */
    int inhibitor;   /* logind's end of the last one granted; -1: none was */
} Mock;

typedef struct {
    BusRig *rig;
    Mock mock;
    Logind *logind;
    unsigned suspends, shutdowns;
} Fixture;

/* --- the logind of the test --------------------------------------------------------------------
 */

static void grant(Mock *mock, GDBusMethodInvocation *ask)
{
    g_autoptr(GUnixFDList) fds = NULL;
    int pair[2];

    g_assert_cmpint(pipe2(pair, O_CLOEXEC), ==, 0);
    fds = g_unix_fd_list_new_from_array(&pair[1], 1); /* takes it over */
    g_dbus_method_invocation_return_value_with_unix_fd_list(ask, g_variant_new("(h)", 0), fds);
    if (mock->inhibitor >= 0)
        close(mock->inhibitor);
    mock->inhibitor = pair[0];
}

static void on_ask(GDBusConnection *bus, const char *sender, const char *path,
                   const char *interface, const char *method, GVariant *parameters,
                   GDBusMethodInvocation *ask, gpointer user_data)
{
    Mock *mock = user_data;

    (void)bus;
    (void)sender;
    (void)path;
    (void)interface;
    g_assert_cmpstr(method, ==, "Inhibit");
    mock->calls++;
    g_free(mock->arguments);
    mock->arguments = g_variant_print(parameters, FALSE);
    if (mock->silent)
        g_queue_push_tail(&mock->asks, ask);
    else
        grant(mock, ask);
}

static void mock_arrive(Mock *mock, const BusRig *rig)
{
    static const GDBusInterfaceVTable VTABLE = {.method_call = on_ask};
    g_autoptr(GDBusNodeInfo) info = g_dbus_node_info_new_for_xml(XML, NULL);
    g_autoptr(GVariant) reply = NULL;

    mock->bus = bus_rig_connect(rig, NULL);
    g_assert_nonnull(mock->bus);
    g_assert_cmpuint(g_dbus_connection_register_object(mock->bus, PATH, info->interfaces[0],
                                                       &VTABLE, mock, NULL, NULL),
                     !=, 0);
    reply = g_dbus_connection_call_sync(mock->bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                        "org.freedesktop.DBus", "RequestName",
                                        g_variant_new("(su)", BUS_NAME, 0), NULL,
                                        G_DBUS_CALL_FLAGS_NONE, -1, NULL, NULL);
    g_assert_nonnull(reply);
}

static void mock_leave(Mock *mock)
{
    GDBusMethodInvocation *ask = NULL;

    while ((ask = g_queue_pop_head(&mock->asks)))
        g_dbus_method_invocation_return_dbus_error(ask, "org.example.Gone", "leaving");
    if (mock->bus)
        bus_rig_disconnect(g_steal_pointer(&mock->bus));
}

static void emit(GDBusConnection *bus, const char *name, GVariant *parameters)
{
    g_assert_true(
        g_dbus_connection_emit_signal(bus, NULL, PATH, INTERFACE, name, parameters, NULL));
    (void)loop_for(MSEC(50));
}

static bool is_let_go(const Mock *mock)
{
    struct pollfd end = {.fd = mock->inhibitor};

    g_assert_cmpint(mock->inhibitor, >=, 0);
    return poll(&end, 1, 0) == 1 && (end.revents & POLLHUP);
}

/* --- the fixture -------------------------------------------------------------------------------
 */

static void on_going(bool suspend, gpointer user_data)
{
    Fixture *fixture = user_data;

    if (suspend)
        fixture->suspends++;
    else
        fixture->shutdowns++;
}

static void set_up(Fixture *fixture, gconstpointer data)
{
    fixture->rig = (BusRig *)data;
    fixture->mock.inhibitor = -1;
    g_queue_init(&fixture->mock.asks);
    fixture->logind = logind_new(on_going, fixture);
}

static void set_up_all(Fixture *fixture, gconstpointer data)
{
    set_up(fixture, data);
    bus_rig_start(fixture->rig);
    mock_arrive(&fixture->mock, fixture->rig);
}

static void tear_down(Fixture *fixture, gconstpointer data)
{
    (void)data;
    logind_free(fixture->logind);
    mock_leave(&fixture->mock);
    (void)loop_for(MSEC(20));
    bus_rig_stop(fixture->rig);
    (void)loop_for(MSEC(20));
    g_free(fixture->mock.arguments);
    if (fixture->mock.inhibitor >= 0)
        close(fixture->mock.inhibitor);
}

static void hold(Fixture *fixture)
{
    int64_t before = deadline_now();

    logind_hold(fixture->logind);
    g_assert_cmpint(deadline_now() - before, <, AT_ONCE);
}

static void hold_and_wait(Fixture *fixture)
{
    hold(fixture);
    loop_until(logind_inhibits(fixture->logind));
    g_assert_false(is_let_go(&fixture->mock));
}

/* --- the inhibitor -----------------------------------------------------------------------------
 */

static void held_from_hold_to_release(Fixture *fixture, gconstpointer data)
{
    (void)data;
    (void)loop_for(MSEC(50));
    g_assert_cmpuint(fixture->mock.calls, ==, 0);
    hold_and_wait(fixture);
    g_assert_cmpstr(fixture->mock.arguments, ==,
                    "('sleep:shutdown', 'quiesced', 'filesystems are frozen for a snapshot', "
                    "'delay')");
    hold(fixture); /* again is no harm */
    (void)loop_for(MSEC(100));
    g_assert_cmpuint(fixture->mock.calls, ==, 1);
    g_assert_false(is_let_go(&fixture->mock));
    logind_release(fixture->logind);
    g_assert_false(logind_inhibits(fixture->logind));
    g_assert_true(is_let_go(&fixture->mock));
    logind_release(fixture->logind);
    hold_and_wait(fixture); /* the next one is asked for anew */
    g_assert_cmpuint(fixture->mock.calls, ==, 2);
}

static void a_release_while_asking_lets_go_at_once(Fixture *fixture, gconstpointer data)
{
    (void)data;
    fixture->mock.silent = true;
    hold(fixture);
    loop_until(fixture->mock.calls == 1);
    logind_release(fixture->logind);
    grant(&fixture->mock, g_queue_pop_head(&fixture->mock.asks));
    loop_until(is_let_go(&fixture->mock));
    g_assert_false(logind_inhibits(fixture->logind));
}

static void held_again_while_asking_it_is_kept(Fixture *fixture, gconstpointer data)
{
    (void)data;
    fixture->mock.silent = true;
    hold(fixture);
    loop_until(fixture->mock.calls == 1);
    logind_release(fixture->logind);
    hold(fixture);
    grant(&fixture->mock, g_queue_pop_head(&fixture->mock.asks));
    loop_until(logind_inhibits(fixture->logind));
    g_assert_false(is_let_go(&fixture->mock));
    g_assert_cmpuint(fixture->mock.calls, ==, 1);
}

static void freed_it_lets_go(Fixture *fixture, gconstpointer data)
{
    (void)data;
    hold_and_wait(fixture);
    g_clear_pointer(&fixture->logind, logind_free);
    g_assert_true(is_let_go(&fixture->mock));
}

/* --- the machine is going ----------------------------------------------------------------------
 */

static void told_only_while_held(Fixture *fixture, gconstpointer data)
{
    GDBusConnection *bus = fixture->mock.bus;

    (void)data;
    emit(bus, "PrepareForSleep", g_variant_new("(b)", TRUE));
    hold_and_wait(fixture);
    g_assert_cmpuint(fixture->suspends + fixture->shutdowns, ==, 0);
    emit(bus, "PrepareForSleep", g_variant_new("(b)", TRUE));
    loop_until(fixture->suspends == 1);
    g_assert_cmpuint(fixture->shutdowns, ==, 0);
    emit(bus, "PrepareForShutdown", g_variant_new("(b)", TRUE));
    loop_until(fixture->shutdowns == 1);
    g_assert_cmpuint(fixture->suspends, ==, 1);
    logind_release(fixture->logind);
    emit(bus, "PrepareForSleep", g_variant_new("(b)", TRUE));
    emit(bus, "PrepareForShutdown", g_variant_new("(b)", TRUE));
    g_assert_cmpuint(fixture->suspends + fixture->shutdowns, ==, 2);
}

static void other_signals_are_nothing(Fixture *fixture, gconstpointer data)
{
    GDBusConnection *bus = fixture->mock.bus;
    GDBusConnection *stranger = bus_rig_connect(fixture->rig, NULL);

    (void)data;
    hold_and_wait(fixture);
    emit(bus, "PrepareForSleep", g_variant_new("(b)", FALSE)); /* it woke up */
    emit(bus, "PrepareForShutdown", g_variant_new("(b)", FALSE));
    emit(bus, "PrepareForSleep", g_variant_new("(s)", "true"));
    emit(bus, "PrepareForSleep", NULL);
    emit(bus, "SessionNew", g_variant_new("(b)", TRUE));
    emit(stranger, "PrepareForShutdown", g_variant_new("(b)", TRUE));
    g_assert_cmpuint(fixture->suspends + fixture->shutdowns, ==, 0);
    bus_rig_disconnect(stranger);
}

/* --- nobody there ------------------------------------------------------------------------------
 */

static void without_a_bus_the_next_hold_tries_again(Fixture *fixture, gconstpointer data)
{
    (void)data;
    hold(fixture);
    (void)loop_for(MSEC(100));
    g_assert_false(logind_inhibits(fixture->logind));
    bus_rig_start(fixture->rig);
    mock_arrive(&fixture->mock, fixture->rig);
    hold_and_wait(fixture);
}

static void without_logind_the_next_hold_tries_again(Fixture *fixture, gconstpointer data)
{
    (void)data;
    mock_leave(&fixture->mock);
    hold(fixture);
    (void)loop_for(MSEC(100));
    g_assert_false(logind_inhibits(fixture->logind));
    mock_arrive(&fixture->mock, fixture->rig);
    hold_and_wait(fixture);
}

static void a_logind_that_never_answers_is_asked_again(Fixture *fixture, gconstpointer data)
{
    int64_t before = deadline_now();

    (void)data;
    fixture->mock.silent = true;
    hold(fixture);
    loop_until(fixture->mock.calls == 1);
    while (fixture->mock.calls == 1 && deadline_now() - before < LOOP_WAIT_US) {
        hold(fixture);
        (void)loop_for(MSEC(50));
    }
    g_assert_cmpuint(fixture->mock.calls, ==, 2);
    g_assert_cmpint(deadline_now() - before, >=, MSEC(LOGIND_CALL_MS)); /* not one upon another */
    grant(&fixture->mock, g_queue_pop_head(&fixture->mock.asks));       /* the first, too late */
    loop_until(is_let_go(&fixture->mock));
    g_assert_false(logind_inhibits(fixture->logind));
    grant(&fixture->mock, g_queue_pop_head(&fixture->mock.asks));
    loop_until(logind_inhibits(fixture->logind));
    g_assert_false(is_let_go(&fixture->mock));
}

static void lose_the_bus(Fixture *fixture)
{
    bus_rig_stop(fixture->rig);
    mock_leave(&fixture->mock);
    (void)loop_for(MSEC(50));
}

static void works_again(Fixture *fixture)
{
    bus_rig_start(fixture->rig);
    fixture->mock.silent = false;
    mock_arrive(&fixture->mock, fixture->rig);
    hold_and_wait(fixture);
    emit(fixture->mock.bus, "PrepareForSleep", g_variant_new("(b)", TRUE));
    loop_until(fixture->suspends == 1);
}

static void a_bus_that_dies_is_connected_to_again(Fixture *fixture, gconstpointer data)
{
    (void)data;
    hold_and_wait(fixture);
    lose_the_bus(fixture);
    g_assert_true(logind_inhibits(fixture->logind)); /* it is logind's, not the bus's */
    logind_release(fixture->logind);
    hold(fixture); /* while it is away */
    (void)loop_for(MSEC(100));
    g_assert_false(logind_inhibits(fixture->logind));
    works_again(fixture);
}

static void a_bus_that_dies_while_asking(Fixture *fixture, gconstpointer data)
{
    (void)data;
    fixture->mock.silent = true;
    hold(fixture);
    loop_until(fixture->mock.calls == 1);
    lose_the_bus(fixture);
    works_again(fixture);
}

/* The connection is shared with whoever else in the process is on the bus. */
static void a_dead_connection_that_others_keep_is_not_spun_on(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GDBusConnection) shared = g_bus_get_sync(G_BUS_TYPE_SYSTEM, NULL, NULL);

    (void)data;
    g_dbus_connection_set_exit_on_close(shared, FALSE);
    hold_and_wait(fixture);
    logind_release(fixture->logind);
    lose_the_bus(fixture);
    hold(fixture);
    g_assert_cmpuint(loop_for(MSEC(200)), <, 100);
    works_again(fixture);
}

/* --- freed in the middle -----------------------------------------------------------------------
 */

static void freed_while_connecting(Fixture *fixture, gconstpointer data)
{
    (void)data;
    hold(fixture);
    g_clear_pointer(&fixture->logind, logind_free);
    (void)loop_for(MSEC(100));
    g_assert_cmpuint(fixture->mock.calls, ==, 0);
    logind_free(NULL);
}

static void freed_while_asking(Fixture *fixture, gconstpointer data)
{
    (void)data;
    fixture->mock.silent = true;
    hold(fixture);
    loop_until(fixture->mock.calls == 1);
    g_clear_pointer(&fixture->logind, logind_free);
    (void)loop_for(MSEC(50));
    grant(&fixture->mock, g_queue_pop_head(&fixture->mock.asks));
    loop_until(is_let_go(&fixture->mock)); /* nobody keeps the late one open */
}

#define ADD(function, begin)                                                                       \
    g_test_add("/logind/" #function, Fixture, rig, begin, function, tear_down)

int main(int argc, char **argv)
{
    BusRig *rig = bus_rig_new();
    int status = 0;

    g_test_init(&argc, &argv, NULL);
    if (!rig) {
        puts("1..0 # SKIP there is no dbus-daemon");
        return 0;
    }
    alarm(120); /* a call that waits for the mock fails instead */
    ADD(held_from_hold_to_release, set_up_all);
    ADD(a_release_while_asking_lets_go_at_once, set_up_all);
    ADD(held_again_while_asking_it_is_kept, set_up_all);
    ADD(freed_it_lets_go, set_up_all);
    ADD(told_only_while_held, set_up_all);
    ADD(other_signals_are_nothing, set_up_all);
    ADD(without_a_bus_the_next_hold_tries_again, set_up);
    ADD(without_logind_the_next_hold_tries_again, set_up_all);
    ADD(a_logind_that_never_answers_is_asked_again, set_up_all);
    ADD(a_bus_that_dies_is_connected_to_again, set_up_all);
    ADD(a_bus_that_dies_while_asking, set_up_all);
    ADD(a_dead_connection_that_others_keep_is_not_spun_on, set_up_all);
    ADD(freed_while_connecting, set_up_all);
    ADD(freed_while_asking, set_up_all);
    status = g_test_run();
    bus_rig_free(rig);
    return status;
}
