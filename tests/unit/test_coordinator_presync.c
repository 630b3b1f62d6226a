/*
 * Tests of what a freeze writes back before it (journals, gentle write-back, rounds of syncfs), and
 * of the kernel's settings that are changed meanwhile.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "coordinator_rig_files.h"
#include "coordinator_rig_requests.h"
#include "quiesce/presync.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <unistd.h>

#define EXPIRE "proc/sys/vm/dirty_expire_centisecs"
#define PERIOD "proc/sys/vm/dirty_writeback_centisecs"
#define GRACE  "sys/kernel/rcu_expedited"
#define MUCH   "Dirty: 65536 kB\nWriteback: 0 kB\n"
#define LITTLE "Dirty: 64 kB\nWriteback: 0 kB\n"

static bool says(const Rig *rig, const char *path, const char *value)
{
    g_autofree char *text = rig_text(rig, path);

    return g_str_equal(g_strstrip(text), value);
}

static bool calls_are(const Rig *rig, const char *filesystem, const char *calls)
{
    g_autofree char *all = rig_calls(rig, filesystem);

    return g_str_equal(all, calls);
}

/* The kernel's own value. */
static bool settings_are_back(const Rig *rig)
{
    return says(rig, EXPIRE, "3000") && says(rig, PERIOD, "500");
}

/* A freeze that finds much to write back. */
static void begin(Rig *rig, const char *filesystem, const char *inject, Reply *freeze)
{
    g_autofree char *path = g_strdup_printf("fs/%s/.inject", filesystem);

    rig_write(rig, "proc/meminfo", MUCH);
    rig_write(rig, path, inject);
    rig_start(rig);
    rig_freeze(rig, NULL, freeze);
}

/* Of which little is left after a while. */
static void write_back(Rig *rig)
{
    rig_await(rig, says(rig, EXPIRE, "10"));
    rig_write(rig, "proc/meminfo", LITTLE);
}

static void ends_held(Rig *rig, const Reply *freeze, unsigned count)
{
    rig_answered(rig, freeze);
    assert_ok(freeze, count);
    g_assert_true(settings_are_back(rig));
    rig_thaws(rig, count);
}

static void journals_are_committed_before_the_write_back(void)
{
    g_autoptr(Rig) rig = rig_new("a b");
    int64_t began_us = deadline_now();
    bool not_begun;
    Reply freeze;

    begin(rig, "b", "commit hang\n", &freeze);
    rig_await(rig, calls_are(rig, "a", "commit"));
    not_begun = settings_are_back(rig);
    if (deadline_now() - began_us < PRESYNC_COMMIT_US)
        g_assert_true(not_begun);
    rig_write(rig, "fs/b/.release", "");
    rig_await(rig, calls_are(rig, "b", "commit"));
    rig_await(rig, says(rig, EXPIRE, "10") && says(rig, PERIOD, "5"));
    g_assert_true(calls_are(rig, "a", "commit"));
    write_back(rig);
    ends_held(rig, &freeze, 2);
    g_assert_true(calls_are(rig, "a", "commit sync freeze thaw"));
    g_assert_true(calls_are(rig, "b", "commit sync freeze thaw"));
}

/* A busy disk: the write-back does not wait for it for long, the syncfs of the same does. */
static void a_late_commit_holds_up_nobody(void)
{
    g_autoptr(Rig) rig = rig_new("a b");
    Reply freeze;

    begin(rig, "b", "commit hang\n", &freeze);
    write_back(rig);
    rig_await(rig, calls_are(rig, "a", "commit sync"));
    g_assert_true(calls_are(rig, "b", ""));
    rig_write(rig, "fs/b/.release", "");
    ends_held(rig, &freeze, 2);
    g_assert_true(calls_are(rig, "b", "commit sync freeze thaw"));
}

/* What is wrong with it the syncfs says. */
static void a_failed_commit_fails_nothing(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    Reply freeze;

    begin(rig, "a", "commit EIO\n", &freeze);
    write_back(rig);
    ends_held(rig, &freeze, 1);
    g_assert_true(calls_are(rig, "a", "commit sync freeze thaw"));
}

static void only_what_has_such_a_journal_is_committed(void)
{
    g_autoptr(Rig) rig = rig_new("a b");
    g_autofree char *mountinfo = rig_text(rig, "mountinfo");
    char *type = strstr(mountinfo, "fs/a rw - ext4");
    Reply freeze;

    memcpy(strstr(type, "ext4"), "xfs ", 4);
    rig_write(rig, "mountinfo", mountinfo);
    begin(rig, "a", "", &freeze);
    write_back(rig);
    ends_held(rig, &freeze, 2);
    g_assert_true(calls_are(rig, "a", "sync freeze thaw"));
    g_assert_true(calls_are(rig, "b", "commit sync freeze thaw"));
}

/* And when nothing is dirty there is nothing to wait for, or to be changed. */
static void little_is_synced_at_once(void)
{
    g_autoptr(Rig) rig = rig_new("a");

    rig_write(rig, "proc/meminfo", LITTLE);
    rig_start(rig);
    rig_hold(rig);
    rig_thaws(rig, 1);
    g_assert_true(calls_are(rig, "a", "sync freeze thaw"));
}

static void a_thaw_ends_it_in_every_step(void)
{
    static const char *const HANGS[] = {"commit hang\n", ""};

    for (unsigned i = 0; i < G_N_ELEMENTS(HANGS); i++) {
        g_autoptr(Rig) rig = rig_new("a");
        Reply freeze, thaw;

        begin(rig, "a", HANGS[i], &freeze);
        rig_await(rig, says(rig, EXPIRE, "10"));
        rig_thaw(rig, &thaw);
        rig_answered(rig, &freeze);
        rig_answered(rig, &thaw);
        g_assert_cmpint(freeze.kind, ==, ANSWER_ERROR);
        g_assert_true(settings_are_back(rig));
        rig_write(rig, "fs/a/.release", "");
        rig_await(rig, calls_are(rig, "a", "commit")); /* and nothing after it */
        rig_settle(rig);
        g_assert_true(calls_are(rig, "a", "commit"));
    }
}

/* --- grace periods -----------------------------------------------------------------------------
 */

/* While FIFREEZE is in the kernel, and no longer. */
static void grace_periods_are_expedited_while_freezing(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    Reply freeze;

    rig_write(rig, GRACE, "0\n");
    rig_write(rig, "fs/a/.inject", "freeze hang\n");
    rig_hook(rig, "10-app", RIG_STANDS_AT("freeze"));
    rig_start(rig);
    rig_freeze(rig, NULL, &freeze);
    rig_await(rig, rig_called(rig, "10-app freeze"));
    g_assert_true(says(rig, GRACE, "0"));
    rig_write(rig, "go-freeze", "");
    rig_await(rig, says(rig, GRACE, "1"));
    rig_write(rig, "fs/a/.release", "");
    rig_answered(rig, &freeze);
    assert_ok(&freeze, 1);
    g_assert_true(says(rig, GRACE, "0"));
    rig_thaws(rig, 1);
}

static void a_failed_freeze_puts_them_back(void)
{
    static const char *const INJECTED[] = {"freeze EIO\n", "freeze hang\n"};

    for (unsigned i = 0; i < G_N_ELEMENTS(INJECTED); i++) {
        g_autoptr(Rig) rig = rig_new("a b");
        Reply freeze, thaw;

        rig_write(rig, GRACE, "0\n");
        rig_write(rig, "fs/a/.inject", INJECTED[i]);
        rig_start(rig);
        rig_freeze(rig, NULL, &freeze);
        if (i == 1) {
            rig_await(rig, says(rig, GRACE, "1"));
            rig_thaw(rig, &thaw);
            rig_answered(rig, &thaw);
        }
        rig_answered(rig, &freeze);
        g_assert_cmpint(freeze.kind, ==, ANSWER_ERROR);
        g_assert_true(says(rig, GRACE, "0"));
        rig_write(rig, "fs/a/.release", "");
        rig_settle(rig);
    }
}

static void what_somebody_else_expedited_stays_so(void)
{
    g_autoptr(Rig) rig = rig_new("a");

    rig_write(rig, GRACE, "1\n");
    rig_start(rig);
    rig_hold(rig);
    rig_thaws(rig, 1);
    g_assert_true(says(rig, GRACE, "1"));
}

/* Nor a FIFREEZE that it leaves in the kernel, nor the hooks that are still to be told. */
static void a_keeper_that_ends_does_not_keep_them(void)
{
    static const int SIGNALS[] = {SIGKILL, SIGTERM};

    for (unsigned i = 0; i < G_N_ELEMENTS(SIGNALS); i++) {
        g_autoptr(Rig) rig = rig_new("a b");
        Reply freeze;

        rig_write(rig, GRACE, "0\n");
        rig_write(rig, "fs/a/.inject", "freeze hang\n");
        rig_hook(rig, "10-app", RIG_STANDS_AT("abort"));
        rig_start(rig);
        rig_freeze(rig, NULL, &freeze);
        rig_await(rig, says(rig, GRACE, "1"));
        rig_signal_keeper(rig, SIGNALS[i]);
        rig_await(rig, rig_called(rig, "10-app abort"));
        g_assert_true(says(rig, GRACE, "0"));
        g_assert_cmpuint(freeze.calls, ==, 0);
        rig_write(rig, "go-abort", "");
        rig_answered(rig, &freeze);
        g_assert_cmpint(freeze.kind, ==, ANSWER_ERROR);
        rig_write(rig, "fs/a/.release", "");
        rig_settle(rig);
    }
}

/* --- what somebody else does to them -----------------------------------------------------------
 */

static void what_was_changed_meanwhile_stays_so(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    Reply freeze;

    rig_write(rig, GRACE, "0\n");
    rig_hook(rig, "10-app", RIG_STANDS_AT("prepare"));
    begin(rig, "a", "freeze hang\n", &freeze);
    rig_await(rig, says(rig, EXPIRE, "10") && says(rig, PERIOD, "5"));
    rig_write(rig, EXPIRE, "77\n");
    rig_write(rig, "proc/meminfo", LITTLE);
    rig_write(rig, "go-prepare", "");
    rig_await(rig, says(rig, GRACE, "1"));
    rig_write(rig, GRACE, "0\n");
    rig_write(rig, "fs/a/.release", "");
    rig_answered(rig, &freeze);
    assert_ok(&freeze, 1);
    rig_thaws(rig, 1);
    g_assert_true(says(rig, EXPIRE, "77") && says(rig, PERIOD, "500") && says(rig, GRACE, "0"));
}

/* The ledger does not keep for later what was never replaced. */
static void what_cannot_be_changed_is_not_put_back_later(void)
{
    g_autoptr(Rig) rig = rig_new("a");
    g_autofree char *period = rig_path(rig, PERIOD);
    WritebackSettings saved;
    Reply freeze;

    /* A number that root may not write either. */
    g_assert_cmpint(g_unlink(period), ==, 0);
    g_assert_cmpint(symlink("/proc/sys/kernel/random/entropy_avail", period), ==, 0);
    begin(rig, "a", "", &freeze);
    rig_await(rig, calls_are(rig, "a", "commit"));
    rig_write(rig, "proc/meminfo", LITTLE);
    rig_answered(rig, &freeze);
    assert_ok(&freeze, 1);
    g_assert_true(says(rig, EXPIRE, "3000"));
    g_assert_false(ledger_saved_writeback(rig->ledger, &saved));
    rig_thaws(rig, 1);
}

#define ADD(function) g_test_add_func("/coordinator_presync/" #function, function)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD(journals_are_committed_before_the_write_back);
    ADD(a_late_commit_holds_up_nobody);
    ADD(a_failed_commit_fails_nothing);
    ADD(only_what_has_such_a_journal_is_committed);
    ADD(little_is_synced_at_once);
    ADD(a_thaw_ends_it_in_every_step);
    ADD(grace_periods_are_expedited_while_freezing);
    ADD(a_failed_freeze_puts_them_back);
    ADD(what_somebody_else_expedited_stays_so);
    ADD(a_keeper_that_ends_does_not_keep_them);
    ADD(what_was_changed_meanwhile_stays_so);
    ADD(what_cannot_be_changed_is_not_put_back_later);
    return g_test_run();
}
