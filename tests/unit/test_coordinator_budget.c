/*
 * Tests of the coordinator: freezes that nobody waits for any more (thaw, detach), the budgets of
 * every part, the preparation that is joined, and what is left when a release takes too long.
 *
 * Timers of many seconds are not waited for: their time is checked, then they are moved to now.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "coordinator_rig_files.h"
#include "coordinator_rig_requests.h"

#include <string.h>

/* --- a thaw ends a freeze ----------------------------------------------------------------------
 */

static void thaw_cancels(Rig *rig, Reply *freeze, const char *text)
{
    Reply thaw;

    rig_thaw(rig, &thaw);
    rig_answered(rig, &thaw);
    assert_failed(freeze, text);
    assert_ok(&thaw, 0);
    g_assert_cmpuint(freeze->turn, <, thaw.turn); /* the freeze's answer goes first */
    g_assert_cmpint(coordinator_state(rig->coordinator), ==, STATE_THAWED);
    g_assert_cmpint(rig_report(rig)->result, ==, REPORT_CANCELLED);
    g_assert_false(coordinator_verdict_pending(rig->coordinator));
}

static void a_thaw_ends_a_preparation(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    Reply freeze;

    rig_hook(rig, "10-slow", RIG_STANDS_AT("prepare"));
    rig_start(rig);
    rig_freeze(rig, NULL, &freeze);
    rig_await(rig, rig_called(rig, "10-slow prepare"));
    thaw_cancels(rig, &freeze, "quiesce failed: slow: cancelled: the host asked to thaw");
    rig_settle(rig);
    assert_hooks(rig, "10-slow prepare, 10-slow abort");
}

static void a_thaw_ends_a_survey(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    Reply freeze;

    rig_hook(rig, "10-app", "");
    rig_start(rig);
    rig_freeze(rig, NULL, &freeze);
    thaw_cancels(rig, &freeze, "quiesce failed: agent: cancelled: the host asked to thaw");
    rig_settle(rig);
    assert_hooks(rig, "");
}

static void a_thaw_ends_participants_freezing(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    Reply freeze;

    rig_hook(rig, "10-slow", RIG_STANDS_AT("freeze"));
    rig_hook(rig, "20-next", "");
    rig_start(rig);
    rig_freeze(rig, NULL, &freeze);
    rig_await(rig, rig_called(rig, "10-slow freeze"));
    thaw_cancels(rig, &freeze, "quiesce failed: slow: cancelled: the host asked to thaw");
    rig_settle(rig);
    assert_hooks(rig, "10-slow prepare, 20-next prepare, 10-slow freeze, 20-next abort, "
                      "10-slow abort");
}

static void a_thaw_ends_filesystems_freezing(void)
{
    g_autoptr(Rig) rig = rig_new("a b");
    Reply freeze;

    rig_write(rig, "fs/b/.inject", "freeze delay 2500\n");
    rig_start(rig);
    rig_freeze(rig, NULL, &freeze);
    rig_await(rig, rig_exists(rig, "fs/a/.frozen"));
    thaw_cancels(rig, &freeze, "quiesce failed: filesystems: cancelled: the host asked to thaw");
    rig_settle(rig);
    g_assert_false(rig_frozen(rig));
}

/* --- nobody waits any more ---------------------------------------------------------------------
 */

static void a_detached_preparation_goes_on_and_is_joined(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    Reply freeze, second;

    rig_hook(rig, "10-slow", RIG_STANDS_AT("prepare"));
    rig_start(rig);
    rig_freeze(rig, NULL, &freeze);
    rig_await(rig, rig_called(rig, "10-slow prepare"));
    coordinator_detach(rig->coordinator, &second, false); /* not the one that waits */
    g_assert_cmpuint(freeze.calls, ==, 0);
    coordinator_detach(rig->coordinator, &freeze, false);
    assert_failed(&freeze, "quiesce failed: slow: cancelled: nobody waits for the freeze any more");
    g_assert_cmpint(coordinator_state(rig->coordinator), ==, STATE_PREPARING);
    rig_write(rig, "go-prepare", "");
    rig_hold(rig);
    assert_hooks(rig, "10-slow prepare, 10-slow freeze");
    rig_thaws(rig, 1);
}

static void a_detached_freeze_is_rolled_back(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    Reply freeze;

    rig_hook(rig, "10-slow", RIG_STANDS_AT("freeze"));
    rig_start(rig);
    rig_freeze(rig, NULL, &freeze);
    rig_await(rig, rig_called(rig, "10-slow freeze"));
    coordinator_detach(rig->coordinator, &freeze, false);
    rig_answered(rig, &freeze);
    assert_failed(&freeze, "quiesce failed: slow: cancelled: nobody waits for the freeze any more");
    rig_settle(rig);
    assert_hooks(rig, "10-slow prepare, 10-slow freeze, 10-slow abort");
    g_assert_cmpint(rig_report(rig)->result, ==, REPORT_CANCELLED);
}

static void a_host_that_left_does_not_end_a_freeze(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    Reply freeze;

    rig_start(rig);
    rig_freeze(rig, NULL, &freeze);
    coordinator_detach(rig->coordinator, &freeze, true);
    rig_await(rig, coordinator_state(rig->coordinator) == STATE_FROZEN);
    rig_thaws(rig, 1);
    g_assert_cmpuint(freeze.calls, ==, 0);
}

static void a_host_that_left_ends_a_freeze_where_configured(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    Reply freeze;

    rig->config->quiesce.disconnect_cancels = true;
    rig_hook(rig, "10-slow", RIG_STANDS_AT("freeze"));
    rig_start(rig);
    rig_freeze(rig, NULL, &freeze);
    rig_await(rig, rig_called(rig, "10-slow freeze"));
    coordinator_detach(rig->coordinator, &freeze, true);
    rig_settle(rig);
    assert_hooks(rig, "10-slow prepare, 10-slow freeze, 10-slow abort");
    g_assert_cmpuint(freeze.calls, ==, 0);
}

/* --- the reply budget --------------------------------------------------------------------------
 */

static void a_slow_preparation_asks_again_and_is_joined(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    const FreezeRequest request = {.channel = "test", .budget_us = MSEC(1000), .level = -1};
    g_autofree char *calls = NULL, *before = NULL;
    Reply freeze;

    rig_hook(rig, "10-slow", RIG_STANDS_AT("prepare"));
    rig_start(rig);
    rig_freeze(rig, &request, &freeze);
    rig_answered(rig, &freeze);
    assert_failed_like(&freeze,
                       "quiesce failed: slow: prepare: still running after 1\\.\\d s, ask again");
    g_assert_cmpint(coordinator_state(rig->coordinator), ==, STATE_PREPARING);
    rig_write(rig, "go-prepare", "");
    rig_await(rig, rig->coordinator->operation->prepared);
    before = rig_calls(rig, "a");
    rig_hold(rig);
    assert_hooks(rig, "10-slow prepare, 10-slow freeze");
    /* What became dirty in the meantime is written back before the freeze. */
    calls = rig_calls(rig, "a");
    g_assert_true(g_str_has_prefix(calls, before));
    g_assert_cmpstr(calls + strlen(before), ==, " sync freeze");
    rig_thaws(rig, 1);
}

static void the_profile_gives_the_reply_budget(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    Reply freeze;

    rig->profile = *profile_by_name("kubevirt");
    rig_hook(rig, "10-slow", RIG_STANDS_AT("prepare"));
    rig_start(rig);
    rig_freeze(rig, NULL, &freeze);
    rig_fires_after(rig->coordinator->reply_timer, 4 * USEC_PER_SEC);
    coordinator_detach(rig->coordinator, &freeze, true);
    rig->config->quiesce.reply_budget_us = 7 * USEC_PER_SEC;
    g_assert_cmpint(coordinator_reply_budget(rig->coordinator), ==, 7 * USEC_PER_SEC);
    rig_write(rig, "go-prepare", "");
    rig_await(rig, rig->coordinator->operation && rig->coordinator->operation->prepared);
    rig_thaws(rig, 0);
}

/* Too little of the host's patience is left for a freeze that may have to be rolled back. */
static void prepared_too_late_asks_again(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    const FreezeRequest request = {.channel = "test", .budget_us = MSEC(1000), .level = -1};
    g_autofree char *calls = NULL;
    Reply freeze;

    rig_hook(rig, "10-slow", "[ $1 != prepare ] || sleep 0.6");
    rig_start(rig);
    rig_freeze(rig, &request, &freeze);
    rig_answered(rig, &freeze);
    assert_failed_like(&freeze, "quiesce failed: [a-z]+: prepare: still running after .*ask again");
    rig_await(rig, rig->coordinator->operation->prepared);
    calls = rig_calls(rig, "a");
    g_assert_null(strstr(calls, "freeze"));
    rig_hold(rig);
    rig_thaws(rig, 1);
}

static void freezing_beyond_the_reply_budget_is_rolled_back_within_it(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    const FreezeRequest request = {.channel = "test", .budget_us = MSEC(6000), .level = -1};
    Reply freeze;

    rig_hook(rig, "10-slow", RIG_STANDS_AT("freeze") RIG_STANDS_AT("abort"));
    rig_start(rig);
    rig_freeze(rig, &request, &freeze);
    rig_answered(rig, &freeze);
    assert_failed(&freeze, "quiesce failed: slow: budget: still freezing, and the host waits only "
                           "6.0 s for the answer");
    g_assert_cmpint(freeze.took_us, <, MSEC(8000));
    rig_write(rig, "go-abort", "");
    rig_settle(rig);
    assert_hooks(rig, "10-slow prepare, 10-slow freeze, 10-slow abort");
}

/* --- the preparation that waits ----------------------------------------------------------------
 */

/* Leaves a finished preparation that nobody waits for. */
static void prepare_alone(Rig *rig)
{
    Reply freeze;

    rig_hook(rig, "10-app", "");
    rig_start(rig);
    rig_freeze(rig, NULL, &freeze);
    coordinator_detach(rig->coordinator, &freeze, false);
    g_assert_cmpuint(freeze.calls, ==, 1);
    rig_await(rig, rig->coordinator->operation->prepared);
}

static void nobody_joins(void)
{
    g_autoptr(Rig) rig = rig_new("a");

    prepare_alone(rig);
    rig_fires_after(rig->coordinator->join_timer,
                    COORDINATOR_JOIN_US + rig->config->quiesce.freeze_budget_us);
    rig_await(rig, coordinator_state(rig->coordinator) == STATE_THAWED);
    rig_settle(rig);
    assert_hooks(rig, "10-app prepare, 10-app abort");
    g_assert_cmpstr(
        rig_report(rig)->error, ==,
        "quiesce failed: agent: budget: prepared, but no freeze request came to use it");
}

static void nobody_joins_again(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    Reply freeze;

    prepare_alone(rig);
    rig_write(rig, "fs/a/.inject", "sync delay 300\n");
    rig_freeze(rig, NULL, &freeze);
    g_assert_null(rig->coordinator->join_timer);
    rig_await(rig, rig->coordinator->operation->prepared == false);
    coordinator_detach(rig->coordinator, &freeze, false);
    rig_await(rig, rig->coordinator->operation->prepared);
    rig_freeze(rig, NULL, &freeze);
    rig_answered(rig, &freeze);
    assert_ok(&freeze, 1);
    rig_thaws(rig, 1);
}

static void another_request_does_not_join(void)
{
    g_autoptr(Rig) rig = rig_new("a b");
    g_autofree char *b = g_build_filename(rig->root, "fs/b", NULL);
    char *mountpoints[] = {b, NULL};
    const FreezeRequest request = {.channel = "test", .mountpoints = mountpoints, .level = -1};
    Reply freeze;

    prepare_alone(rig);
    rig_freeze(rig, &request, &freeze);
    assert_failed_like(&freeze, "quiesce failed: agent: operation [0-9a-f-]{36} in progress");
    g_assert_cmpint(coordinator_state(rig->coordinator), ==, STATE_PREPARING);
    rig_hold(rig);
    rig_thaws(rig, 2);
}

static void a_waiting_preparation_can_be_thawed(void)
{
    g_autoptr(Rig) rig = rig_new("a");

    prepare_alone(rig);
    rig_thaws(rig, 0);
    rig_settle(rig);
    assert_hooks(rig, "10-app prepare, 10-app abort");
}

static void the_freeze_budget_spares_what_is_prepared(void)
{
    g_autoptr(Rig) rig = rig_new("a");

    prepare_alone(rig);
    rig_fires_after(rig->coordinator->budget_timer, rig->config->quiesce.freeze_budget_us);
    rig_await(rig, !rig->coordinator->budget_timer);
    g_assert_cmpint(coordinator_state(rig->coordinator), ==, STATE_PREPARING);
    rig_hold(rig);
    rig_thaws(rig, 1);
}

static void the_freeze_budget_ends_a_preparation(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    Reply freeze;

    rig->config->quiesce.freeze_budget_us = MSEC(1500);
    rig_hook(rig, "10-slow", RIG_STANDS_AT("prepare"));
    rig_start(rig);
    rig_freeze(rig, NULL, &freeze);
    rig_answered(rig, &freeze);
    /* The participant's own time ends with the budget; which of the two is first is open. */
    assert_failed_like(&freeze, "quiesce failed: slow: (budget: prepare and freeze took more than "
                                "1\\.5 s|prepare: timed out after 1\\.[45] s)");
    rig_settle(rig);
    assert_hooks(rig, "10-slow prepare, 10-slow abort");
}

/* --- releases that take too long ---------------------------------------------------------------
 */

/* A freeze with little patience must fail because `name` is not released yet. */
static void still_held_up_by(Rig *rig, const char *name)
{
    g_autofree char *text =
        g_strdup_printf("quiesce failed: %s: agent: still being released", name);
    const FreezeRequest request = {.channel = "test", .budget_us = MSEC(500), .level = -1};
    Reply freeze;

    rig_freeze(rig, &request, &freeze);
    rig_answered(rig, &freeze);
    assert_failed(&freeze, text);
    g_assert_cmpint(coordinator_state(rig->coordinator), ==, STATE_THAWED);
}

static void the_error_does_not_wait_for_a_slow_abort(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    Reply freeze;

    rig->config->quiesce.abort_budget_us = MSEC(400);
    rig_hook(rig, "10-slow", "[ $1 != freeze ] || exit 1\n" RIG_STANDS_AT("abort"));
    rig_start(rig);
    rig_freeze(rig, NULL, &freeze);
    rig_answered(rig, &freeze);
    assert_failed(&freeze, "quiesce failed: slow: freeze: exit status 1");
    rig_await(rig, rig_called(rig, "10-slow abort"));
    g_assert_nonnull(rig->coordinator->straggler);
    still_held_up_by(rig, "slow");
    rig_write(rig, "go-abort", "");
    rig_settle(rig);
    rig_hook(rig, "10-slow", "");
    rig_hold(rig); /* nothing of it is left */
    rig_thaws(rig, 1);
}

static void the_thaw_does_not_wait_for_a_slow_participant(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    const ReportParticipant *entry;

    rig->config->quiesce.thaw_budget_us = MSEC(2000);
    rig_hook(rig, "10-slow", RIG_STANDS_AT("thaw"));
    rig_start(rig);
    rig_hold(rig);
    rig_thaws(rig, 1);
    rig_await(rig, rig_called(rig, "10-slow thaw"));
    still_held_up_by(rig, "slow");
    rig_write(rig, "go-thaw", "");
    rig_settle(rig);
    entry =
        g_ptr_array_index(history_nth(coordinator_history(rig->coordinator), 1)->participants, 0);
    g_assert_cmpint(g_array_index(entry->steps, ReportStep, 2).result, ==, STEP_LATE);
}

/* A freeze that came early waits for what is left, then goes on by itself. */
static void a_freeze_waits_for_the_release_before_it(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    Reply freeze;

    rig->config->quiesce.thaw_budget_us = MSEC(2000);
    rig_hook(rig, "10-slow", RIG_STANDS_AT("thaw"));
    rig_start(rig);
    rig_hold(rig);
    rig_thaws(rig, 1);
    rig_freeze(rig, NULL, &freeze);
    rig_write(rig, "go-thaw", "");
    rig_answered(rig, &freeze);
    assert_ok(&freeze, 1);
    assert_hooks(rig, "10-slow prepare, 10-slow freeze, 10-slow thaw, 10-slow prepare, "
                      "10-slow freeze");
    rig_thaws(rig, 1);
}

static void a_stuck_freeze_is_thawed_when_it_completes(void)
{
    g_autoptr(Rig) rig = rig_new("a b");
    g_autofree char *b = g_build_filename(rig->root, "fs/b", NULL);
    g_autofree char *calls = NULL;
    Reply freeze;

    rig->config->quiesce.abort_budget_us = MSEC(400);
    rig_write(rig, "fs/b/.inject", "freeze hang\n");
    rig_start(rig);
    rig_freeze(rig, NULL, &freeze);
    rig_await(rig, rig_exists(rig, "fs/a/.frozen"));
    coordinator_detach(rig->coordinator, &freeze, false);
    rig_answered(rig, &freeze);
    rig_await(rig, !rig_exists(rig, "fs/a/.frozen"));
    still_held_up_by(rig, b);
    rig_write(rig, "fs/b/.release", "");
    rig_settle(rig);
    calls = rig_calls(rig, "b");
    g_assert_true(g_str_has_suffix(calls, "freeze thaw"));
}

static void too_many_thaws_are_refused(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    Reply thaws[COORDINATOR_WAITERS_MAX], refused;

    rig_hook(rig, "10-slow", RIG_STANDS_AT("thaw"));
    rig_start(rig);
    rig_hold(rig);
    for (unsigned i = 0; i < COORDINATOR_WAITERS_MAX; i++)
        rig_thaw(rig, &thaws[i]);
    rig_thaw(rig, &refused);
    assert_failed(&refused, "quiesce failed: agent: too many thaws are waiting already");
    rig_write(rig, "go-thaw", "");
    for (unsigned i = 0; i < COORDINATOR_WAITERS_MAX; i++) {
        rig_answered(rig, &thaws[i]);
        assert_ok(&thaws[i], 1);
    }
}

#define ADD(function) g_test_add_func("/coordinator_budget/" #function, function)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD(a_thaw_ends_a_preparation);
    ADD(a_thaw_ends_a_survey);
    ADD(a_thaw_ends_participants_freezing);
    ADD(a_thaw_ends_filesystems_freezing);
    ADD(a_detached_preparation_goes_on_and_is_joined);
    ADD(a_detached_freeze_is_rolled_back);
    ADD(a_host_that_left_does_not_end_a_freeze);
    ADD(a_host_that_left_ends_a_freeze_where_configured);
    ADD(a_slow_preparation_asks_again_and_is_joined);
    ADD(the_profile_gives_the_reply_budget);
    ADD(prepared_too_late_asks_again);
    ADD(freezing_beyond_the_reply_budget_is_rolled_back_within_it);
    ADD(nobody_joins);
    ADD(nobody_joins_again);
    ADD(another_request_does_not_join);
    ADD(a_waiting_preparation_can_be_thawed);
    ADD(the_freeze_budget_spares_what_is_prepared);
    ADD(the_freeze_budget_ends_a_preparation);
    ADD(the_error_does_not_wait_for_a_slow_abort);
    ADD(the_thaw_does_not_wait_for_a_slow_participant);
    ADD(a_freeze_waits_for_the_release_before_it);
    ADD(a_stuck_freeze_is_thawed_when_it_completes);
    ADD(too_many_thaws_are_refused);
    return g_test_run();
}
