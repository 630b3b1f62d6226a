/*
 * Tests of the coordinator: what a freeze and a thaw do and answer, and every way in which a freeze
 * fails by itself. Budgets and cancelling are test_coordinator_budget's, the rest
 * test_coordinator_loss's and test_coordinator_restart's.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "coordinator_rig_files.h"
#include "coordinator_rig_requests.h"

#include <glib/gstdio.h>
#include <string.h>

#define FAILS_AT(verb, rest) "if [ \"$1\" = " verb " ]; then " rest "; fi"

/* --- what works --------------------------------------------------------------------------------
 */

static void freezes_and_thaws_in_order(void)
{
    g_autoptr(Rig) rig = rig_new("a b");
    g_autofree char *calls = NULL;
    Reply freeze, thaw;

    rig_hook(rig, "10-first", "");
    rig_hook(rig, "20-second", "");
    rig_start(rig);
    g_assert_cmpstr(coordinator_fsfreeze_status(rig->coordinator), ==, "thawed");
    rig_freeze(rig, NULL, &freeze);
    rig_answered(rig, &freeze);
    assert_ok(&freeze, 2);
    g_assert_true(freeze.held);
    g_assert_true(rig_frozen(rig));
    g_assert_cmpstr(coordinator_fsfreeze_status(rig->coordinator), ==, "frozen");
    g_assert_true(ledger_frozen_since(rig->ledger, NULL) > 0);
    rig_thaw(rig, &thaw);
    rig_answered(rig, &thaw);
    assert_ok(&thaw, 2);
    g_assert_true(thaw.held);
    assert_hooks(rig, "10-first prepare, 20-second prepare, 10-first freeze, 20-second freeze, "
                      "20-second thaw, 10-first thaw");
    g_assert_cmpstr(rig->states->str, ==, "thawed, preparing, freezing, frozen, thawing, thawed");
    calls = rig_calls(rig, "b");
    g_assert_true(g_str_has_prefix(calls, "sync ") && g_str_has_suffix(calls, " freeze thaw"));
    rig_settle(rig);
    g_assert_false(ledger_active(rig->ledger));
}

static void reports_what_held(void)
{
    g_autoptr(Rig) rig = rig_new("a b");
    const Report *report;
    Reply thaw;

    rig_hook(rig, "10-app", "");
    rig_start(rig);
    rig_hold(rig);
    rig_thaw(rig, &thaw);
    rig_answered(rig, &thaw);
    report = rig_report(rig);
    g_assert_cmpint(report->result, ==, REPORT_OK);
    g_assert_cmpint(report->ended_by, ==, ENDED_BY_HOST_THAW);
    g_assert_cmpint(report->level, ==, LEVEL_APPLICATION);
    g_assert_cmpstr(report->channel, ==, "test");
    g_assert_true(report->verdict_delivered);
    g_assert_true(report->prepare_us > 0 && report->freeze_us > 0 && report->frozen_us > 0 &&
                  report->thaw_us >= 0);
    g_assert_cmpuint(report->filesystems->len, ==, 2);
    for (unsigned i = 0; i < 2; i++) {
        const ReportFilesystem *entry = g_ptr_array_index(report->filesystems, i);

        g_assert_cmpint(entry->result, ==, FS_FROZEN);
        g_assert_true(entry->frozen_us > 0 && entry->thaw_us >= 0);
    }
    g_assert_cmpuint(((ReportParticipant *)report->participants->pdata[0])->steps->len, ==, 3);
}

static void a_thaw_with_nothing_frozen_calls_nobody(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    g_autofree char *calls = NULL;
    Reply thaw;

    rig_hook(rig, "10-app", "");
    rig_start(rig);
    rig_thaw(rig, &thaw);
    assert_ok(&thaw, 0);
    g_assert_false(thaw.held);
    assert_hooks(rig, "");
    calls = rig_calls(rig, "a");
    g_assert_cmpstr(calls, ==, "");
}

static void an_empty_system_answers_zero_and_holds_nothing(void)
{
    g_autoptr(Rig) rig = rig_new("");
    Reply freeze, thaw;

    rig_start(rig);
    rig_freeze(rig, NULL, &freeze);
    rig_answered(rig, &freeze);
    assert_ok(&freeze, 0);
    g_assert_false(freeze.held);
    g_assert_cmpint(coordinator_state(rig->coordinator), ==, STATE_THAWED);
    g_assert_false(coordinator_verdict_pending(rig->coordinator));
    rig_settle(rig);
    rig_thaw(rig, &thaw);
    assert_ok(&thaw, 0);
}

static void a_participant_alone_counts_as_one(void)
{
    g_autoptr(Rig) rig = rig_new("");
    Reply thaw;

    rig_hook(rig, "10-app", "");
    rig_start(rig);
    rig_hold(rig);
    rig_thaw(rig, &thaw);
    rig_answered(rig, &thaw);
    assert_ok(&thaw, 1);
    assert_hooks(rig, "10-app prepare, 10-app freeze, 10-app thaw");
}

static void a_list_freezes_what_it_names(void)
{
    g_autoptr(Rig) rig = rig_new("a b");
    g_autofree char *b = g_build_filename(rig->root, "fs/b", NULL);
    char *mountpoints[] = {b, NULL};
    const FreezeRequest request = {.channel = "test", .mountpoints = mountpoints, .level = -1};
    g_autofree char *calls = NULL;
    Reply freeze, thaw;

    rig_start(rig);
    rig_freeze(rig, &request, &freeze);
    rig_answered(rig, &freeze);
    assert_ok(&freeze, 1);
    g_assert_true(rig_exists(rig, "fs/b/.frozen"));
    calls = rig_calls(rig, "a");
    g_assert_cmpstr(calls, ==, "");
    rig_thaw(rig, &thaw);
    rig_answered(rig, &thaw);
    assert_ok(&thaw, 1);
}

/* --- what fails --------------------------------------------------------------------------------
 */

/* A freeze must fail with `text`, leave nothing frozen and nobody held. */
static void must_fail(Rig *rig, const FreezeRequest *request, const char *text)
{
    Reply freeze;

    rig_freeze(rig, request, &freeze);
    rig_answered(rig, &freeze);
    assert_failed(&freeze, text);
    g_assert_cmpint(coordinator_state(rig->coordinator), ==, STATE_THAWED);
    g_assert_cmpstr(coordinator_fsfreeze_status(rig->coordinator), ==, "thawed");
    g_assert_false(coordinator_verdict_pending(rig->coordinator));
    g_assert_cmpint(rig_report(rig)->result, ==, REPORT_FAILED);
    g_assert_cmpint(rig_report(rig)->ended_by, ==, ENDED_BY_ROLLBACK);
    g_assert_cmpint(rig_report(rig)->level, ==, LEVEL_CRASH);
    g_assert_cmpstr(rig_report(rig)->error, ==, text);
    rig_await(rig, !rig_frozen(rig)); /* the answer does not wait for a slow thaw */
}

static void a_failing_prepare_aborts_who_was_called(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    g_autofree char *calls = NULL;

    rig_hook(rig, "10-good", "");
    rig_hook(rig, "20-bad", FAILS_AT("prepare", "exit 4"));
    rig_hook(rig, "30-never", "");
    rig_start(rig);
    must_fail(rig, NULL, "quiesce failed: bad: prepare: exit status 4");
    assert_hooks(rig, "10-good prepare, 20-bad prepare, 20-bad abort, 10-good abort");
    g_assert_cmpstr(rig->states->str, ==, "thawed, preparing, aborting, thawed");
    calls = rig_calls(rig, "a");
    g_assert_null(strstr(calls, "freeze"));
}

static void a_failing_freeze_aborts_who_was_called(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    g_autofree char *calls = NULL;

    rig_hook(rig, "10-good", "");
    rig_hook(rig, "20-bad", FAILS_AT("freeze", "echo no licence >&2; exit 3"));
    rig_hook(rig, "30-late", "");
    rig_start(rig);
    must_fail(rig, NULL, "quiesce failed: bad: freeze: no licence");
    /* 30-late was prepared, so it is owed an abort too. */
    assert_hooks(rig, "10-good prepare, 20-bad prepare, 30-late prepare, 10-good freeze, "
                      "20-bad freeze, 30-late abort, 20-bad abort, 10-good abort");
    g_assert_cmpstr(rig->states->str, ==, "thawed, preparing, freezing, aborting, thawed");
    calls = rig_calls(rig, "a");
    g_assert_null(strstr(calls, "freeze"));
}

static void a_participant_out_of_time_is_named(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    Reply freeze;

    rig_hook(rig, "10-slow", FAILS_AT("freeze", "exec sleep 30"));
    rig_hook_conf(rig, "10-slow", "Timeout=2");
    rig_start(rig);
    rig_freeze(rig, NULL, &freeze);
    rig_answered(rig, &freeze);
    assert_failed_like(&freeze, "quiesce failed: slow: freeze: timed out after [0-9]\\.[0-9] s");
    rig_settle(rig);
    assert_hooks(rig, "10-slow prepare, 10-slow freeze, 10-slow abort");
}

static void a_failing_filesystem_thaws_the_others(void)
{
    g_autoptr(Rig) rig = rig_new("a b");
    g_autofree char *text = g_strdup_printf(
        "quiesce failed: %s/fs/b: filesystem: FIFREEZE: Input/output error", rig->root);
    g_autofree char *calls = NULL;

    rig_hook(rig, "10-app", "");
    rig_write(rig, "fs/b/.inject", "freeze delay 200\nfreeze EIO\n"); /* a is frozen by then */
    rig_start(rig);
    must_fail(rig, NULL, text);
    calls = rig_calls(rig, "a");
    g_assert_true(g_str_has_suffix(calls, "freeze thaw"));
    assert_hooks(rig, "10-app prepare, 10-app freeze, 10-app abort");
}

static void further_filesystems_are_counted(void)
{
    g_autoptr(Rig) rig = rig_new("a b");
    Reply freeze;

    rig_write(rig, "fs/a/.inject", "freeze delay 300\nfreeze EIO\n");
    rig_write(rig, "fs/b/.inject", "freeze delay 300\nfreeze EIO\n");
    rig_start(rig);
    rig_freeze(rig, NULL, &freeze);
    rig_answered(rig, &freeze);
    assert_failed_like(&freeze, "quiesce failed: .*: filesystem: .* \\(and 1 more\\)");
}

static void what_somebody_else_froze_is_left_alone(void)
{
    g_autoptr(Rig) rig = rig_new("a b");
    g_autofree char *text =
        g_strdup_printf("quiesce failed: %s/fs/b: filesystem: frozen by somebody else", rig->root);
    g_autofree char *mark = g_build_filename(rig->root, "fs/b/.frozen", NULL);
    Reply freeze;

    rig_write(rig, "fs/b/.frozen", "");
    rig_start(rig);
    rig_freeze(rig, NULL, &freeze);
    rig_answered(rig, &freeze);
    assert_failed(&freeze, text);
    rig_await(rig, !rig_exists(rig, "fs/a/.frozen"));
    g_assert_true(rig_exists(rig, "fs/b/.frozen"));
    g_assert_cmpint(g_remove(mark), ==, 0);
}

static void an_unknown_mount_point_fails_before_anybody_is_called(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    char nowhere[] = "/nowhere";
    char *mountpoints[] = {nowhere, NULL};
    const FreezeRequest request = {.channel = "test", .mountpoints = mountpoints, .level = -1};

    rig_hook(rig, "10-app", "");
    rig_start(rig);
    must_fail(rig, &request,
              "quiesce failed: /nowhere: filesystem: no filesystem is mounted there; see "
              "guest-quiesce-plan");
    assert_hooks(rig, "");
}

static void without_a_ledger_it_is_unable(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    const char *reason = NULL;
    Reply freeze;

    rig_start(rig);
    rig->coordinator->spec.ledger = NULL;
    rig->coordinator->spec.ledger_error = "/run is full";
    g_assert_false(coordinator_ready(rig->coordinator, &reason));
    g_assert_cmpstr(reason, ==, "/run is full");
    rig_freeze(rig, NULL, &freeze);
    assert_failed(&freeze, "quiesce failed: agent: prepare: /run is full");
    g_assert_cmpint(coordinator_state(rig->coordinator), ==, STATE_THAWED);
}

/* --- level -------------------------------------------------------------------------------------
 */

static void a_demanded_level_that_cannot_be_reached_fails(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    const FreezeRequest request = {.channel = "test", .level = LEVEL_APPLICATION};

    rig_start(rig);
    must_fail(rig, &request, "quiesce failed: agent: freeze: no participant is registered");
    rig_hook(rig, "10-soft", FAILS_AT("freeze", "exit 1"));
    rig_hook_conf(rig, "10-soft", "OnFailure=degrade");
    must_fail(rig, &request, "quiesce failed: agent: freeze: soft: freeze: exit status 1");
    assert_hooks(rig, "10-soft prepare, 10-soft freeze, 10-soft abort");
}

static void a_degrading_participant_lowers_the_level_only(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    const FreezeRequest request = {.channel = "test", .level = LEVEL_FILESYSTEM};
    Reply freeze, thaw;

    rig_hook(rig, "10-soft", FAILS_AT("prepare", "exit 1"));
    rig_hook_conf(rig, "10-soft", "OnFailure=degrade");
    rig_hook(rig, "20-good", "");
    rig_start(rig);
    rig_freeze(rig, &request, &freeze);
    rig_answered(rig, &freeze);
    assert_ok(&freeze, 1);
    rig_thaw(rig, &thaw);
    rig_answered(rig, &thaw);
    assert_ok(&thaw, 1);
    g_assert_cmpint(rig_report(rig)->level, ==, LEVEL_FILESYSTEM);
    g_assert_cmpstr(rig_report(rig)->level_reason, ==, "soft: prepare: exit status 1");
    /* Who failed is not frozen, and gets abort where others get thaw. */
    assert_hooks(rig, "10-soft prepare, 20-good prepare, 20-good freeze, 20-good thaw, "
                      "10-soft abort");
}

static void a_refused_hook_degrades_or_fails(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    g_autofree char *script = g_build_filename(rig->root, "hooks/10-open", NULL);
    Reply freeze, thaw;

    rig_hook(rig, "10-open", "");
    g_assert_cmpint(g_chmod(script, 0777), ==, 0);
    rig_start(rig);
    rig_hold(rig);
    g_assert_cmpint(rig->coordinator->operation->report->level, ==, LEVEL_FILESYSTEM);
    rig_thaw(rig, &thaw);
    rig_answered(rig, &thaw);
    rig->config->hooks.abort_on_refused = true;
    rig_freeze(rig, NULL, &freeze);
    rig_answered(rig, &freeze);
    assert_failed_like(&freeze, "quiesce failed: open: prepare: .*writable.*");
    assert_hooks(rig, "");
}

static void skipped_errors_lower_the_level_to_crash(void)
{
    g_autoptr(Rig) rig = rig_new("a b");
    Reply freeze, thaw;

    rig->config->filesystems.skip_errors = true;
    rig_write(rig, "fs/b/.inject", "freeze EIO\n");
    rig_start(rig);
    rig_freeze(rig, NULL, &freeze);
    rig_answered(rig, &freeze);
    assert_ok(&freeze, 1);
    g_assert_cmpint(rig->coordinator->operation->report->level, ==, LEVEL_CRASH);
    rig_thaw(rig, &thaw);
    rig_answered(rig, &thaw);
    assert_ok(&thaw, 1);
}

/* --- second requests ---------------------------------------------------------------------------
 */

static void a_freeze_while_frozen_gets_the_stock_refusal(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    Reply second, thaw;

    rig_start(rig);
    rig_hold(rig);
    rig_freeze(rig, NULL, &second);
    g_assert_cmpuint(second.calls, ==, 1);
    g_assert_cmpint(second.kind, ==, ANSWER_FROZEN);
    g_assert_cmpint(coordinator_state(rig->coordinator), ==, STATE_FROZEN);
    g_assert_true(rig_frozen(rig));
    rig_thaw(rig, &thaw);
    rig_answered(rig, &thaw);
    assert_ok(&thaw, 1);
}

static void refused_as_busy(Rig *rig)
{
    g_autofree char *text = g_strdup_printf("quiesce failed: agent: operation %s in progress",
                                            rig->coordinator->operation->report->operation);
    Reply second;

    rig_freeze(rig, NULL, &second);
    assert_failed(&second, text);
}

/* In every state of an operation but FROZEN; the hook stands still at each verb. */
static void a_second_freeze_is_refused_with_the_uuid(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    Reply freeze, thaw;

    rig_hook(rig, "10-app",
             RIG_STANDS_AT("prepare") RIG_STANDS_AT("freeze") RIG_STANDS_AT("thaw")
                 RIG_STANDS_AT("abort"));
    rig_start(rig);
    rig_freeze(rig, NULL, &freeze);
    rig_await(rig, rig_called(rig, "10-app prepare"));
    refused_as_busy(rig);
    rig_write(rig, "go-prepare", "");
    rig_await(rig, rig_called(rig, "10-app freeze"));
    refused_as_busy(rig);
    rig_write(rig, "go-freeze", "");
    rig_answered(rig, &freeze);
    assert_ok(&freeze, 1);
    rig_thaw(rig, &thaw);
    rig_await(rig, rig_called(rig, "10-app thaw"));
    refused_as_busy(rig);
    rig_write(rig, "go-thaw", "");
    rig_answered(rig, &thaw);
    assert_ok(&thaw, 1);
    rig_settle(rig);
    rig_hook(rig, "20-bad", FAILS_AT("prepare", "exit 1"));
    rig_freeze(rig, NULL, &freeze);
    rig_await(rig, rig_called(rig, "10-app abort"));
    refused_as_busy(rig);
    rig_write(rig, "go-abort", "");
    rig_answered(rig, &freeze);
    assert_failed(&freeze, "quiesce failed: bad: prepare: exit status 1");
}

static void a_thaw_of_another_operation_is_refused(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    g_autofree char *text = NULL;
    Reply other, thaw;
    const char *own;

    rig_start(rig);
    rig_hold(rig);
    own = rig->coordinator->operation->report->operation;
    text = g_strdup_printf("quiesce failed: agent: operation %s in progress", own);
    rig_thaw_by(rig, "00000000-0000-0000-0000-000000000000", false, &other);
    assert_failed(&other, text);
    g_assert_true(rig_frozen(rig));
    rig_thaw_by(rig, own, false, &thaw);
    rig_answered(rig, &thaw);
    assert_ok(&thaw, 1);
}

#define ADD(function) g_test_add_func("/coordinator/" #function, function)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD(freezes_and_thaws_in_order);
    ADD(reports_what_held);
    ADD(a_thaw_with_nothing_frozen_calls_nobody);
    ADD(an_empty_system_answers_zero_and_holds_nothing);
    ADD(a_participant_alone_counts_as_one);
    ADD(a_list_freezes_what_it_names);
    ADD(a_failing_prepare_aborts_who_was_called);
    ADD(a_failing_freeze_aborts_who_was_called);
    ADD(a_participant_out_of_time_is_named);
    ADD(a_failing_filesystem_thaws_the_others);
    ADD(further_filesystems_are_counted);
    ADD(what_somebody_else_froze_is_left_alone);
    ADD(an_unknown_mount_point_fails_before_anybody_is_called);
    ADD(without_a_ledger_it_is_unable);
    ADD(a_demanded_level_that_cannot_be_reached_fails);
    ADD(a_degrading_participant_lowers_the_level_only);
    ADD(a_refused_hook_degrades_or_fails);
    ADD(skipped_errors_lower_the_level_to_crash);
    ADD(a_freeze_while_frozen_gets_the_stock_refusal);
    ADD(a_second_freeze_is_refused_with_the_uuid);
    ADD(a_thaw_of_another_operation_is_refused);
    return g_test_run();
}
