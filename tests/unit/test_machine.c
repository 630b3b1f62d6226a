/*
 * Tests of quiesce/machine: every state and event, and what must hold for all of them.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/machine.h"

#include <glib.h>

static void check(MachineState state, MachineEvent event, MachineState next, MachineAction action)
{
    MachineStep step = machine_step(state, event);

    g_assert_cmpint(step.next, ==, next);
    g_assert_cmpint(step.action, ==, action);
}

static void test_main_path(void)
{
    check(STATE_THAWED, EVENT_FREEZE, STATE_PREPARING, ACTION_START);
    check(STATE_PREPARING, EVENT_PREPARED, STATE_FREEZING, ACTION_FREEZE);
    check(STATE_FREEZING, EVENT_HELD, STATE_FROZEN, ACTION_ANSWER_FROZEN);
    check(STATE_FROZEN, EVENT_THAW, STATE_THAWING, ACTION_RELEASE);
    check(STATE_THAWING, EVENT_RELEASED, STATE_THAWED, ACTION_FINISH);
}

static void test_every_failure_is_rolled_back(void)
{
    const MachineEvent events[] = {EVENT_FAIL, EVENT_THAW, EVENT_LOSE};

    for (unsigned i = 0; i < G_N_ELEMENTS(events); i++) {
        check(STATE_PREPARING, events[i], STATE_ABORTING, ACTION_ROLL_BACK);
        check(STATE_FREEZING, events[i], STATE_ABORTING, ACTION_ROLL_BACK);
    }
    check(STATE_PREPARING, EVENT_DETACH, STATE_PREPARING, ACTION_ASK_AGAIN);
    check(STATE_FREEZING, EVENT_DETACH, STATE_ABORTING, ACTION_ROLL_BACK);
    check(STATE_ABORTING, EVENT_RELEASED, STATE_THAWED, ACTION_FINISH);
}

static void test_loss_needs_a_verdict(void)
{
    check(STATE_FROZEN, EVENT_LOSE, STATE_LOST, ACTION_LOSE);
    check(STATE_FROZEN, EVENT_HOLD_LOST, STATE_LOST, ACTION_NOTE_LOSS);
    check(STATE_THAWED, EVENT_RECOVER, STATE_LOST, ACTION_LOSE);
    check(STATE_LOST, EVENT_THAW, STATE_THAWING, ACTION_RELEASE);
    check(STATE_LOST, EVENT_EXPIRE, STATE_THAWED, ACTION_FORGET);
    check(STATE_LOST, EVENT_FREEZE, STATE_PREPARING, ACTION_START);
    check(STATE_LOST, EVENT_RELEASED, STATE_LOST, ACTION_NONE);
}

static void test_freeze_and_thaw_are_answered_in_every_state(void)
{
    for (int state = 0; state < STATE_COUNT; state++) {
        MachineStep freeze = machine_step((MachineState)state, EVENT_FREEZE);
        MachineStep thaw = machine_step((MachineState)state, EVENT_THAW);

        g_assert_cmpint(freeze.action, !=, ACTION_INVALID);
        g_assert_cmpint(freeze.action, !=, ACTION_NONE);
        g_assert_cmpint(thaw.action, !=, ACTION_INVALID);
        g_assert_cmpint(thaw.action, !=, ACTION_NONE);
    }
}

/* A thaw, then a release, ends in THAWED from everywhere: nothing can stay frozen for ever. */
static void test_thaw_leads_to_thawed_from_everywhere(void)
{
    for (int state = 0; state < STATE_COUNT; state++) {
        MachineState now = machine_step((MachineState)state, EVENT_THAW).next;

        g_assert_cmpint(machine_step(now, EVENT_RELEASED).next, ==, STATE_THAWED);
    }
}

/* FROZEN is entered by HELD only and left by thaw and loss only. */
static void test_frozen_has_one_way_in(void)
{
    for (int state = 0; state < STATE_COUNT; state++)
        for (int event = 0; event < EVENT_COUNT; event++) {
            MachineStep step = machine_step((MachineState)state, (MachineEvent)event);

            if (state != STATE_FROZEN && step.next == STATE_FROZEN)
                g_assert_cmpint(event, ==, EVENT_HELD);
            if (state == STATE_FROZEN && step.next != STATE_FROZEN)
                g_assert_true(step.next == STATE_THAWING || step.next == STATE_LOST);
        }
}

static void test_invalid_events_keep_the_state(void)
{
    check(STATE_FROZEN, EVENT_PREPARED, STATE_FROZEN, ACTION_INVALID);
    check(STATE_THAWED, EVENT_HELD, STATE_THAWED, ACTION_INVALID);
    check((MachineState)99, EVENT_FREEZE, (MachineState)99, ACTION_INVALID);
    check(STATE_THAWED, (MachineEvent)99, STATE_THAWED, ACTION_INVALID);
}

static void test_names(void)
{
    for (int i = 0; i < STATE_COUNT; i++)
        g_assert_cmpstr(machine_state_name((MachineState)i), !=, NULL);
    for (int i = 0; i < EVENT_COUNT; i++)
        g_assert_cmpstr(machine_event_name((MachineEvent)i), !=, NULL);
    g_assert_cmpstr(machine_state_name(STATE_ABORTING), ==, "aborting");
    g_assert_cmpstr(machine_state_name((MachineState)99), ==, "invalid");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/machine/main_path", test_main_path);
    g_test_add_func("/machine/every_failure_is_rolled_back", test_every_failure_is_rolled_back);
    g_test_add_func("/machine/loss_needs_a_verdict", test_loss_needs_a_verdict);
    g_test_add_func("/machine/freeze_and_thaw_are_answered_in_every_state",
                    test_freeze_and_thaw_are_answered_in_every_state);
    g_test_add_func("/machine/thaw_leads_to_thawed_from_everywhere",
                    test_thaw_leads_to_thawed_from_everywhere);
    g_test_add_func("/machine/frozen_has_one_way_in", test_frozen_has_one_way_in);
    g_test_add_func("/machine/invalid_events_keep_the_state", test_invalid_events_keep_the_state);
    g_test_add_func("/machine/names", test_names);
    return g_test_run();
}
