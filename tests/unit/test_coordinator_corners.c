/*
 * Tests of the coordinator's corners: two things at once, somebody who leaves, a timer that is
 * late.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "coordinator_rig_files.h"
#include "coordinator_rig_requests.h"

#include <glib/gstdio.h>
#include <signal.h>

static MachineState state(const Rig *rig)
{
    return coordinator_state(rig->coordinator);
}

static void freeze_only(Rig *rig)
{
    rig_freeze(rig, NULL, g_new0(Reply, 1));
}

/* A freeze lost at once by the keeper's stop, its abort not ended yet. */
static void lose_while_releasing(Rig *rig)
{
    rig_hook(rig, "10-slow", RIG_STANDS_AT("abort"));
    rig_start(rig);
    rig_hold(rig);
    rig_signal_keeper(rig, SIGTERM);
    rig_await(rig, state(rig) == STATE_LOST);
    rig_await(rig, rig_called(rig, "10-slow abort"));
    rig_await(rig, coordinator_ready(rig->coordinator, NULL));
}

/* Only a limit that is late means that the machine was paused and gives the host some grace. */
static void the_own_limit_is_not_taken_for_late(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    bool extended;

    rig_start(rig);
    rig_hold(rig);
    rig_fires_after(rig->coordinator->limit_timer, 301 * USEC_PER_SEC);
    rig_await(rig, rig->coordinator->limit_extended || state(rig) == STATE_LOST);
    extended = rig->coordinator->limit_extended;
    g_assert_false(extended);
}

/* A freeze that is being rolled back still has its waiter when a sync comes behind it. */
static void a_detach_during_the_roll_back_is_no_defect(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    Reply freeze;

    rig_hook(rig, "10-slow", "[ $1 != freeze ] || exit 1\n" RIG_STANDS_AT("abort"));
    rig_start(rig);
    rig_freeze(rig, NULL, &freeze);
    rig_await(rig, rig_called(rig, "10-slow abort"));
    coordinator_detach(rig->coordinator, &freeze, false);
    rig_write(rig, "go-abort", "");
    rig_answered(rig, &freeze);
    assert_failed(&freeze, "quiesce failed: slow: freeze: exit status 1");
}

static void the_window_does_not_end_under_a_thaw(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    Reply thaw;

    lose_while_releasing(rig);
    rig_fires_in(rig->coordinator->window_timer, MSEC(500));
    rig_thaw(rig, &thaw);
    g_assert_cmpint(state(rig), ==, STATE_THAWING);
    rig_await(rig, !rig->coordinator->window_timer);
    rig_write(rig, "go-abort", "");
    rig_answered(rig, &thaw);
    g_assert_cmpint(thaw.kind, ==, ANSWER_ERROR);
}

/* Releasing what was lost must not take away the timer of the new request. */
static void a_freeze_in_lost_keeps_its_reply_budget(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    const FreezeRequest request = {.channel = "test", .budget_us = MSEC(600), .level = -1};
    Reply freeze;

    lose_while_releasing(rig);
    rig_freeze(rig, &request, &freeze);
    g_assert_nonnull(rig->coordinator->reply_timer);
    rig_answered(rig, &freeze);
    assert_failed(&freeze, "quiesce failed: slow: agent: still being released");
    rig_write(rig, "go-abort", "");
}

/* The release was told already, and its participant is slow. */
static void a_stop_in_lost_ends(void)
{
    g_autoptr(Rig) rig = rig_new("a");

    rig->config->quiesce.abort_budget_us = MSEC(300);
    lose_while_releasing(rig);
    rig_await(rig, rig->coordinator->operation->told);
    rig_stop(rig);
    rig_await(rig, rig->stopped);
    rig_write(rig, "go-abort", "");
}

static void a_host_that_left_does_not_take_the_verdict_with_it(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    Reply thaw, next;

    lose_while_releasing(rig);
    rig_thaw(rig, &thaw);
    coordinator_detach(rig->coordinator, &thaw, true);
    rig_write(rig, "go-abort", "");
    rig_settle(rig);
    rig_thaw(rig, &next);
    rig_answered(rig, &next);
    g_assert_cmpuint(thaw.calls, ==, 0);
    g_assert_cmpint(next.kind, ==, ANSWER_ERROR);
}

static void further_participants_are_counted(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    Reply freeze;

    rig_hook(rig, "10-one", "[ $1 != freeze ] || exit 1");
    rig_hook(rig, "10-two", "[ $1 != freeze ] || exit 1");
    rig_start(rig);
    rig_freeze(rig, NULL, &freeze);
    rig_answered(rig, &freeze);
    assert_failed_like(&freeze,
                       "quiesce failed: (one|two): freeze: exit status 1 \\(and 1 more\\)");
}

static bool ledger_says(const Rig *rig, unsigned index, KeeperFilesystemState wanted)
{
    g_autofree char *path = g_build_filename(rig->root, "run/ledger", NULL);
    g_autofree char *bytes = NULL;
    size_t at = sizeof(KeeperLedgerHeader) + index * sizeof(KeeperLedgerFilesystem), size = 0;

    g_assert_true(g_file_get_contents(path, &bytes, &size, NULL));
    return size >= at + sizeof(KeeperLedgerFilesystem) &&
           ((const KeeperLedgerFilesystem *)(const void *)(bytes + at))->state == wanted;
}

/* An idle keeper says nothing about another one that is still in the kernel; only the one that the
 * ledger names can. The stopped keeper stands for one that is in
 * D state, the mark for its FIFREEZE that completes. */
static void what_completes_late_is_thawed_by_recovery(void)
{
    g_autoptr(Rig) rig = rig_new("a b");
    pid_t keeper;

    rig_write(rig, "fs/b/.inject", "freeze hang\n");
    rig_victim(rig, freeze_only, "freezing");
    rig_await(rig, ledger_says(rig, 0, KEEPER_FS_FROZEN));
    rig_await(rig, ledger_says(rig, 1, KEEPER_FS_IN_FLIGHT));
    keeper = rig_keeper(rig);
    g_assert_cmpint(kill(keeper, SIGSTOP), ==, 0);
    rig_kill_victim(rig);
    rig_start(rig);
    rig_await(rig, !rig_exists(rig, "fs/a/.frozen"));
    for (unsigned i = 0; i < 100; i++)
        rig_turn(rig);
    rig_write(rig, "fs/b/.frozen", "");
    g_assert_cmpint(kill(keeper, SIGKILL), ==, 0);
    rig_await(rig, !rig_frozen(rig));
    rig_settle(rig);
}

/* What is left would not do for a freeze: it would fail, and the request that joins has time. */
static void prepared_with_little_time_left_asks_again(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    const FreezeRequest request = {.channel = "test", .budget_us = 4 * USEC_PER_SEC, .level = -1};
    int64_t reserve = MIN(rig->config->quiesce.abort_budget_us, 2 * USEC_PER_SEC);
    Reply freeze;

    rig_hook(rig, "10-slow", RIG_STANDS_AT("prepare") RIG_STANDS_AT("freeze"));
    rig_start(rig);
    rig_freeze(rig, &request, &freeze);
    rig_await(rig, rig_called(rig, "10-slow prepare"));
    rig->coordinator->reply_deadline = deadline_in(reserve + COORDINATOR_FREEZING_US - MSEC(10));
    rig_write(rig, "go-prepare", "");
    rig_answered(rig, &freeze);
    assert_failed_like(&freeze, "quiesce failed: [a-z]+: prepare: still running after .*ask again");
    rig_freeze(rig, &request, &freeze);
    rig_await(rig, rig_called(rig, "10-slow freeze"));
    rig_write(rig, "go-freeze", "");
    rig_answered(rig, &freeze);
    assert_ok(&freeze, 1);
    rig_thaws(rig, 1);
    assert_hooks(rig, "10-slow prepare, 10-slow freeze, 10-slow thaw");
}

#define ADD(function) g_test_add_func("/coordinator_corners/" #function, function)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD(the_own_limit_is_not_taken_for_late);
    ADD(a_detach_during_the_roll_back_is_no_defect);
    ADD(the_window_does_not_end_under_a_thaw);
    ADD(a_freeze_in_lost_keeps_its_reply_budget);
    ADD(a_stop_in_lost_ends);
    ADD(a_host_that_left_does_not_take_the_verdict_with_it);
    ADD(further_participants_are_counted);
    ADD(prepared_with_little_time_left_asks_again);
    ADD(what_completes_late_is_thawed_by_recovery);
    return g_test_run();
}
