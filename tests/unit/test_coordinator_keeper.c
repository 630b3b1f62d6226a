/*
 * Tests of the coordinator without its keeper: not there yet, killed or silent in each state.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "coordinator_rig_files.h"
#include "coordinator_rig_requests.h"
#include "quiesce/filesystems_internal.h"

#include <signal.h>
#include <string.h>

#define ENDED "quiesce failed: keeper: filesystem: the keeper ended"

static MachineState state(const Rig *rig)
{
    return coordinator_state(rig->coordinator);
}

static bool lost_connection(const Rig *rig)
{
    return !coordinator_ready(rig->coordinator, NULL);
}

static const char *not_ready_as(const Rig *rig)
{
    const char *reason = NULL;

    g_assert_false(coordinator_ready(rig->coordinator, &reason));
    return reason;
}

/* The keeper that systemd or the service starts next serves the next freeze. */
static void the_next_one_works(Rig *rig)
{
    rig_settle(rig);
    rig_await(rig, coordinator_ready(rig->coordinator, NULL));
    rig_hold(rig);
    rig_thaws(rig, rig->filesystems->len);
}

/* --- without a keeper --------------------------------------------------------------------------
 */

static void a_freeze_waits_for_a_keeper_that_is_being_started(void)
{
    g_autoptr(Rig) rig = rig_new("a");

    rig_write(rig, "keeper-late", "");
    rig_start_early(rig);
    g_assert_false(coordinator_ready(rig->coordinator, NULL));
    rig_hold(rig);
    rig_thaws(rig, 1);
}

static void a_keeper_that_does_not_come_fails_the_freeze(void)
{
    static const char TEXT[] = "quiesce failed: agent: prepare: the keeper has not answered yet";
    g_autoptr(Rig) rig = rig_new("a");
    const FreezeRequest request = {.channel = "test", .budget_us = MSEC(1500), .level = -1};
    Reply freeze;

    rig_hook(rig, "10-app", "");
    rig_write(rig, "keeper-mute", "");
    rig_start_early(rig);
    rig_await(rig, g_str_has_suffix(TEXT, not_ready_as(rig)));
    rig_freeze(rig, NULL, &freeze);
    rig_fires_after(rig->coordinator->keeper_timer, COORDINATOR_KEEPER_US);
    rig_answered(rig, &freeze);
    assert_failed(&freeze, TEXT);
    rig_freeze(rig, &request, &freeze); /* and never later than the host waits */
    rig_answered(rig, &freeze);
    assert_failed(&freeze, TEXT);
    g_assert_cmpint(freeze.took_us, <, COORDINATOR_KEEPER_US / 2);
    assert_hooks(rig, "");
}

/* --- killed ------------------------------------------------------------------------------------
 */

static void killed_in_thawed(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    const char *reason = NULL;

    rig_start(rig);
    rig_signal_keeper(rig, SIGKILL);
    rig_await(rig, lost_connection(rig));
    (void)coordinator_ready(rig->coordinator, &reason);
    g_assert_cmpstr(reason, ==, "the keeper ended");
    g_assert_cmpint(state(rig), ==, STATE_THAWED);
    the_next_one_works(rig);
}

/* Each waits longer than the one before until it is connected to; a freeze does not. */
static void one_that_died_often_is_there_for_a_freeze(void)
{
    g_autoptr(Rig) rig = rig_new("a");

    rig_start(rig);
    for (unsigned i = 0; i < 9; i++) {
        rig_signal_keeper(rig, SIGKILL);
        rig_await(rig, lost_connection(rig));
        the_next_one_works(rig);
    }
}

/* Late by more than a level waits for it, but within the thaw budget: no error, and no success
 * before it is true. */
static void a_slow_thaw_is_answered_when_it_is_done(void)
{
    g_autoptr(Rig) rig = rig_new("a b");
    Reply thaw;

    rig_start(rig);
    rig_hold(rig);
    rig_write(rig, "fs/b/.inject", "thaw delay 900\n");
    rig_thaw(rig, &thaw);
    rig_answered(rig, &thaw);
    assert_ok(&thaw, 2);
    g_assert_cmpint(thaw.took_us, >=, MSEC(800));
    g_assert_false(rig_frozen(rig));
}

static void killed_while_it_stands(const char *verb, const char *hooks)
{
    g_autoptr(Rig) rig = rig_new("a");
    g_autofree char *call = g_strdup_printf("10-app %s", verb);
    g_autofree char *calls = NULL;
    Reply freeze;

    rig_hook(rig, "10-app", RIG_STANDS_AT("prepare") RIG_STANDS_AT("freeze"));
    if (!g_str_equal(verb, "prepare"))
        rig_write(rig, "go-prepare", "");
    rig_start(rig);
    rig_freeze(rig, NULL, &freeze);
    rig_await(rig, rig_called(rig, call));
    rig_await(rig, rig->coordinator->operation->stage->state == FS_READY);
    rig_signal_keeper(rig, SIGKILL);
    rig_answered(rig, &freeze);
    assert_failed(&freeze, ENDED);
    g_assert_cmpint(state(rig), ==, STATE_THAWED);
    g_assert_false(coordinator_verdict_pending(rig->coordinator));
    rig_settle(rig);
    assert_hooks(rig, hooks);
    calls = rig_calls(rig, "a");
    g_assert_null(strstr(calls, "freeze"));
    rig_write(rig, "go-prepare", "");
    rig_write(rig, "go-freeze", "");
    the_next_one_works(rig);
}

static void killed_in_preparing(void)
{
    killed_while_it_stands("prepare", "10-app prepare, 10-app abort");
}

static void killed_while_participants_freeze(void)
{
    killed_while_it_stands("freeze", "10-app prepare, 10-app freeze, 10-app abort");
}

/* a is frozen, b is not yet: the coordinator thaws by its own fds. */
static void killed_while_filesystems_freeze(void)
{
    g_autoptr(Rig) rig = rig_new("a b");
    Reply freeze;

    rig_hook(rig, "10-app", "");
    rig_write(rig, "fs/b/.inject", "freeze delay 60000\n");
    rig_start(rig);
    rig_freeze(rig, NULL, &freeze);
    rig_await(rig, rig_exists(rig, "fs/a/.frozen"));
    g_assert_cmpint(state(rig), ==, STATE_FREEZING);
    rig_signal_keeper(rig, SIGKILL);
    rig_answered(rig, &freeze);
    assert_failed(&freeze, ENDED);
    g_assert_false(rig_frozen(rig));
    g_assert_false(coordinator_verdict_pending(rig->coordinator));
    rig_write(rig, "fs/b/.inject", "");
    the_next_one_works(rig);
}

static void participants_wait_two_seconds_for_a_stuck_freeze(void)
{
    g_autoptr(Rig) rig = rig_new("a b");
    Reply freeze;
    int64_t began;

    rig_hook(rig, "10-app", "");
    rig_write(rig, "fs/b/.inject", "freeze hang\n");
    rig_start(rig);
    rig_freeze(rig, NULL, &freeze);
    rig_await(rig, rig_exists(rig, "fs/a/.frozen"));
    rig_signal_keeper(rig, SIGKILL);
    began = deadline_now();
    rig_await(rig, rig_called(rig, "10-app abort"));
    g_assert_cmpint(deadline_now() - began, <, FS_THAW_WAIT_US + MSEC(1500));
}

static void killed_in_frozen(void)
{
    g_autoptr(Rig) rig = rig_new("a b");

    rig_hook(rig, "10-app", "");
    rig_start(rig);
    rig_hold(rig);
    rig_signal_keeper(rig, SIGKILL);
    rig_await(rig, !rig_frozen(rig));
    rig_await(rig, state(rig) == STATE_LOST);
    rig_settle(rig);
    assert_hooks(rig, "10-app prepare, 10-app freeze, 10-app abort");
    g_assert_cmpint(rig_report(rig)->ended_by, ==, ENDED_BY_KEEPER_DEATH);
    rig_told_once(rig, "fsfreeze is limited up to 300 seconds: not held until thaw: "
                       "the keeper ended after 0\\.[0-9] s");
    the_next_one_works(rig);
}

static void killed_in_thawing(void)
{
    g_autoptr(Rig) rig = rig_new("a b");
    Reply thaw;

    rig_write(rig, "fs/b/.inject", "thaw delay 300\n");
    rig_start(rig);
    rig_hold(rig);
    rig_thaw(rig, &thaw);
    rig_await(rig, !rig_exists(rig, "fs/a/.frozen"));
    rig_signal_keeper(rig, SIGKILL);
    rig_answered(rig, &thaw);
    g_assert_false(rig_frozen(rig));
    assert_ok(&thaw, 2);
    g_assert_true(thaw.held);
    rig_write(rig, "fs/b/.inject", "");
    the_next_one_works(rig);
}

static void killed_in_aborting(void)
{
    g_autoptr(Rig) rig = rig_new("a b");
    Reply freeze;

    rig_write(rig, "fs/a/.inject", "thaw delay 300\n");
    rig_write(rig, "fs/b/.inject", "freeze delay 200\nfreeze EIO\n");
    rig_start(rig);
    rig_freeze(rig, NULL, &freeze);
    rig_await(rig, state(rig) == STATE_ABORTING);
    rig_signal_keeper(rig, SIGKILL);
    rig_answered(rig, &freeze);
    assert_failed_like(&freeze, "quiesce failed: .*/fs/b: filesystem: FIFREEZE: .*");
    rig_await(rig, !rig_frozen(rig));
    rig_write(rig, "fs/a/.inject", "");
    rig_write(rig, "fs/b/.inject", "");
    the_next_one_works(rig);
}

static void killed_in_lost(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    const FreezeRequest request = {.channel = "test", .limit_us = MSEC(3000), .level = -1};
    Reply freeze;

    rig_start(rig);
    rig_freeze(rig, &request, &freeze);
    rig_await(rig, state(rig) == STATE_LOST);
    rig_settle(rig);
    rig_signal_keeper(rig, SIGKILL);
    rig_await(rig, lost_connection(rig));
    g_assert_cmpint(state(rig), ==, STATE_LOST);
    rig_told_once(rig, ".*the frozen limit passed.*");
    the_next_one_works(rig);
}

/* --- silent ------------------------------------------------------------------------------------
 */

static void one_that_hangs_is_given_up(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    pid_t hung;

    rig_start(rig);
    rig_hold(rig);
    hung = rig_keeper(rig);
    g_assert_cmpint(kill(hung, SIGSTOP), ==, 0);
    rig_await(rig, !rig_frozen(rig));
    rig_await(rig, state(rig) == STATE_LOST);
    (void)kill(hung, SIGKILL); /* the coordinator may have done it */
    rig_told_once(rig, ".*: not held until thaw: the keeper (does not answer|ended) after .*");
}

/* Ten of its ticks are less than one of the service's beats: it must take the service for hung. */
static void one_that_hears_nothing_thaws(void)
{
    g_autoptr(Rig) rig = rig_new("a");

    g_setenv("QUIESCED_FAKE_TICK_MS", "40", TRUE);
    rig_start(rig);
    g_unsetenv("QUIESCED_FAKE_TICK_MS");
    rig_hold(rig);
    rig_await(rig, state(rig) == STATE_LOST);
    rig_settle(rig);
    g_assert_cmpint(rig_report(rig)->ended_by, ==, ENDED_BY_SERVICE_DEATH);
    rig_told_once(rig, ".*: the service did not answer its keeper after .*");
}

/* SIGTERM to the keeper alone: package upgrade, systemctl stop. */
static void one_that_is_stopped_thaws(void)
{
    g_autoptr(Rig) rig = rig_new("a");

    rig_start(rig);
    rig_hold(rig);
    rig_signal_keeper(rig, SIGTERM);
    rig_await(rig, state(rig) == STATE_LOST);
    rig_settle(rig);
    g_assert_cmpint(rig_report(rig)->ended_by, ==, ENDED_BY_STOP);
    rig_told_once(rig, ".*: the keeper was stopped after .*");
}

#define ADD(function) g_test_add_func("/coordinator_keeper/" #function, function)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD(a_freeze_waits_for_a_keeper_that_is_being_started);
    ADD(a_keeper_that_does_not_come_fails_the_freeze);
    ADD(killed_in_thawed);
    ADD(one_that_died_often_is_there_for_a_freeze);
    ADD(a_slow_thaw_is_answered_when_it_is_done);
    ADD(killed_in_preparing);
    ADD(killed_while_participants_freeze);
    ADD(killed_while_filesystems_freeze);
    ADD(participants_wait_two_seconds_for_a_stuck_freeze);
    ADD(killed_in_frozen);
    ADD(killed_in_thawing);
    ADD(killed_in_aborting);
    ADD(killed_in_lost);
    ADD(one_that_hangs_is_given_up);
    ADD(one_that_hears_nothing_thaws);
    ADD(one_that_is_stopped_thaws);
    return g_test_run();
}
