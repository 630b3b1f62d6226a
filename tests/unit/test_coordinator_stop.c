/*
 * Tests of the coordinator: the orderly stop in each state, and what the next service is left with.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "coordinator_rig_files.h"
#include "coordinator_rig_requests.h"

#include <signal.h>

static MachineState state(const Rig *rig)
{
    return coordinator_state(rig->coordinator);
}

static void told_by_the_next(Rig *rig, const char *verdict)
{
    g_autofree char *hooks = rig_hooks(rig);

    rig_end(rig);
    rig_start(rig);
    g_assert_cmpint(state(rig), ==, STATE_LOST);
    rig_told_once(rig, verdict);
    assert_hooks(rig, hooks); /* nobody is aborted twice */
}

static void stopped_in_thawed(void)
{
    g_autoptr(Rig) rig = rig_new("a");

    rig_start(rig);
    rig_stop(rig);
    g_assert_true(rig->stopped);
}

static void stopped_before_frozen(Rig *rig, const char *call)
{
    Reply freeze;

    rig_start(rig);
    rig_freeze(rig, NULL, &freeze);
    rig_await(rig, rig_called(rig, call));
    rig_stop(rig);
    rig_await(rig, rig->stopped);
    assert_failed(&freeze, "quiesce failed: agent: cancelled: the service was stopped");
    g_assert_true(rig_called(rig, "10-app abort"));
    rig_end(rig);
    rig_start(rig);
    g_assert_cmpint(state(rig), ==, STATE_THAWED);
}

static void stopped_in_preparing(void)
{
    g_autoptr(Rig) rig = rig_new("a");

    rig_hook(rig, "10-app", RIG_STANDS_AT("prepare"));
    stopped_before_frozen(rig, "10-app prepare");
}

static void stopped_in_freezing(void)
{
    g_autoptr(Rig) rig = rig_new("a");

    rig_hook(rig, "10-app", RIG_STANDS_AT("freeze"));
    stopped_before_frozen(rig, "10-app freeze");
}

static void stopped_in_frozen(void)
{
    g_autoptr(Rig) rig = rig_new("a");

    rig_hook(rig, "10-app", "");
    rig_start(rig);
    rig_hold(rig);
    rig_stop(rig);
    rig_await(rig, rig->stopped);
    g_assert_false(rig_frozen(rig));
    g_assert_cmpint(state(rig), ==, STATE_LOST);
    told_by_the_next(rig,
                     "fsfreeze is limited up to 300 seconds: .*: the service was stopped after .*");
}

/* A stop waits for a hook no longer than for any other abort. */
static void a_stop_ends_within_the_abort_budget(void)
{
    g_autoptr(Rig) rig = rig_new("a");

    rig->config->quiesce.abort_budget_us = MSEC(300);
    rig_hook(rig, "10-app", RIG_STANDS_AT("abort"));
    rig_start(rig);
    rig_hold(rig);
    rig_stop(rig);
    rig_await(rig, rig->stopped);
    g_assert_false(rig_frozen(rig));
    g_assert_false(rig_exists(rig, "go-abort"));
    rig_write(rig, "go-abort", "");
}

static void stopped_in_thawing(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    Reply thaw;

    rig_hook(rig, "10-app", RIG_STANDS_AT("thaw"));
    rig_start(rig);
    rig_hold(rig);
    rig_thaw(rig, &thaw);
    rig_await(rig, rig_called(rig, "10-app thaw"));
    rig_stop(rig);
    g_assert_false(rig->stopped);
    rig_write(rig, "go-thaw", "");
    rig_await(rig, rig->stopped);
    assert_ok(&thaw, 1);
    g_assert_false(coordinator_verdict_pending(rig->coordinator));
}

static void stopped_in_aborting(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    Reply freeze;

    rig_hook(rig, "10-app", "[ $1 != freeze ] || exit 1\n" RIG_STANDS_AT("abort"));
    rig_start(rig);
    rig_freeze(rig, NULL, &freeze);
    rig_await(rig, rig_called(rig, "10-app abort"));
    rig_stop(rig);
    g_assert_false(rig->stopped);
    rig_write(rig, "go-abort", "");
    rig_await(rig, rig->stopped);
    assert_failed(&freeze, "quiesce failed: app: freeze: exit status 1");
}

static void stopped_in_lost(void)
{
    g_autoptr(Rig) rig = rig_new("a");

    rig_start(rig);
    rig_hold(rig);
    rig_signal_keeper(rig, SIGKILL);
    rig_await(rig, state(rig) == STATE_LOST);
    rig_settle(rig);
    rig_stop(rig);
    g_assert_true(rig->stopped);
    told_by_the_next(rig, "fsfreeze is limited up to 300 seconds: .*: the keeper ended after .*");
}

static void count(gpointer user_data)
{
    (*(unsigned *)user_data)++;
}

/* The host shuts the machine down while the service is being stopped: both are told. */
static void two_stops_at_once(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    Reply freeze;
    unsigned told = 0;

    rig_hook(rig, "10-app", ":");
    rig_start(rig);
    rig_freeze(rig, NULL, &freeze);
    rig_await(rig, state(rig) == STATE_FROZEN);
    coordinator_stop(rig->coordinator, ENDED_BY_SHUTDOWN, "the host shuts the machine down", count,
                     &told);
    rig_stop(rig);
    rig_await(rig, rig->stopped && told > 0);
    g_assert_cmpuint(told, ==, 1);
}

#define ADD(function) g_test_add_func("/coordinator_stop/" #function, function)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD(stopped_in_thawed);
    ADD(stopped_in_preparing);
    ADD(stopped_in_freezing);
    ADD(stopped_in_frozen);
    ADD(a_stop_ends_within_the_abort_budget);
    ADD(stopped_in_thawing);
    ADD(stopped_in_aborting);
    ADD(stopped_in_lost);
    ADD(two_stops_at_once);
    return g_test_run();
}
