/*
 * Tests of the coordinator: a service that was killed in each state, and what the next one finds in
 * the ledger.
 *
 * What is killed is a process of its own; its keeper sees the end of its socket, as with a crash.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "coordinator_rig_files.h"
#include "coordinator_rig_requests.h"

#include <glib/gstdio.h>
#include <signal.h>

#define RESTARTED                                                                                  \
    "fsfreeze is limited up to 300 seconds: not held until thaw: the service was restarted after " \
    "[0-9]+\\.[0-9] s"

typedef struct {
    const char *path;
    void (*func)(void);
} Case;

static MachineState state(const Rig *rig)
{
    return coordinator_state(rig->coordinator);
}

/* --- what the victims do -----------------------------------------------------------------------
 */

static void freeze_only(Rig *rig)
{
    rig_freeze(rig, NULL, g_new0(Reply, 1));
}

static void hold_only(Rig *rig)
{
    rig_hold(rig);
}

static void hold_and_thaw(Rig *rig)
{
    rig_hold(rig);
    rig_thaw(rig, g_new0(Reply, 1));
}

static void lose(Rig *rig)
{
    rig_hold(rig);
    rig_signal_keeper(rig, SIGTERM);
    rig_await(rig, state(rig) == STATE_LOST);
}

/* The keeper and the service at once: neither can do anything for the other. */
static void kill_both(Rig *rig)
{
    g_assert_cmpint(kill(rig->victim, SIGSTOP), ==, 0);
    rig_signal_keeper(rig, SIGKILL);
    rig_kill_victim(rig);
}

/* --- what the next one must do -----------------------------------------------------------------
 */

/* What the next service says of the operation of the one before. */
static void is_reported(Rig *rig, ReportResult result, ReportEndedBy ended_by, bool delivered)
{
    const Report *report = rig_report(rig);

    g_assert_nonnull(report);
    g_assert_cmpint(report->result, ==, result);
    g_assert_cmpint(report->ended_by, ==, ended_by);
    g_assert_cmpint(report->verdict_delivered, ==, delivered);
    g_assert_cmpint(report->level, ==, result == REPORT_OK ? LEVEL_APPLICATION : LEVEL_CRASH);
    g_assert_cmpint(report->started_unix_ms, <=, g_get_real_time() / USEC_PER_MSEC);
    g_assert_cmpint(report->started_unix_ms, >, g_get_real_time() / USEC_PER_MSEC - 60000);
}

static const ReportFilesystem *reported_filesystem(Rig *rig, unsigned index, ReportFsResult result)
{
    const Report *report = rig_report(rig);
    const ReportFilesystem *entry = NULL;

    g_assert_cmpuint(report->filesystems->len, ==, rig->filesystems->len);
    entry = g_ptr_array_index(report->filesystems, index);
    g_assert_true(g_str_has_suffix(entry->mountpoint, g_ptr_array_index(rig->filesystems, index)));
    g_assert_cmpstr(entry->type, ==, "ext4");
    g_assert_cmpint(entry->result, ==, result);
    g_assert_cmpint(entry->frozen_us > 0, ==, result == FS_FROZEN);
    return entry;
}

static void participant_is_reported(Rig *rig, const char *name, StepResult result)
{
    const ReportParticipant *entry = g_ptr_array_index(rig_report(rig)->participants, 0);

    g_assert_cmpstr(entry->name, ==, name);
    g_assert_cmpint(entry->result, ==, result);
}

static void nothing_is_told(Rig *rig, const char *hooks)
{
    rig_start(rig);
    rig_settle(rig);
    g_assert_cmpint(state(rig), ==, STATE_THAWED);
    g_assert_false(coordinator_verdict_pending(rig->coordinator));
    g_assert_false(ledger_active(rig->ledger));
    g_assert_false(rig_frozen(rig));
    assert_hooks(rig, hooks);
    rig_thaws(rig, 0);
}

static void told_once(Rig *rig, const char *verdict, const char *hooks)
{
    rig_start(rig);
    g_assert_cmpint(state(rig), ==, STATE_LOST);
    rig_settle(rig);
    g_assert_false(rig_frozen(rig));
    assert_hooks(rig, hooks);
    g_assert_false(rig_report(rig)->verdict_delivered);
    rig_told_once(rig, verdict);
    rig_end(rig);
    rig_start(rig); /* and not by the one after it either */
    is_reported(rig, REPORT_LOST, rig_report(rig)->ended_by, true);
    g_assert_cmpint(state(rig), ==, STATE_THAWED);
    rig_thaws(rig, 0);
    assert_hooks(rig, hooks);
}

static void works_again(Rig *rig)
{
    rig_hold(rig);
    rig_thaws(rig, rig->filesystems->len);
}

/* --- killed ------------------------------------------------------------------------------------
 */

static void killed_in_thawed(void)
{
    g_autoptr(Rig) rig = rig_new("a");

    rig_hook(rig, "10-app", "");
    rig_start(rig);
    rig_end(rig);
    nothing_is_told(rig, "");
    works_again(rig);
}

static void killed_in_preparing(void)
{
    g_autoptr(Rig) rig = rig_new("a");

    rig_hook(rig, "10-app", RIG_STANDS_AT("prepare"));
    rig_hook(rig, "20-next", "");
    rig_victim(rig, freeze_only, "preparing");
    rig_await(rig, rig_called(rig, "10-app prepare"));
    rig_kill_victim(rig);
    rig_write(rig, "go-prepare", "");
    /* Who was called is aborted; who was not is left alone. */
    nothing_is_told(rig, "10-app prepare, 10-app abort");
    is_reported(rig, REPORT_FAILED, ENDED_BY_SERVICE_DEATH, false);
    participant_is_reported(rig, "app", STEP_LOST);
    (void)reported_filesystem(rig, 0, FS_SKIPPED);
    works_again(rig);
}

static void killed_in_freezing(void)
{
    g_autoptr(Rig) rig = rig_new("a b");

    rig_hook(rig, "10-app", "");
    rig_write(rig, "fs/b/.inject", "freeze hang\n");
    rig_victim(rig, freeze_only, "freezing");
    rig_await(rig, rig_exists(rig, "fs/a/.frozen"));
    rig_kill_victim(rig);
    rig_write(rig, "fs/b/.release", "");
    nothing_is_told(rig, "10-app prepare, 10-app freeze, 10-app abort");
    is_reported(rig, REPORT_FAILED, ENDED_BY_SERVICE_DEATH, false);
    (void)reported_filesystem(rig, 0, FS_FROZEN);
    /* The keeper thaws what it had in the kernel when it completes. */
    rig_await(rig, !rig_frozen(rig));
    works_again(rig);
}

static void killed_in_frozen(void)
{
    g_autoptr(Rig) rig = rig_new("a b");

    rig_hook(rig, "10-app", "");
    rig_victim(rig, hold_only, "frozen");
    rig_kill_victim(rig);
    rig_await(rig, !rig_frozen(rig)); /* by the keeper */
    told_once(rig, RESTARTED, "10-app prepare, 10-app freeze, 10-app abort");
    is_reported(rig, REPORT_LOST, ENDED_BY_SERVICE_DEATH, true);
    participant_is_reported(rig, "app", STEP_LOST);
    (void)reported_filesystem(rig, 0, FS_FROZEN);
    (void)reported_filesystem(rig, 1, FS_FROZEN);
    works_again(rig);
}

static void both_killed_in_frozen(void)
{
    g_autoptr(Rig) rig = rig_new("a b");

    rig_hook(rig, "10-app", "");
    rig_victim(rig, hold_only, "frozen");
    kill_both(rig);
    g_assert_true(rig_frozen(rig));
    told_once(rig, RESTARTED, "10-app prepare, 10-app freeze, 10-app abort");
    works_again(rig);
}

static void both_killed_leaves_what_others_froze(void)
{
    g_autoptr(Rig) rig = rig_new("a b");
    g_autofree char *mark = g_build_filename(rig->root, "fs/b/.frozen", NULL);

    rig->config->filesystems.skip_errors = true;
    rig_write(rig, "fs/b/.frozen", "");
    rig_hook(rig, "10-app", "");
    rig_victim(rig, freeze_only, "frozen");
    kill_both(rig);
    rig_start(rig);
    rig_settle(rig);
    g_assert_false(rig_exists(rig, "fs/a/.frozen"));
    g_assert_true(rig_exists(rig, "fs/b/.frozen"));
    g_assert_cmpint(g_remove(mark), ==, 0);
}

/* The host asked for the thaw and got no answer: it must not take it for a success. */
static void killed_in_thawing(void)
{
    g_autoptr(Rig) rig = rig_new("a");

    rig_hook(rig, "10-app", RIG_STANDS_AT("thaw"));
    rig_victim(rig, hold_and_thaw, "thawing");
    rig_await(rig, rig_called(rig, "10-app thaw"));
    rig_kill_victim(rig);
    rig_write(rig, "go-thaw", "");
    told_once(rig, RESTARTED, "10-app prepare, 10-app freeze, 10-app thaw, 10-app abort");
    works_again(rig);
}

static void killed_in_aborting(void)
{
    g_autoptr(Rig) rig = rig_new("a");

    rig_hook(rig, "10-app", "[ $1 != freeze ] || exit 1\n" RIG_STANDS_AT("abort"));
    rig_victim(rig, freeze_only, "aborting");
    rig_await(rig, rig_called(rig, "10-app abort"));
    rig_kill_victim(rig);
    rig_write(rig, "go-abort", "");
    nothing_is_told(rig, "10-app prepare, 10-app freeze, 10-app abort, 10-app abort");
}

static bool released(const Rig *rig)
{
    g_autofree char *path = g_build_filename(rig->root, "run/ledger", NULL);
    g_autofree char *bytes = NULL;

    g_assert_true(g_file_get_contents(path, &bytes, NULL, NULL));
    return !((const KeeperLedgerHeader *)(const void *)bytes)->active;
}

static void killed_in_lost(void)
{
    g_autoptr(Rig) rig = rig_new("a");

    rig_hook(rig, "10-app", "");
    rig_victim(rig, lose, "lost");
    rig_await(rig, released(rig));
    rig_kill_victim(rig);
    told_once(rig, "fsfreeze is limited up to 300 seconds: .*: the keeper was stopped after .*",
              "10-app prepare, 10-app freeze, 10-app abort");
    is_reported(rig, REPORT_LOST, ENDED_BY_STOP, true);
}

static void killed_in_lost_while_releasing(void)
{
    g_autoptr(Rig) rig = rig_new("a");

    rig_hook(rig, "10-app", RIG_STANDS_AT("abort"));
    rig_victim(rig, lose, "lost");
    rig_await(rig, rig_called(rig, "10-app abort"));
    rig_kill_victim(rig);
    rig_write(rig, "go-abort", "");
    /* Why it was lost stays; nobody hears of the restart instead. */
    told_once(rig, "fsfreeze is limited up to 300 seconds: .*: the keeper was stopped after .*",
              "10-app prepare, 10-app freeze, 10-app abort, 10-app abort");
    is_reported(rig, REPORT_LOST, ENDED_BY_STOP, true);
}

static void the_window_goes_on_while_nobody_runs(void)
{
    g_autoptr(Rig) rig = rig_new("a");

    rig->config->quiesce.lost_window_us = MSEC(1500);
    rig_victim(rig, lose, "lost");
    rig_await(rig, released(rig));
    rig_kill_victim(rig);
    g_usleep(MSEC(1600));
    nothing_is_told(rig, "");
    is_reported(rig, REPORT_LOST, ENDED_BY_STOP, false);
}

/* Applications do not wait for what only the next start, with the stored fds, can thaw. */
static void what_no_mount_leads_to_is_left_for_the_next(void)
{
    g_autoptr(Rig) rig = rig_new("a b");
    g_autofree char *here = g_build_filename(rig->root, "fs/a", NULL);
    g_autofree char *there = g_build_filename(rig->root, "fs/a-unmounted", NULL);

    rig_hook(rig, "10-app", RIG_STANDS_AT("abort"));
    rig_victim(rig, freeze_only, "frozen");
    g_assert_cmpint(g_rename(here, there), ==, 0);
    kill_both(rig);
    rig_start_early(rig);
    rig_fires_in(rig->coordinator->operation->unfreeze_wait, 60 * USEC_PER_SEC);
    rig_await(rig, rig_called(rig, "10-app abort"));
    g_assert_false(coordinator_leaves_the_rest(rig->coordinator));
    rig_write(rig, "go-abort", "");
    rig_await(rig, coordinator_leaves_the_rest(rig->coordinator));
    g_assert_false(coordinator_is_clear(rig->coordinator));
    g_assert_true(ledger_active(rig->ledger));
    g_assert_cmpint(g_rename(there, here), ==, 0);
    rig_settle(rig);
    g_assert_false(rig_frozen(rig));
    g_assert_false(coordinator_leaves_the_rest(rig->coordinator));
    rig_told_once(rig, "fsfreeze is limited .*the service was restarted.*");
}

static void changed_settings_are_put_back(void)
{
    static const WritebackSettings BEFORE = {.expire_cs = 1234, .period_cs = 567};
    g_autoptr(Rig) rig = rig_new("a");
    g_autofree char *ledger = g_build_filename(rig->root, "run/ledger", NULL);
    g_autofree char *procfs = g_build_filename(rig->root, "proc", NULL);
    Ledger *before = ledger_open(ledger, NULL);
    g_autofree char *grace = NULL;
    WritebackSettings now;
    int32_t expedited;

    ledger_save_writeback(before, &BEFORE);
    rig_write(rig, "proc/sys/vm/dirty_expire_centisecs", "10\n");
    rig_write(rig, "proc/sys/vm/dirty_writeback_centisecs", "5\n");
    ledger_save_grace(before, 0);
    rig_write(rig, "sys/kernel/rcu_expedited", "1\n");
    ledger_close(before);
    rig_start(rig);
    g_assert_true(writeback_read(procfs, &now, NULL));
    g_assert_cmpint(now.expire_cs, ==, BEFORE.expire_cs);
    g_assert_cmpint(now.period_cs, ==, BEFORE.period_cs);
    g_assert_false(ledger_saved_writeback(rig->ledger, &now));
    grace = rig_text(rig, "sys/kernel/rcu_expedited");
    g_assert_cmpstr(grace, ==, "0\n");
    g_assert_false(ledger_saved_grace(rig->ledger, &expedited));
}

/* The recovered operation is the straggler that the new one waits for. */
static void a_freeze_during_recovery_waits_for_it(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    Reply freeze;

    rig_hook(rig, "10-app", RIG_STANDS_AT("prepare"));
    rig_victim(rig, freeze_only, "preparing");
    rig_await(rig, rig_called(rig, "10-app prepare"));
    rig_kill_victim(rig);
    rig_write(rig, "go-prepare", "");
    rig_start_early(rig);
    rig_freeze(rig, NULL, &freeze);
    rig_answered(rig, &freeze);
    assert_ok(&freeze, 1);
    rig_thaws(rig, 1);
    assert_hooks(rig, "10-app prepare, 10-app abort, 10-app prepare, 10-app freeze, 10-app thaw");
}

static void lose_and_be_told(Rig *rig)
{
    lose(rig);
    rig_thaw(rig, g_new0(Reply, 1));
}

/* The thaw was answered, one participant is late; the next service must not tell (again). */
static void answered_and_killed(const char *verb, void (*act)(Rig *rig), ReportResult result,
                                ReportEndedBy ended_by)
{
    g_autoptr(Rig) rig = rig_new("a");
    g_autofree char *call = g_strdup_printf("10-slow %s", verb);

    rig->config->quiesce.thaw_budget_us = MSEC(2000);
    rig_hook(rig, "10-slow", RIG_STANDS_AT("thaw") RIG_STANDS_AT("abort"));
    rig_victim(rig, act, "thawing");
    rig_await(rig, rig_called(rig, call));
    rig_await(rig, rig_victim_is(rig, "thawed"));
    rig_kill_victim(rig);
    rig_write(rig, "go-thaw", "");
    rig_write(rig, "go-abort", "");
    rig_start(rig);
    g_assert_cmpint(state(rig), ==, STATE_THAWED);
    rig_settle(rig);
    is_reported(rig, result, ended_by, true);
    rig_thaws(rig, 0);
}

static void a_verdict_is_not_told_again_after_a_restart(void)
{
    answered_and_killed("abort", lose_and_be_told, REPORT_LOST, ENDED_BY_STOP);
}

static void a_good_thaw_is_not_taken_back_after_a_restart(void)
{
    answered_and_killed("thaw", hold_and_thaw, REPORT_OK, ENDED_BY_HOST_THAW);
}

/* In a process of its own: a victim is forked from it, and what the coordinator keeps for the whole
 * process (idle threads) must not have been there before. */
static void isolated(gconstpointer data)
{
    if (g_test_subprocess()) {
        ((const Case *)data)->func();
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_passed();
}

#define CASE(function)                                                                             \
    {                                                                                              \
        "/coordinator_restart/" #function, function                                                \
    }

int main(int argc, char **argv)
{
    static const Case CASES[] = {
        CASE(killed_in_thawed),
        CASE(killed_in_preparing),
        CASE(killed_in_freezing),
        CASE(killed_in_frozen),
        CASE(both_killed_in_frozen),
        CASE(both_killed_leaves_what_others_froze),
        CASE(killed_in_thawing),
        CASE(killed_in_aborting),
        CASE(killed_in_lost),
        CASE(killed_in_lost_while_releasing),
        CASE(the_window_goes_on_while_nobody_runs),
        CASE(what_no_mount_leads_to_is_left_for_the_next),
        CASE(changed_settings_are_put_back),
        CASE(a_freeze_during_recovery_waits_for_it),
        CASE(a_verdict_is_not_told_again_after_a_restart),
        CASE(a_good_thaw_is_not_taken_back_after_a_restart),
    };

    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(CASES); i++)
        g_test_add_data_func(CASES[i].path, &CASES[i], isolated);
    return g_test_run();
}
