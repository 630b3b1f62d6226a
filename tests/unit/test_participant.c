/*
 * Tests of quiesce/participant: names, what it wants, whom it concerns.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/participant.h"

static unsigned freed;

static void count_free(Participant *participant)
{
    freed++;
    g_free(participant);
}

static const ParticipantOps OPS = {.free = count_free};

static Participant *make(unsigned verbs)
{
    Participant *participant = g_new0(Participant, 1);

    participant->ops = &OPS;
    participant->name = g_strdup("app");
    participant->source = g_strdup("/etc/quiesced/hooks.d/app");
    participant->verbs = verbs;
    return participant;
}

/* The names are in the JSON of the host and in what hooks get as argv[1]. */
static void test_names(void)
{
    g_assert_cmpstr(participant_kind_name(PARTICIPANT_HOOK), ==, "hook");
    g_assert_cmpstr(participant_kind_name(PARTICIPANT_SESSION_HOOK), ==, "session-hook");
    g_assert_cmpstr(participant_kind_name(PARTICIPANT_STOCK_HOOK), ==, "stock-hook");
    g_assert_cmpstr(participant_kind_name(PARTICIPANT_DBUS), ==, "dbus");
    g_assert_cmpstr(verb_name(VERB_PREPARE), ==, "prepare");
    g_assert_cmpstr(verb_name(VERB_FREEZE), ==, "freeze");
    g_assert_cmpstr(verb_name(VERB_THAW), ==, "thaw");
    g_assert_cmpstr(verb_name(VERB_ABORT), ==, "abort");
    g_assert_cmpstr(verb_name(VERB_COMPLETE), ==, "complete");
    g_assert_cmpstr(step_result_name(STEP_OK), ==, "ok");
    g_assert_cmpstr(step_result_name(STEP_FAILED), ==, "failed");
    g_assert_cmpstr(step_result_name(STEP_TIMED_OUT), ==, "timed-out");
    g_assert_cmpstr(step_result_name(STEP_REFUSED), ==, "refused");
    g_assert_cmpstr(step_result_name(STEP_LOST), ==, "lost");
    g_assert_cmpstr(step_result_name(STEP_LATE), ==, "late");
    g_assert_cmpstr(step_result_name(STEP_SKIPPED), ==, "skipped");
    g_assert_cmpstr(step_result_name(STEP_CANCELLED), ==, "cancelled");
}

static void test_wants(void)
{
    Participant *participant = make(HOOK_VERB_PREPARE | HOOK_VERB_ABORT);

    g_assert_true(participant_wants(participant, VERB_PREPARE));
    g_assert_false(participant_wants(participant, VERB_FREEZE));
    g_assert_false(participant_wants(participant, VERB_THAW));
    g_assert_true(participant_wants(participant, VERB_ABORT));
    g_assert_false(participant_wants(participant, VERB_COMPLETE));
    g_assert_false(participant_wants(participant, VERB_COUNT));
    participant->refused = g_strdup("group-writable");
    g_assert_false(participant_wants(participant, VERB_PREPARE));
    participant_free(participant);
}

static void test_complete_is_opt_in(void)
{
    Participant *participant = make(HOOK_VERBS_DEFAULT);

    for (Verb verb = VERB_PREPARE; verb <= VERB_ABORT; verb++)
        g_assert_true(participant_wants(participant, verb));
    g_assert_false(participant_wants(participant, VERB_COMPLETE));
    participant_free(participant);
}

static void test_concerned(void)
{
    const char *const root_only[] = {"/", NULL};
    const char *const both[] = {"/", "/srv", NULL};
    const char *const none[] = {NULL};
    const char *const below[] = {"/srv/data", "/srv2", NULL};
    const char *const own[] = {"/var/lib/app", "/srv", NULL};
    Participant *participant = make(HOOK_VERBS_DEFAULT);

    g_assert_true(participant_concerned(participant, root_only));
    g_assert_true(participant_concerned(participant, none));
    participant->mountpoints = g_strdupv((char **)own);
    g_assert_false(participant_concerned(participant, root_only));
    g_assert_false(participant_concerned(participant, none));
    g_assert_false(participant_concerned(participant, below));
    g_assert_true(participant_concerned(participant, both));
    g_assert_true(participant_concerned(participant, NULL));
    participant_free(participant);
}

static void test_timeout(void)
{
    const VerbContext context = {.timeout_default_us = 10 * USEC_PER_SEC};
    Participant *participant = make(HOOK_VERBS_DEFAULT);

    g_assert_cmpint(participant_timeout(participant, &context), ==, 10 * USEC_PER_SEC);
    participant->timeout_us = 30 * USEC_PER_SEC;
    g_assert_cmpint(participant_timeout(participant, &context), ==, 30 * USEC_PER_SEC);
    participant_free(participant);
}

/* Names, lists and reasons go here, the rest by the kind; leaks show under ASan. */
static void test_free(void)
{
    const char *const own[] = {"/srv", NULL};
    Participant *participant = make(0);

    freed = 0;
    participant->mountpoints = g_strdupv((char **)own);
    participant->refused = g_strdup("reason");
    participant_free(participant);
    g_assert_cmpuint(freed, ==, 1);
    participant_free(NULL);
    g_assert_cmpuint(freed, ==, 1);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/participant/names", test_names);
    g_test_add_func("/participant/wants", test_wants);
    g_test_add_func("/participant/complete_is_opt_in", test_complete_is_opt_in);
    g_test_add_func("/participant/concerned_by_mountpoints", test_concerned);
    g_test_add_func("/participant/timeout_default", test_timeout);
    g_test_add_func("/participant/free", test_free);
    return g_test_run();
}
