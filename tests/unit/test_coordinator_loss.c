/*
 * Tests of the coordinator: freezes that end in another way than by the host's thaw, and the one
 * verdict that the host's next thaw gets about it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "coordinator_rig_files.h"
#include "coordinator_rig_requests.h"

#include <glib/gstdio.h>
#include <signal.h>

#define VERDICT(seconds, reason)                                                                   \
    "fsfreeze is limited up to " seconds " seconds: not held until thaw: " reason                  \
    " after [0-9]+\\.[0-9] s"

static MachineState state(const Rig *rig)
{
    return coordinator_state(rig->coordinator);
}

#define STOPPED VERDICT("300", "the keeper was stopped")

/* Frozen, then lost; another keeper is there. */
static void lose(Rig *rig)
{
    rig_hold(rig);
    rig_signal_keeper(rig, SIGTERM);
    rig_await(rig, state(rig) == STATE_LOST);
    rig_await(rig, !coordinator_ready(rig->coordinator, NULL));
    rig_await(rig, coordinator_ready(rig->coordinator, NULL));
}

static void lose_and_release(Rig *rig)
{
    lose(rig);
    rig_settle(rig);
    g_assert_cmpint(state(rig), ==, STATE_LOST);
}

/* --- the limit ---------------------------------------------------------------------------------
 */

static void the_limit_ends_a_freeze_and_the_thaw_is_told_once(void)
{
    g_autoptr(Rig) rig = rig_new("a b");
    const FreezeRequest request = {.channel = "test", .limit_us = MSEC(3000), .level = -1};
    const Report *report;
    Reply freeze;

    rig_hook(rig, "10-app", "");
    rig_start(rig);
    rig_freeze(rig, &request, &freeze);
    rig_answered(rig, &freeze);
    assert_ok(&freeze, 2);
    rig_await(rig, state(rig) == STATE_LOST);
    rig_settle(rig);
    g_assert_cmpint(state(rig), ==, STATE_LOST);
    g_assert_false(rig_frozen(rig));
    assert_hooks(rig, "10-app prepare, 10-app freeze, 10-app abort");
    g_assert_cmpstr(rig->states->str, ==, "thawed, preparing, freezing, frozen, lost");
    report = rig_report(rig);
    g_assert_cmpint(report->result, ==, REPORT_LOST);
    g_assert_cmpint(report->ended_by, ==, ENDED_BY_LIMIT);
    g_assert_cmpint(report->level, ==, LEVEL_CRASH);
    g_assert_cmpstr(report->level_reason, ==, "not held until thaw: the frozen limit passed");
    g_assert_false(report->verdict_delivered);
    rig_told_once(rig, VERDICT("3", "the frozen limit passed"));
    g_assert_true(report->verdict_delivered);
}

static void the_configured_limit_is_the_default(void)
{
    g_autoptr(Rig) rig = rig_new("a");

    rig->config->quiesce.frozen_limit_us = 20 * USEC_PER_SEC;
    rig_start(rig);
    rig_hold(rig);
    g_assert_cmpint(coordinator_frozen_limit(rig->coordinator), ==, 20 * USEC_PER_SEC);
    /* The keeper is first; the coordinator's own timer is for a keeper that does not act. */
    rig_due_in(rig->coordinator->limit_timer, 21 * USEC_PER_SEC);
    rig_thaws(rig, 1);
}

/* A timer that late means that the VM was paused: the host's thaw may be on its way. */
static void a_paused_vm_gives_the_thaw_grace(void)
{
    g_autoptr(Rig) rig = rig_new("a");

    rig_start(rig);
    rig_hold(rig);
    rig->coordinator->limit_at_us = deadline_now() - KEEPER_LATE_US - MSEC(1);
    g_source_set_ready_time(rig->coordinator->limit_timer, 0);
    rig_await(rig, rig->coordinator->limit_extended);
    g_assert_cmpint(state(rig), ==, STATE_FROZEN);
    g_assert_true(rig_frozen(rig));
    g_assert_cmpint(rig->coordinator->operation->report->paused_us, >, KEEPER_LATE_US);
    g_assert_cmpint(rig->coordinator->operation->report->paused_us, <, 2 * KEEPER_LATE_US);
    rig_fires_after(rig->coordinator->limit_timer, COORDINATOR_GRACE_US);
    rig_await(rig, state(rig) == STATE_LOST);
    rig_told_once(rig, VERDICT("300", "the frozen limit passed"));
}

static void a_thaw_in_time_leaves_no_limit_behind(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    const FreezeRequest request = {.channel = "test", .limit_us = MSEC(3000), .level = -1};
    Reply freeze;

    rig_start(rig);
    rig_freeze(rig, &request, &freeze);
    rig_answered(rig, &freeze);
    rig_thaws(rig, 1);
    rig_hold(rig);
    g_usleep(MSEC(3100));
    rig_thaws(rig, 1);
    g_assert_false(coordinator_verdict_pending(rig->coordinator));
}

/* The keeper thaws by the limit while the service does not run; then the thaw comes first. */
static void a_thaw_that_the_limit_overtook_is_told(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    const FreezeRequest request = {.channel = "test", .limit_us = MSEC(3000), .level = -1};
    Reply freeze, thaw;

    rig_start(rig);
    rig_freeze(rig, &request, &freeze);
    rig_answered(rig, &freeze);
    while (rig_frozen(rig))
        g_usleep(MSEC(5));
    rig_thaw(rig, &thaw);
    g_assert_cmpint(state(rig), ==, STATE_THAWING);
    rig_answered(rig, &thaw);
    assert_failed_like(&thaw, VERDICT("3", "the frozen limit passed"));
    g_assert_cmpint(rig_report(rig)->result, ==, REPORT_LOST);
    rig_settle(rig);
    rig_thaws(rig, 0);
}

static void a_thaw_by_somebody_else_is_told(void)
{
    g_autoptr(Rig) rig = rig_new("a b");
    g_autofree char *mark = g_build_filename(rig->root, "fs/b/.frozen", NULL);
    g_autofree char *reason = g_strdup_printf("%s/fs/b was thawed by somebody else", rig->root);
    g_autofree char *verdict = g_strdup_printf(VERDICT("300", "%s"), reason);

    rig_start(rig);
    rig_hold(rig);
    g_assert_cmpint(g_remove(mark), ==, 0);
    rig_told_once(rig, verdict);
    g_assert_cmpint(rig_report(rig)->ended_by, ==, ENDED_BY_LOCAL_THAW);
}

/* --- the verdict -------------------------------------------------------------------------------
 */

static void the_verdict_as_data_is_no_error(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    Reply thaw;

    rig_start(rig);
    lose_and_release(rig);
    rig_thaw_by(rig, rig_report(rig)->operation, true, &thaw);
    rig_answered(rig, &thaw);
    g_assert_cmpint(thaw.kind, ==, ANSWER_OK);
    g_assert_false(thaw.held);
    g_assert_false(coordinator_verdict_pending(rig->coordinator));
    rig_thaws(rig, 0);
}

static void only_the_first_of_several_thaws_is_told(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    Reply first, second;

    rig_hook(rig, "10-slow", RIG_STANDS_AT("abort"));
    rig_start(rig);
    lose(rig);
    rig_await(rig, rig_called(rig, "10-slow abort"));
    rig_thaw(rig, &first);
    rig_thaw(rig, &second);
    g_assert_cmpuint(first.calls + second.calls, ==, 0);
    rig_write(rig, "go-abort", "");
    rig_answered(rig, &first);
    rig_answered(rig, &second);
    assert_failed_like(&first, STOPPED);
    assert_ok(&second, 0);
    rig_thaws(rig, 0);
}

static void the_thaw_in_lost_waits_no_longer_than_its_budget(void)
{
    g_autoptr(Rig) rig = rig_new("a");

    rig->config->quiesce.thaw_budget_us = MSEC(300);
    rig_hook(rig, "10-slow", RIG_STANDS_AT("abort"));
    rig_start(rig);
    lose(rig);
    rig_await(rig, rig_called(rig, "10-slow abort"));
    rig_told_once(rig, STOPPED);
    rig_write(rig, "go-abort", "");
}

static void the_window_ends(void)
{
    g_autoptr(Rig) rig = rig_new("a");

    rig->config->quiesce.lost_window_us = MSEC(1500);
    rig_start(rig);
    lose_and_release(rig);
    g_assert_true(coordinator_verdict_pending(rig->coordinator));
    rig_await(rig, state(rig) == STATE_THAWED);
    g_assert_false(coordinator_verdict_pending(rig->coordinator));
    rig_thaws(rig, 0);
    g_assert_cmpint(rig_report(rig)->result, ==, REPORT_LOST);
}

static void the_window_is_as_configured(void)
{
    g_autoptr(Rig) rig = rig_new("a");

    rig_start(rig);
    lose_and_release(rig);
    rig_fires_after(rig->coordinator->window_timer, 3600 * USEC_PER_SEC);
    rig_await(rig, state(rig) == STATE_THAWED);
}

/* --- lost --------------------------------------------------------------------------------------
 */

static void a_freeze_in_lost_starts_anew(void)
{
    g_autoptr(Rig) rig = rig_new("a");

    rig_hook(rig, "10-app", "");
    rig_start(rig);
    lose_and_release(rig);
    rig_hold(rig);
    g_assert_false(coordinator_verdict_pending(rig->coordinator));
    rig_thaws(rig, 1);
    g_assert_cmpint(rig_report(rig)->result, ==, REPORT_OK);
    assert_hooks(rig, "10-app prepare, 10-app freeze, 10-app abort, 10-app prepare, "
                      "10-app freeze, 10-app thaw");
}

static void a_freeze_in_lost_waits_for_the_release(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    Reply freeze;

    rig_hook(rig, "10-slow", RIG_STANDS_AT("abort"));
    rig_start(rig);
    lose(rig);
    rig_await(rig, rig_called(rig, "10-slow abort"));
    rig_freeze(rig, NULL, &freeze);
    g_assert_cmpint(state(rig), ==, STATE_PREPARING);
    g_assert_nonnull(rig->coordinator->straggler);
    rig_write(rig, "go-abort", "");
    rig_answered(rig, &freeze);
    assert_ok(&freeze, 1);
    rig_thaws(rig, 1);
    assert_hooks(rig, "10-slow prepare, 10-slow freeze, 10-slow abort, 10-slow prepare, "
                      "10-slow freeze, 10-slow thaw");
}

static void the_status_in_lost_is_the_profiles_or_configured(void)
{
    g_autoptr(Rig) rig = rig_new("a");

    rig_start(rig);
    lose_and_release(rig);
    g_assert_cmpstr(coordinator_fsfreeze_status(rig->coordinator), ==, "thawed");
    rig->profile = *profile_by_name("kubevirt");
    g_assert_cmpstr(coordinator_fsfreeze_status(rig->coordinator), ==, "frozen");
    rig->config->quiesce.lost_status = LOST_STATUS_THAWED;
    g_assert_cmpstr(coordinator_fsfreeze_status(rig->coordinator), ==, "thawed");
    rig->profile = *profile_by_name("default");
    rig->config->quiesce.lost_status = LOST_STATUS_FROZEN;
    g_assert_cmpstr(coordinator_fsfreeze_status(rig->coordinator), ==, "frozen");
    rig_told_once(rig, STOPPED);
    g_assert_cmpstr(coordinator_fsfreeze_status(rig->coordinator), ==, "thawed");
}

#define ADD(function) g_test_add_func("/coordinator_loss/" #function, function)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD(the_limit_ends_a_freeze_and_the_thaw_is_told_once);
    ADD(the_configured_limit_is_the_default);
    ADD(a_paused_vm_gives_the_thaw_grace);
    ADD(a_thaw_in_time_leaves_no_limit_behind);
    ADD(a_thaw_that_the_limit_overtook_is_told);
    ADD(a_thaw_by_somebody_else_is_told);
    ADD(the_verdict_as_data_is_no_error);
    ADD(only_the_first_of_several_thaws_is_told);
    ADD(the_thaw_in_lost_waits_no_longer_than_its_budget);
    ADD(the_window_ends);
    ADD(the_window_is_as_configured);
    ADD(a_freeze_in_lost_starts_anew);
    ADD(a_freeze_in_lost_waits_for_the_release);
    ADD(the_status_in_lost_is_the_profiles_or_configured);
    return g_test_run();
}
