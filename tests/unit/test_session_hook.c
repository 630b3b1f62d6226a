/*
 * Tests of quiesce/session_hook: a lock that lives as long as a process. Real scripts, small times.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "session_rig.h"

#include <glib/gstdio.h>
#include <signal.h>

/* --- what goes well ----------------------------------------------------------------------------
 */

static void test_held_until_thaw(Fixture *f, gconstpointer data)
{
    (void)data;
    hold(f, HOLDS);
    g_assert_cmpint(f->participant->kind, ==, PARTICIPANT_SESSION_HOOK);
    run_for(MSEC(150));
    f->participant->ops->verify(f->participant);
    assert_log(f, "hold");
    call(f, VERB_THAW, LONG);
    assert_reason(f, STEP_OK, "");
    assert_log(f, "hold let go");
    g_assert_cmpuint(f->losses, ==, 0);
    g_assert_false(f->busy_when_answered);
    call(f, VERB_FREEZE, LONG); /* and once more */
    assert_reason(f, STEP_OK, "");
    call(f, VERB_ABORT, LONG);
    assert_reason(f, STEP_OK, "");
    assert_log(f, "hold let go hold let go");
}

static void test_environment(Fixture *f, gconstpointer data)
{
    (void)data;
    make(f, "echo \"$QUIESCE_VERB $QUIESCE_OPERATION ${NOTIFY_SOCKET%/*} $(cat)\"; exit 1");
    f->in_call = false;
    begin(f, VERB_FREEZE, MSEC(400));
    g_assert_true(run_until(&f->answered, MSEC(8000))); /* its stdin is open: cat goes on */
    assert_reason(f, STEP_TIMED_OUT, f->outcome.reason);
    g_assert_true(run_until(&f->settled, MSEC(5000)));
    make(f, "echo \"$# $QUIESCE_VERB $QUIESCE_OPERATION ${NOTIFY_SOCKET%/*} $PWD\"; exit 1");
    call(f, VERB_FREEZE, LONG);
    g_assert_true(g_str_has_prefix(f->outcome.reason, "1 hold 1f3a /"));
    g_assert_nonnull(strstr(f->outcome.reason, "/run /"));
}

static void test_other_verbs(Fixture *f, gconstpointer data)
{
    (void)data;
    f->hook.verbs |= HOOK_VERB_PREPARE | HOOK_VERB_COMPLETE | HOOK_VERB_SESSION_ABORT;
    make(f, "case $1 in hold) " HOLDS ";; complete) echo \"success $QUIESCE_SUCCESS\" >>$log;;"
            " abort) echo aborted; exit 5;; esac");
    call(f, VERB_PREPARE, LONG);
    call(f, VERB_FREEZE, LONG);
    call(f, VERB_ABORT, LONG);
    assert_reason(f, STEP_FAILED, "aborted");
    assert_log(f, "prepare hold let go abort");
    call(f, VERB_ABORT, LONG); /* nothing is held: only the call */
    assert_reason(f, STEP_FAILED, "aborted");
    call(f, VERB_COMPLETE, LONG);
    assert_log(f, "prepare hold let go abort abort complete success 1");
}

static void test_abort_without_verb(Fixture *f, gconstpointer data)
{
    (void)data;
    make(f, HOLDS);
    call(f, VERB_ABORT, LONG);
    assert_reason(f, STEP_OK, "");
    g_assert_false(g_file_test(f->log, G_FILE_TEST_EXISTS));
}

/* --- holds that do not come about --------------------------------------------------------------
 */

static void test_no_ready(Fixture *f, gconstpointer data)
{
    (void)data;
    make(f, "trap '' TERM; $say STATUS=waiting; while :; do sleep 0.05; done");
    call(f, VERB_FREEZE, MSEC(700));
    g_assert_cmpint(f->outcome.result, ==, STEP_TIMED_OUT);
    g_assert_true(g_regex_match_simple("^timed out after [0-9]\\.[0-9] s without READY=1$",
                                       f->outcome.reason, 0, 0));
    g_assert_true(f->busy_when_answered);
    g_assert_true(run_until(&f->settled, MSEC(5000)));
    call(f, VERB_ABORT, LONG);
    assert_reason(f, STEP_OK, "");
    g_assert_cmpuint(f->losses, ==, 0);
}

static void test_ends_before_ready(Fixture *f, gconstpointer data)
{
    (void)data;
    make(f, "exit 0");
    call(f, VERB_FREEZE, LONG);
    assert_reason(f, STEP_FAILED, "ended before it said READY=1 (exit status 0)");
    make(f, "echo no server is running >&2; exit 4");
    call(f, VERB_FREEZE, LONG);
    assert_reason(f, STEP_FAILED, "no server is running");
    g_assert_cmpint(f->outcome.exit_code, ==, 4);
    make(f, "kill -9 $$");
    call(f, VERB_FREEZE, LONG);
    assert_reason(f, STEP_FAILED, "killed by signal 9 (Killed)");
    g_assert_cmpuint(f->losses, ==, 0);
}

static void test_cannot_start(Fixture *f, gconstpointer data)
{
    (void)data;
    make(f, "");
    script_write(f->script, "#!/nonexistent/sh\n", 0755);
    call(f, VERB_FREEZE, LONG);
    g_assert_true(g_str_has_prefix(f->outcome.reason, "cannot be started: No such file"));
    f->options.runtime_dir = "/nonexistent/run";
    make(f, HOLDS);
    call(f, VERB_FREEZE, LONG);
    g_assert_true(
        g_str_has_prefix(f->outcome.reason, "cannot make a notify socket in /nonexistent/run: "));
}

static void test_cancel(Fixture *f, gconstpointer data)
{
    (void)data;
    make(f, "exec sleep 30");
    begin(f, VERB_FREEZE, LONG);
    f->participant->ops->cancel(f->participant);
    g_assert_true(run_until(&f->answered, MSEC(8000)));
    assert_reason(f, STEP_CANCELLED, "cancelled");
    g_assert_true(run_until(&f->settled, MSEC(5000)));
}

/* --- losses and ends ---------------------------------------------------------------------------
 */

static void expect_loss(Fixture *f, const char *reason)
{
    unsigned before = f->losses, answers = f->answers;

    f->lost = false;
    g_assert_true(run_until(&f->lost, MSEC(8000)));
    g_assert_cmpuint(f->losses, ==, before + 1);
    g_assert_cmpuint(f->answers, ==, answers);
    g_assert_cmpint(f->loss.result, ==, STEP_LOST);
    g_assert_cmpstr(f->loss.reason, ==, reason);
    call(f, VERB_ABORT, LONG);
    assert_reason(f, STEP_OK, "");
}

static void test_lost(Fixture *f, gconstpointer data)
{
    (void)data;
    hold(f, "$say READY=1; sleep 0.1; echo server has gone away; exit 3");
    expect_loss(f, "server has gone away");
    g_assert_cmpint(f->loss.exit_code, ==, 3);
    hold(f, "$say READY=1; exit 0");
    expect_loss(f, "it ended by itself (exit status 0)");
    hold(f, "$say READY=1; sleep 0.1; kill -9 $$");
    expect_loss(f, "killed by signal 9 (Killed)");
    g_assert_cmpint(f->loss.signal, ==, SIGKILL);
}

/* Seen at once, without a turn of the main loop. */
static void test_verify(Fixture *f, gconstpointer data)
{
    g_autofree char *go = g_strconcat(f->log, ".go", NULL);

    (void)data;
    hold(f, "$say READY=1 & until [ -e $log.go ]; do sleep 0.01; done; kill -9 $$");
    script_write(go, "", 0644);
    for (unsigned i = 0; i < 2000 && f->losses == 0; i++) {
        g_usleep(2000);
        f->participant->ops->verify(f->participant);
    }
    g_assert_cmpuint(f->losses, ==, 1);
    f->participant->ops->verify(f->participant);
    g_assert_cmpuint(f->losses, ==, 1);
    g_assert_cmpint(g_unlink(go), ==, 0);
}

static bool group_exists(const Fixture *f)
{
    g_autofree char *text = NULL;
    long group;

    g_assert_true(g_file_get_contents(f->log, &text, NULL, NULL));
    group = strtol(strrchr(g_strchomp(text), '\n') + 1, NULL, 10);
    g_assert_cmpint(group, >, 1);
    return kill((pid_t)-group, 0) == 0;
}

/* A client that outlives its script would hold the lock for ever. */
static void test_what_is_left_is_killed(Fixture *f, gconstpointer data)
{
    (void)data;
    hold(f, "echo $$ >>$log; (trap '' TERM HUP; sleep 100) & $say READY=1; sleep 0.1; kill -9 $$");
    g_assert_true(run_until(&f->lost, MSEC(8000)));
    for (unsigned i = 0; i < 1000 && group_exists(f); i++)
        g_usleep(10000);
    g_assert_false(group_exists(f));
}

static void test_end_of_file_ignored(Fixture *f, gconstpointer data)
{
    (void)data;
    hold(f, "echo $$ >>$log; $say READY=1; trap '' TERM; while :; do sleep 0.05; done");
    call(f, VERB_THAW, MSEC(400));
    g_assert_cmpint(f->outcome.result, ==, STEP_TIMED_OUT);
    g_assert_true(
        g_regex_match_simple("^timed out after [0-9]\\.[0-9] s$", f->outcome.reason, 0, 0));
    g_assert_true(f->busy_when_answered);
    g_assert_true(run_until(&f->settled, MSEC(5000)));
    for (unsigned i = 0; i < 1000 && group_exists(f); i++)
        g_usleep(10000);
    g_assert_false(group_exists(f));
    g_assert_cmpuint(f->losses, ==, 0);
}

static void test_bad_end(Fixture *f, gconstpointer data)
{
    (void)data;
    hold(f, "$say READY=1; cat >/dev/null; echo cannot unlock; exit 6");
    call(f, VERB_THAW, LONG);
    assert_reason(f, STEP_FAILED, "cannot unlock");
    g_assert_cmpuint(f->losses, ==, 0);
}

static void test_free_while_held(Fixture *f, gconstpointer data)
{
    (void)data;
    hold(f, "echo $$ >>$log; " HOLDS);
    participant_free(g_steal_pointer(&f->participant));
    for (unsigned i = 0; i < 1000 && group_exists(f); i++)
        run_for(MSEC(10));
    g_assert_false(group_exists(f));
}

/* Output without end while it holds is read and thrown away. */
static void test_output_flood(Fixture *f, gconstpointer data)
{
    (void)data;
    hold(f, "$say READY=1; head -c 1000000 /dev/zero; echo let go >>$log; cat >/dev/null");
    for (unsigned i = 0; i < 1000 && !logged(f, "let go"); i++)
        run_for(MSEC(10));
    assert_log(f, "hold let go");
    call(f, VERB_THAW, LONG);
    assert_reason(f, STEP_OK, "");
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*func)(Fixture *f, gconstpointer data);
    } TESTS[] = {
        {"held_until_thaw", test_held_until_thaw},
        {"environment", test_environment},
        {"other_verbs", test_other_verbs},
        {"abort_without_verb", test_abort_without_verb},
        {"no_ready", test_no_ready},
        {"ends_before_ready", test_ends_before_ready},
        {"cannot_start", test_cannot_start},
        {"cancel", test_cancel},
        {"lost", test_lost},
        {"verify", test_verify},
        {"what_is_left_is_killed", test_what_is_left_is_killed},
        {"end_of_file_ignored", test_end_of_file_ignored},
        {"bad_end", test_bad_end},
        {"free_while_held", test_free_while_held},
        {"output_flood", test_output_flood},
    };

    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(TESTS); i++) {
        g_autofree char *path = g_strdup_printf("/session_hook/%s", TESTS[i].name);

        g_test_add(path, Fixture, NULL, set_up, TESTS[i].func, tear_down);
    }
    return g_test_run();
}
