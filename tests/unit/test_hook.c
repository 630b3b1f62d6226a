/*
 * Tests of quiesce/hook: what a script is given and how its end becomes an outcome. Real scripts in
 * a temporary directory, small times.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "script_rig.h"

#include "quiesce/hook_participant.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    char *directory, *script, *runtime;
    HookOptions options;
    Hook hook;
    Participant *participant;
    const char *const *mountpoints;
    StepOutcome outcome;
    unsigned answers;
    bool answered, settled, in_call, busy_when_answered;
    void (*in_answer)(Participant *participant);
} Fixture;

static void set_up(Fixture *f, gconstpointer data)
{
    (void)data;
    f->directory = g_dir_make_tmp("hook-XXXXXX", NULL);
    f->script = g_build_filename(f->directory, "app", NULL);
    f->runtime = g_build_filename(f->directory, "run", NULL);
    g_assert_cmpint(g_mkdir(f->runtime, 0755), ==, 0);
    f->options = (HookOptions){.runtime_dir = f->runtime, .report_output = true};
    f->hook = (Hook){.name = (char *)"app",
                     .path = f->script,
                     .kind = HOOK_PLAIN,
                     .order = 30,
                     .verbs = HOOK_VERBS_DEFAULT,
                     .timeout_us = MSEC(1500),
                     .on_failure = ON_FAILURE_DEGRADE};
}

static void tear_down(Fixture *f, gconstpointer data)
{
    (void)data;
    participant_free(f->participant);
    (void)g_unlink(f->script);
    g_assert_cmpint(g_rmdir(f->runtime), ==, 0); /* nothing was left in it */
    g_assert_cmpint(g_rmdir(f->directory), ==, 0);
    g_free(f->directory);
    g_free(f->script);
    g_free(f->runtime);
}

static void answered(Participant *participant, const StepOutcome *outcome, gpointer user_data)
{
    Fixture *f = user_data;

    g_assert_false(f->in_call);
    g_assert_true(participant == f->participant);
    f->outcome = *outcome;
    f->answered = true;
    f->answers++;
    f->busy_when_answered = participant->ops->busy(participant);
    if (f->in_answer)
        f->in_answer(participant);
}

static void settled(Participant *participant, gpointer user_data)
{
    Fixture *f = user_data;

    g_assert_false(participant->ops->busy(participant));
    f->settled = true;
}

static void make(Fixture *f, const char *text, mode_t mode)
{
    script_write(f->script, text, mode);
    participant_free(f->participant);
    f->participant = hook_participant_new(&f->hook, &f->options);
    f->participant->settled = settled;
    f->participant->settled_data = f;
}

static void begin(Fixture *f, Verb verb, int64_t timeout_us)
{
    const VerbContext context = {.operation = "1f3a",
                                 .mountpoints = f->mountpoints,
                                 .success = 1,
                                 .timeout_default_us = MSEC(1000)};

    f->answered = false;
    f->in_call = true;
    f->participant->ops->call(f->participant, verb, &context, deadline_in(timeout_us), answered, f);
    f->in_call = false;
}

static void call(Fixture *f, Verb verb, int64_t timeout_us)
{
    unsigned before = f->answers;

    begin(f, verb, timeout_us);
    g_assert_true(run_until(&f->answered, MSEC(4000)));
    g_assert_cmpuint(f->answers, ==, before + 1);
}

/* Runs `body` once with `verb`; the outcome's reason is the last line of its output. */
static void run(Fixture *f, const char *body, Verb verb)
{
    g_autofree char *text = g_strdup_printf("#!/bin/sh\n%s\n", body);

    make(f, text, 0755);
    call(f, verb, MSEC(3000));
}

static void assert_reason(const Fixture *f, StepResult result, const char *reason)
{
    g_assert_cmpstr(f->outcome.reason, ==, reason);
    g_assert_cmpint(f->outcome.result, ==, result);
}

static void test_fields(Fixture *f, gconstpointer data)
{
    char *mountpoints[] = {(char *)"/srv", NULL};

    (void)data;
    f->hook.mountpoints = mountpoints;
    make(f, "#!/bin/sh\n", 0755);
    g_assert_cmpstr(f->participant->name, ==, "app");
    g_assert_cmpstr(f->participant->source, ==, f->script);
    g_assert_cmpint(f->participant->kind, ==, PARTICIPANT_HOOK);
    g_assert_cmpuint(f->participant->order, ==, 30);
    g_assert_cmpuint(f->participant->verbs, ==, HOOK_VERBS_DEFAULT);
    g_assert_cmpint(f->participant->timeout_us, ==, MSEC(1500));
    g_assert_cmpint(f->participant->on_failure, ==, ON_FAILURE_DEGRADE);
    g_assert_cmpstr(f->participant->mountpoints[0], ==, "/srv");
    g_assert_null(f->participant->refused);
    f->hook.kind = HOOK_STOCK;
    make(f, "#!/bin/sh\n", 0755);
    g_assert_cmpint(f->participant->kind, ==, PARTICIPANT_STOCK_HOOK);
}

static void test_ok(Fixture *f, gconstpointer data)
{
    (void)data;
    run(f, "echo this is not a reason; exit 0", VERB_FREEZE);
    assert_reason(f, STEP_OK, "");
    g_assert_cmpint(f->outcome.exit_code, ==, 0);
    g_assert_cmpint(f->outcome.signal, ==, 0);
    g_assert_false(f->busy_when_answered);
    call(f, VERB_THAW, MSEC(3000));
    assert_reason(f, STEP_OK, "");
}

static void test_environment(Fixture *f, gconstpointer data)
{
    static const char *const MOUNTPOINTS[] = {"/", "/srv/a b", "/with\nnewline", NULL};

    (void)data;
    f->mountpoints = MOUNTPOINTS;
    run(f, "env | grep -v '^PWD=\\|^_=\\|^SHLVL=\\|DEADLINE' | sort | tr '\\n' '|'; exit 1",
        VERB_FREEZE);
    assert_reason(f, STEP_FAILED,
                  "/srv/a b|/with\\012newline|LC_CTYPE=C.UTF-8|"
                  "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin|"
                  "QUIESCE_MOUNTPOINTS=/|QUIESCE_OPERATION=1f3a|QUIESCE_VERB=freeze|");
    run(f, "echo \"$1 $# $QUIESCE_VERB ${QUIESCE_SUCCESS-unset} $PWD\"; exit 1", VERB_ABORT);
    assert_reason(f, STEP_FAILED, "abort 1 abort unset /");
    run(f, "echo \"$1 $QUIESCE_SUCCESS\"; exit 1", VERB_COMPLETE);
    assert_reason(f, STEP_FAILED, "complete 1");
    run(f, "[ $QUIESCE_DEADLINE_MS -gt 2500 ] && [ $QUIESCE_DEADLINE_MS -le 3000 ]", VERB_PREPARE);
    assert_reason(f, STEP_OK, "");
}

/* `count` mount points of 16 bytes with their newline. */
static char **many_mountpoints(unsigned count)
{
    char **list = g_new0(char *, count + 1);

    for (unsigned i = 0; i < count; i++)
        list[i] = g_strdup_printf("/srv/mount%05u", i);
    return list;
}

static void test_mountpoints_limit(Fixture *f, gconstpointer data)
{
    g_auto(GStrv) list = many_mountpoints((unsigned)(HOOK_MOUNTPOINTS_ENV_MAX / 16));

    (void)data;
    g_assert_cmpuint(strlen(list[0]), ==, 15);
    f->mountpoints = (const char *const *)list;
    run(f,
        "[ -z \"$QUIESCE_MOUNTPOINTS_FILE\" ] || exit 9\n"
        "printf '%s' \"$QUIESCE_MOUNTPOINTS\" | wc -c; exit 1",
        VERB_FREEZE);
    assert_reason(f, STEP_FAILED, "65535");
}

static void test_mountpoints_file(Fixture *f, gconstpointer data)
{
    g_auto(GStrv) list = many_mountpoints((unsigned)(HOOK_MOUNTPOINTS_ENV_MAX / 16) + 1);
    GDir *directory;

    (void)data;
    f->mountpoints = (const char *const *)list;
    run(f,
        "[ -z \"${QUIESCE_MOUNTPOINTS+set}\" ] || exit 9\n"
        "echo $(wc -l <\"$QUIESCE_MOUNTPOINTS_FILE\") $(tail -n 1 \"$QUIESCE_MOUNTPOINTS_FILE\")"
        " $(stat -c %a \"$QUIESCE_MOUNTPOINTS_FILE\") ${QUIESCE_MOUNTPOINTS_FILE%/*}; exit 1",
        VERB_FREEZE);
    g_assert_true(g_str_has_prefix(f->outcome.reason, "4097 /srv/mount04096 600 /"));
    g_assert_true(g_str_has_suffix(f->outcome.reason, f->runtime));
    directory = g_dir_open(f->runtime, 0, NULL);
    g_assert_null(g_dir_read_name(directory)); /* removed when the verb was over */
    g_dir_close(directory);
}

static void test_mountpoints_file_fails(Fixture *f, gconstpointer data)
{
    g_auto(GStrv) list = many_mountpoints((unsigned)(HOOK_MOUNTPOINTS_ENV_MAX / 16) + 1);

    (void)data;
    f->mountpoints = (const char *const *)list;
    f->options.runtime_dir = "/nonexistent/run";
    run(f, "exit 0", VERB_FREEZE);
    assert_reason(f, STEP_FAILED,
                  "cannot write the list of mount points to /nonexistent/run: "
                  "No such file or directory");
}

static void test_exit_reasons(Fixture *f, gconstpointer data)
{
    (void)data;
    run(f, "echo first; echo '  replication   is behind\t' >&2; echo; exit 3", VERB_FREEZE);
    g_assert_cmpint(f->outcome.exit_code, ==, 3);
    assert_reason(f, STEP_FAILED, "replication   is behind");
    run(f, "exit 3", VERB_FREEZE);
    assert_reason(f, STEP_FAILED, "exit status 3");
    run(f, "printf 'bad \\377 byte\\033[1m'; exit 1", VERB_FREEZE);
    assert_reason(f, STEP_FAILED, "bad ? byte [1m");
    f->options.report_output = false;
    run(f, "echo the password is secret; exit 4", VERB_FREEZE);
    assert_reason(f, STEP_FAILED, "exit status 4");
}

static void test_long_line(Fixture *f, gconstpointer data)
{
    (void)data;
    run(f, "head -c 100000 /dev/zero | tr '\\0' x; exit 1", VERB_FREEZE);
    g_assert_cmpint(f->outcome.result, ==, STEP_FAILED);
    g_assert_cmpuint(strlen(f->outcome.reason), ==, PARTICIPANT_REASON_MAX - 1);
}

static void test_signal(Fixture *f, gconstpointer data)
{
    (void)data;
    run(f, "echo not shown; kill -9 $$", VERB_FREEZE);
    assert_reason(f, STEP_FAILED, "killed by signal 9 (Killed)");
    g_assert_cmpint(f->outcome.signal, ==, SIGKILL);
    g_assert_cmpint(f->outcome.exit_code, ==, -1);
    run(f, "kill -42 $$", VERB_FREEZE);
    assert_reason(f, STEP_FAILED, "killed by signal 42");
}

static void test_start_failure(Fixture *f, gconstpointer data)
{
    (void)data;
    make(f, "#!/bin/sh\n", 0644);
    call(f, VERB_FREEZE, MSEC(20000));
    assert_reason(f, STEP_FAILED, "cannot be started: Permission denied");
    g_assert_cmpint(f->outcome.exit_code, ==, -1);
    make(f, "#!/nonexistent/sh\n", 0755);
    call(f, VERB_FREEZE, MSEC(20000));
    g_assert_true(
        g_str_has_prefix(f->outcome.reason, "cannot be started: No such file or directory; "));
    make(f, "exit 0\n", 0755);
    call(f, VERB_FREEZE, MSEC(20000));
    g_assert_true(
        g_str_has_prefix(f->outcome.reason, "cannot be started: Exec format error; its first"));
}

/* Answered at the deadline, busy until the corpse is gone, then told so. */
static void test_timeout(Fixture *f, gconstpointer data)
{
    (void)data;
    make(f, "#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 0.05; done\n", 0755);
    call(f, VERB_FREEZE, MSEC(220));
    g_assert_cmpint(f->outcome.result, ==, STEP_TIMED_OUT);
    g_assert_true(g_regex_match_simple("^timed out after 0\\.[2-9] s$", f->outcome.reason, 0, 0));
    g_assert_true(f->busy_when_answered);
    g_assert_false(f->settled);
    g_assert_true(run_until(&f->settled, MSEC(3000)));
    g_assert_false(f->participant->ops->busy(f->participant));
    g_assert_cmpuint(f->answers, ==, 1);
}

/* A corpse that does not go must not keep `abort` from being called and answered. */
static void test_call_while_busy(Fixture *f, gconstpointer data)
{
    g_autofree char *ready = g_build_filename(f->directory, "ready", NULL);
    g_autofree char *text = g_strdup_printf("#!/bin/sh\n[ \"$1\" = abort ] && exit 0\n"
                                            "trap '' TERM; : >%s\nwhile :; do sleep 0.05; done\n",
                                            ready);
    int64_t cancelled_us;

    (void)data;
    make(f, text, 0755);
    begin(f, VERB_FREEZE, MSEC(20000));
    while (!g_file_test(ready, G_FILE_TEST_EXISTS))
        run_for(MSEC(5));
    g_assert_cmpint(g_unlink(ready), ==, 0);
    cancelled_us = deadline_now();
    f->participant->ops->cancel(f->participant);
    g_assert_true(run_until(&f->answered, MSEC(20000)));
    g_assert_true(f->busy_when_answered);
    call(f, VERB_ABORT, MSEC(20000));
    assert_reason(f, STEP_OK, "");
    /* Unless the machine was so slow that it was killed meanwhile. */
    g_assert_true(f->busy_when_answered || deadline_now() - cancelled_us > PROCESS_KILL_DELAY_US);
    g_assert_true(run_until(&f->settled, MSEC(20000)));
}

static void test_cancel(Fixture *f, gconstpointer data)
{
    (void)data;
    make(f, "#!/bin/sh\nexec sleep 30\n", 0755);
    f->participant->ops->cancel(f->participant); /* nothing runs: nothing happens */
    begin(f, VERB_FREEZE, MSEC(20000));
    f->participant->ops->cancel(f->participant);
    g_assert_true(run_until(&f->answered, MSEC(20000)));
    assert_reason(f, STEP_CANCELLED, "cancelled");
    g_assert_true(run_until(&f->settled, MSEC(20000)));
}

static void free_it(Participant *participant)
{
    participant_free(participant);
}

static void test_free_while_running(Fixture *f, gconstpointer data)
{
    (void)data;
    make(f, "#!/bin/sh\nexec sleep 30\n", 0755);
    begin(f, VERB_FREEZE, MSEC(20000));
    participant_free(g_steal_pointer(&f->participant));
    run_for(MSEC(100));
    g_assert_cmpuint(f->answers, ==, 0);
    /* And from within its own answer. */
    f->in_answer = free_it;
    make(f, "#!/bin/sh\nexit 0\n", 0755);
    call(f, VERB_FREEZE, MSEC(1000));
    f->participant = NULL;
    make(f, "#!/bin/sh\nexec sleep 30\n", 0755);
    call(f, VERB_FREEZE, MSEC(100));
    f->participant = NULL;
    run_for(MSEC(100));
    g_assert_false(f->settled);
}

static void test_stock(Fixture *f, gconstpointer data)
{
    (void)data;
    f->hook.kind = HOOK_STOCK;
    f->hook.verbs = HOOK_VERB_FREEZE | HOOK_VERB_THAW | HOOK_VERB_ABORT;
    run(f, "echo $1 $QUIESCE_VERB; exit 1", VERB_FREEZE);
    assert_reason(f, STEP_FAILED, "freeze freeze");
    run(f, "echo $1 $QUIESCE_VERB; exit 1", VERB_THAW);
    assert_reason(f, STEP_FAILED, "thaw thaw");
    run(f, "echo $1 $QUIESCE_VERB; exit 1", VERB_ABORT);
    assert_reason(f, STEP_FAILED, "thaw thaw");
    run(f, "echo called; exit 1", VERB_PREPARE);
    g_assert_cmpint(f->outcome.result, ==, STEP_SKIPPED);
    g_assert_false(participant_wants(f->participant, VERB_PREPARE));
}

/* The stock dispatcher is a shell: it also runs scripts without "#!". */
static void test_stock_without_interpreter(Fixture *f, gconstpointer data)
{
    (void)data;
    f->hook.kind = HOOK_STOCK;
    make(f, "echo by shell $1 $QUIESCE_OPERATION\nexit 5\n", 0755);
    call(f, VERB_THAW, MSEC(2000));
    assert_reason(f, STEP_FAILED, "by shell thaw 1f3a");
    g_assert_cmpint(f->outcome.exit_code, ==, 5);
    g_assert_false(f->busy_when_answered);
}

static void test_refused(Fixture *f, gconstpointer data)
{
    (void)data;
    f->hook.refused = (char *)"group-writable";
    run(f, "exit 0", VERB_FREEZE);
    assert_reason(f, STEP_REFUSED, "group-writable");
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*func)(Fixture *f, gconstpointer data);
    } TESTS[] = {
        {"/hook/fields", test_fields},
        {"/hook/success", test_ok},
        {"/hook/environment", test_environment},
        {"/hook/mountpoints_up_to_64_kib_in_environment", test_mountpoints_limit},
        {"/hook/mountpoints_over_64_kib_in_file", test_mountpoints_file},
        {"/hook/mountpoints_file_cannot_be_written", test_mountpoints_file_fails},
        {"/hook/exit_reasons", test_exit_reasons},
        {"/hook/long_line_is_cut", test_long_line},
        {"/hook/killed_by_signal", test_signal},
        {"/hook/cannot_be_started", test_start_failure},
        {"/hook/timeout_then_settled", test_timeout},
        {"/hook/abort_beside_a_corpse", test_call_while_busy},
        {"/hook/cancel", test_cancel},
        {"/hook/free_while_running", test_free_while_running},
        {"/hook/stock_verbs", test_stock},
        {"/hook/stock_without_interpreter", test_stock_without_interpreter},
        {"/hook/refused_is_not_run", test_refused},
    };

    g_setenv("QUIESCE_TEST_LEAK", "1", TRUE); /* must not reach a script */
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(TESTS); i++)
        g_test_add(TESTS[i].name, Fixture, NULL, set_up, TESTS[i].func, tear_down);
    return g_test_run();
}
