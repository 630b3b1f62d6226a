/*
 * Tests of the small pure parts of quiesce/: presync, profile, report, and the order of sequence.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/presync.h"
#include "quiesce/profile.h"
#include "quiesce/report.h"
#include "quiesce/sequence.h"

#include <string.h>

/* --- presync -----------------------------------------------------------------------------------
 */

#define MIB (INT64_C(1) << 20)

static void test_gentle_goes_on_while_it_shrinks(void)
{
    Presync presync;

    presync_init(&presync);
    g_assert_true(presync_gentle(&presync, 256 * MIB, 0));
    g_assert_true(presync_gentle(&presync, 200 * MIB, 500000));
    g_assert_true(presync_gentle(&presync, 200 * MIB, 1400000)); /* within the stall time */
    g_assert_false(presync_gentle(&presync, 200 * MIB, 1600000));
    g_assert_false(presync_gentle(&presync, PRESYNC_SMALL_BYTES, 1600000));
}

static void test_gentle_ends_under_a_writer_that_never_stops(void)
{
    Presync presync;
    int64_t now = 0;

    presync_init(&presync);
    while (presync_gentle(&presync, 256 * MIB + now / 1000, now))
        now += PRESYNC_SAMPLE_US;
    g_assert_cmpint(now, <=, 2 * PRESYNC_STALL_US);
}

static void test_rounds_shrink_or_end(void)
{
    Presync presync;

    presync_init(&presync);
    g_assert_true(presync_round(&presync, 900000, 64 * MIB));
    g_assert_true(presync_round(&presync, 300000, 64 * MIB));
    g_assert_false(presync_round(&presync, 290000, 64 * MIB)); /* pays no more */
    presync_init(&presync);
    g_assert_false(presync_round(&presync, PRESYNC_SHORT_US, 64 * MIB));
    presync_init(&presync);
    g_assert_false(presync_round(&presync, 900000, PRESYNC_LITTLE_BYTES));
    presync_init(&presync);
    for (unsigned i = 1; i < PRESYNC_ROUNDS_MAX; i++)
        g_assert_true(presync_round(&presync, 8000000 >> i, 64 * MIB));
    g_assert_false(presync_round(&presync, 100000, 64 * MIB)); /* the limit of rounds */
}

/* --- profile -----------------------------------------------------------------------------------
 */

static void test_hosts_are_told_apart(void)
{
    const struct {
        const char *vendor, *product, *family, *profile;
    } hosts[] = {
        {"KubeVirt", "None", "KubeVirt", "kubevirt"},
        {"Red Hat", "OpenShift Virtualization", "Red Hat", "kubevirt"},
        {"Flant", "DeckhouseVirtualizationPlatform", "Deckhouse", "kubevirt"},
        {"Apache Software Foundation", "CloudStack KVM Hypervisor", "", "cloudstack"},
        {"QEMU", "Standard PC (Q35 + ICH9, 2009)", "", "default"},
        {"Red Hat", "RHEL", "RHV", "default"},
        {NULL, NULL, NULL, "default"},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(hosts); i++)
        g_assert_cmpstr(profile_by_dmi(hosts[i].vendor, hosts[i].product, hosts[i].family)->name,
                        ==, hosts[i].profile);
    g_assert_true(profile_by_name("kubevirt")->lost_is_frozen);
    g_assert_cmpint(profile_by_name("kubevirt")->reply_budget_us, ==, 4000000);
    g_assert_null(profile_by_name("vmware"));
}

/* --- report ------------------------------------------------------------------------------------
 */

static void test_history_keeps_the_newest(void)
{
    History *history = history_new();

    for (unsigned i = 0; i < REPORT_HISTORY + 5; i++) {
        g_autofree char *name = g_strdup_printf("operation-%u", i);
        Report *report = report_new(name, false, "default");

        history_add(history, report);
        report_unref(report);
    }
    g_assert_cmpstr(history_nth(history, 0)->operation, ==, "operation-104");
    g_assert_nonnull(history_nth(history, REPORT_HISTORY - 1));
    g_assert_null(history_nth(history, REPORT_HISTORY));
    g_assert_null(history_find(history, "operation-4"));
    g_assert_nonnull(history_find(history, "operation-5"));
    history_free(history);
}

static void test_level_only_falls_and_keeps_its_reason(void)
{
    Report *report = report_new("x", false, "default");

    g_assert_cmpint(report->level, ==, LEVEL_APPLICATION);
    report_lower(report, LEVEL_FILESYSTEM, "%s", "first");
    report_lower(report, LEVEL_FILESYSTEM, "%s", "second");
    g_assert_cmpstr(report->level_reason, ==, "first");
    report_lower(report, LEVEL_CRASH, "%s", "worse");
    g_assert_cmpstr(report->level_reason, ==, "worse");
    report_lower(report, LEVEL_APPLICATION, "%s", "better");
    g_assert_cmpstr(level_name(report->level), ==, "crash");
    report_unref(report);
}

/* --- sequence ----------------------------------------------------------------------------------
 */

typedef struct {
    Participant base;
    ParticipantAnswered answered;
    gpointer user_data;
    GSource *timer;
    Verb verb;
    StepResult result;
    int64_t delay_us;
} Fake;

typedef struct {
    GPtrArray *participants;
    GString *log;
    GMainLoop *loop;
    int stop_at; /* index whose answer stops the sequence, -1: none */
    int skip, abort;
} Fixture;

static gboolean fake_answer(gpointer user_data)
{
    Fake *fake = user_data;
    StepOutcome outcome = {.result = fake->result, .exit_code = -1};

    deadline_source_clear(&fake->timer);
    fake->answered(&fake->base, &outcome, fake->user_data);
    return G_SOURCE_REMOVE;
}

static void fake_call(Participant *participant, Verb verb, const VerbContext *context,
                      Deadline deadline, ParticipantAnswered answered, gpointer user_data)
{
    Fake *fake = (Fake *)participant;

    (void)context;
    (void)deadline;
    fake->verb = verb;
    fake->answered = answered;
    fake->user_data = user_data;
    fake->timer = deadline_source_new(deadline_in(fake->delay_us), fake_answer, fake);
}

static void fake_cancel(Participant *participant)
{
    Fake *fake = (Fake *)participant;

    fake->result = STEP_CANCELLED;
    deadline_source_clear(&fake->timer);
    fake->timer = deadline_source_new(deadline_in(0), fake_answer, fake);
}

static bool fake_busy(const Participant *participant)
{
    (void)participant;
    return false;
}

static const ParticipantOps FAKE_OPS = {
    .call = fake_call, .cancel = fake_cancel, .busy = fake_busy};

static bool begin(unsigned index, Verb *verb, gpointer user_data)
{
    Fixture *fixture = user_data;

    if ((int)index == fixture->skip)
        return false;
    if ((int)index == fixture->abort)
        *verb = VERB_ABORT;
    g_string_append_printf(fixture->log, "+%u ", index);
    return true;
}

static bool answered(unsigned index, Verb verb, const StepOutcome *outcome, gpointer user_data)
{
    Fixture *fixture = user_data;

    g_string_append_printf(fixture->log, "-%u%s%s ", index, verb == VERB_ABORT ? "a" : "",
                           outcome->result == STEP_CANCELLED ? "c" : "");
    return (int)index != fixture->stop_at;
}

static void done(Sequence *sequence, gpointer user_data)
{
    Fixture *fixture = user_data;

    sequence_free(sequence);
    g_main_loop_quit(fixture->loop);
}

static Fixture *fixture_new(const unsigned *orders, unsigned count)
{
    Fixture *fixture = g_new0(Fixture, 1);

    fixture->participants = g_ptr_array_new_with_free_func(g_free);
    fixture->log = g_string_new(NULL);
    fixture->loop = g_main_loop_new(NULL, FALSE);
    fixture->stop_at = fixture->skip = fixture->abort = -1;
    for (unsigned i = 0; i < count; i++) {
        Fake *fake = g_new0(Fake, 1);

        fake->base.ops = &FAKE_OPS;
        fake->base.order = orders[i];
        fake->delay_us = 20000;
        g_ptr_array_add(fixture->participants, fake);
    }
    return fixture;
}

static Sequence *fixture_start(Fixture *fixture, bool descending)
{
    static const SequenceEvents EVENTS = {begin, answered, done};
    SequenceSpec spec = {.participants = fixture->participants,
                         .verb = VERB_THAW,
                         .descending = descending,
                         .context = {.timeout_default_us = USEC_PER_SEC},
                         .deadline = DEADLINE_NEVER};

    return sequence_start(&spec, &EVENTS, fixture);
}

static void fixture_end(Fixture *fixture, const char *expected)
{
    g_main_loop_run(fixture->loop);
    g_assert_cmpstr(g_strchomp(fixture->log->str), ==, expected);
    g_string_free(fixture->log, TRUE);
    g_ptr_array_unref(fixture->participants);
    g_main_loop_unref(fixture->loop);
    g_free(fixture);
}

static void test_groups_run_in_order(void)
{
    const unsigned orders[] = {50, 10, 50, 90};
    Fixture *fixture = fixture_new(orders, 4);

    (void)fixture_start(fixture, false);
    fixture_end(fixture, "+1 -1 +0 +2 -0 -2 +3 -3");
}

static void test_groups_run_in_reverse(void)
{
    const unsigned orders[] = {50, 10, 50, 90};
    Fixture *fixture = fixture_new(orders, 4);

    fixture->skip = 0;
    fixture->abort = 2;
    (void)fixture_start(fixture, true);
    fixture_end(fixture, "+3 -3 +2 -2a +1 -1");
}

static void test_a_stop_lets_the_group_end_and_begins_no_other(void)
{
    const unsigned orders[] = {10, 10, 20};
    Fixture *fixture = fixture_new(orders, 3);

    fixture->stop_at = 0;
    (void)fixture_start(fixture, false);
    fixture_end(fixture, "+0 +1 -0 -1");
}

static gboolean cancel_now(gpointer user_data)
{
    sequence_cancel(user_data);
    return G_SOURCE_REMOVE;
}

static void test_cancel_answers_what_runs(void)
{
    const unsigned orders[] = {10, 20};
    Fixture *fixture = fixture_new(orders, 2);
    Sequence *sequence = NULL;

    ((Fake *)g_ptr_array_index(fixture->participants, 0))->delay_us = 60 * USEC_PER_SEC;
    sequence = fixture_start(fixture, false);
    g_timeout_add(20, cancel_now, sequence);
    fixture_end(fixture, "+0 -0c");
}

static void test_an_empty_sequence_ends_later(void)
{
    Fixture *fixture = fixture_new(NULL, 0);

    (void)fixture_start(fixture, false);
    fixture_end(fixture, "");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/presync/goes_on_while_it_shrinks", test_gentle_goes_on_while_it_shrinks);
    g_test_add_func("/presync/ends_under_a_writer_that_never_stops",
                    test_gentle_ends_under_a_writer_that_never_stops);
    g_test_add_func("/presync/rounds_shrink_or_end", test_rounds_shrink_or_end);
    g_test_add_func("/profile/hosts_are_told_apart", test_hosts_are_told_apart);
    g_test_add_func("/report/history_keeps_the_newest", test_history_keeps_the_newest);
    g_test_add_func("/report/level_only_falls", test_level_only_falls_and_keeps_its_reason);
    g_test_add_func("/sequence/groups_run_in_order", test_groups_run_in_order);
    g_test_add_func("/sequence/groups_run_in_reverse", test_groups_run_in_reverse);
    g_test_add_func("/sequence/a_stop_begins_no_other",
                    test_a_stop_lets_the_group_end_and_begins_no_other);
    g_test_add_func("/sequence/cancel_answers_what_runs", test_cancel_answers_what_runs);
    g_test_add_func("/sequence/an_empty_one_ends_later", test_an_empty_sequence_ends_later);
    return g_test_run();
}
