/*
 * Tests of the coordinator: a participant that loses its hold, by on-failure, in every state.
 *
 * The participants are scripts; that one has lost its hold is said for it, as its kind would.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "coordinator_rig_files.h"
#include "coordinator_rig_requests.h"

#define VERDICT                                                                                    \
    "fsfreeze is limited up to 300 seconds: not held until thaw: app: lock lost: its session "     \
    "ended after [0-9]+\\.[0-9] s"

static MachineState state(const Rig *rig)
{
    return coordinator_state(rig->coordinator);
}

static Participant *participant(const Rig *rig)
{
    return g_ptr_array_index(rig->coordinator->operation->participants, 0);
}

static void lose(const Rig *rig)
{
    const StepOutcome outcome = {
        .result = STEP_FAILED, .exit_code = 3, .reason = "its session ended"};
    Participant *app = participant(rig);

    app->lost(app, &outcome, app->lost_data);
}

static void assert_step_lost(Rig *rig)
{
    const ReportParticipant *entry = g_ptr_array_index(rig_report(rig)->participants, 0);
    const ReportStep *step = &g_array_index(entry->steps, ReportStep, 1);

    g_assert_cmpint(entry->result, ==, STEP_LOST);
    g_assert_cmpint(step->verb, ==, VERB_FREEZE);
    g_assert_cmpint(step->result, ==, STEP_LOST);
    g_assert_cmpint(step->exit_code, ==, 3);
    g_assert_cmpstr(step->reason, ==, "its session ended");
}

/* Filesystems stay frozen: an end of the freeze now would be a second harm. */
static void the_thaw_gets_the_verdict(void)
{
    g_autoptr(Rig) rig = rig_new("a b");
    const Report *report;

    rig_hook(rig, "app", "");
    rig_start(rig);
    rig_hold(rig);
    lose(rig);
    g_assert_cmpint(state(rig), ==, STATE_LOST);
    g_assert_true(rig_frozen(rig));
    /* For a report of the next start, even if it is never called again. */
    g_assert_cmpuint(ledger_participant(rig->ledger, 0)->result, ==, STEP_LOST);
    g_assert_true(coordinator_verdict_pending(rig->coordinator));
    g_assert_cmpstr(coordinator_fsfreeze_status(rig->coordinator), ==, "frozen");
    g_assert_true(coordinator_commands_limited(rig->coordinator));
    lose(rig); /* it has nothing more to lose */
    rig_told_once(rig, VERDICT);
    assert_hooks(rig, "app prepare, app freeze, app abort");
    report = rig_report(rig);
    g_assert_cmpint(report->result, ==, REPORT_LOST);
    g_assert_cmpint(report->ended_by, ==, ENDED_BY_PARTICIPANT_LOST);
    g_assert_cmpint(report->level, ==, LEVEL_FILESYSTEM);
    g_assert_cmpstr(report->level_reason, ==, "app: lock lost: its session ended");
    g_assert_true(report->verdict_delivered);
    assert_step_lost(rig);
}

static void degraded_goes_on(void)
{
    g_autoptr(Rig) rig = rig_new("a");

    rig_hook(rig, "app", "");
    rig_hook_conf(rig, "app", "OnFailure=degrade");
    rig_start(rig);
    rig_hold(rig);
    lose(rig);
    g_assert_cmpint(state(rig), ==, STATE_FROZEN);
    rig_thaws(rig, 1);
    assert_hooks(rig, "app prepare, app freeze, app abort");
    g_assert_cmpint(rig_report(rig)->result, ==, REPORT_OK);
    g_assert_cmpint(rig_report(rig)->level, ==, LEVEL_FILESYSTEM);
    assert_step_lost(rig);
}

/* The host asked for more than is left: as bad as abort. */
static void degraded_below_the_level_asked_for(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    const FreezeRequest request = {.channel = "test", .level = LEVEL_APPLICATION};
    Reply freeze;

    rig_hook(rig, "app", "");
    rig_hook_conf(rig, "app", "OnFailure=degrade");
    rig_start(rig);
    rig_freeze(rig, &request, &freeze);
    rig_answered(rig, &freeze);
    assert_ok(&freeze, 1);
    lose(rig);
    g_assert_cmpint(state(rig), ==, STATE_LOST);
    rig_told_once(rig, VERDICT);
}

static void the_limit_afterwards_changes_no_verdict(void)
{
    g_autoptr(Rig) rig = rig_new("a");

    rig_hook(rig, "app", "");
    rig->config->quiesce.frozen_limit_us = 3 * USEC_PER_SEC;
    rig->config->quiesce.lost_window_us = 20 * USEC_PER_SEC;
    rig_start(rig);
    rig_hold(rig);
    lose(rig);
    /* The window begins when nothing is frozen any more. */
    rig_due_in(rig->coordinator->window_timer, 23 * USEC_PER_SEC);
    rig_await(rig, !rig_frozen(rig));
    rig_settle(rig);
    g_assert_cmpint(state(rig), ==, STATE_LOST);
    g_assert_cmpint(rig_report(rig)->level, ==, LEVEL_CRASH);
    rig_told_once(rig, "fsfreeze is limited up to 3 seconds: not held until thaw: app: lock lost: "
                       "its session ended after [0-9]+\\.[0-9] s");
}

static void a_freeze_afterwards_starts_anew(void)
{
    g_autoptr(Rig) rig = rig_new("a");

    rig_hook(rig, "app", "");
    rig_start(rig);
    rig_hold(rig);
    lose(rig);
    rig_hold(rig);
    g_assert_false(coordinator_verdict_pending(rig->coordinator));
    rig_thaws(rig, 1);
    g_assert_cmpint(history_nth(rig->coordinator->history, 1)->result, ==, REPORT_LOST);
    g_assert_null(history_nth(rig->coordinator->history, 2));
}

static void while_freezing_it_is_rolled_back(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    Reply freeze;

    rig_hook(rig, "20-app", "");
    rig_hook(rig, "30-slow", RIG_STANDS_AT("freeze"));
    rig_start(rig);
    rig_freeze(rig, NULL, &freeze);
    rig_await(rig, rig_called(rig, "30-slow freeze"));
    lose(rig);
    g_assert_cmpint(state(rig), ==, STATE_ABORTING);
    rig_answered(rig, &freeze);
    assert_failed(&freeze, "quiesce failed: app: freeze: lock lost: its session ended");
    g_assert_false(rig_frozen(rig));
    rig_write(rig, "go-freeze", "");
}

/* The loss was there before the thaw and is seen after it: told, rather than passed over. */
static void seen_before_it_was_told_to_let_go(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    Reply thaw;

    rig_hook(rig, "app", "");
    rig_start(rig);
    rig_hold(rig);
    rig_thaw(rig, &thaw);
    g_assert_cmpint(state(rig), ==, STATE_THAWING);
    lose(rig);
    rig_answered(rig, &thaw);
    assert_failed_like(&thaw, VERDICT);
    rig_thaws(rig, 0);
    assert_hooks(rig, "app prepare, app freeze, app abort");
}

/* What was held until it was told to let go is in the snapshot; a loss after it is none. */
static void after_its_thaw_it_is_no_loss(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    Reply thaw;

    rig_hook(rig, "app", RIG_STANDS_AT("thaw"));
    rig_start(rig);
    rig_hold(rig);
    rig_thaw(rig, &thaw);
    rig_await(rig, rig_called(rig, "app thaw"));
    lose(rig);
    rig_write(rig, "go-thaw", "");
    rig_answered(rig, &thaw);
    assert_ok(&thaw, 1);
    g_assert_cmpint(rig_report(rig)->level, ==, LEVEL_APPLICATION);
}

static void note_verify(Participant *app)
{
    const StepOutcome outcome = {
        .result = STEP_FAILED, .exit_code = -1, .reason = "its session ended"};

    app->lost(app, &outcome, app->lost_data);
}

/* A loss that nobody has seen yet when the thaw comes must not pass for a success. */
static void the_thaw_looks_first(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    ParticipantOps ops;

    rig_hook(rig, "app", "");
    rig_start(rig);
    rig_hold(rig);
    ops = *participant(rig)->ops;
    ops.verify = note_verify;
    participant(rig)->ops = &ops;
    rig_told_once(rig, VERDICT);
    rig_settle(rig);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name) g_test_add_func("/coordinator/hold/" #name, name)
    ADD(the_thaw_gets_the_verdict);
    ADD(degraded_goes_on);
    ADD(degraded_below_the_level_asked_for);
    ADD(the_limit_afterwards_changes_no_verdict);
    ADD(a_freeze_afterwards_starts_anew);
    ADD(while_freezing_it_is_rolled_back);
    ADD(seen_before_it_was_told_to_let_go);
    ADD(after_its_thaw_it_is_no_loss);
    ADD(the_thaw_looks_first);
    return g_test_run();
}
