/*
 * Tests of quiesce/session_hook and sys/ready_socket: a lock that lives as long as a process. Real
 * scripts, small times.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "script_rig.h"

#include "quiesce/participant.h"
#include "sys/notify.h"
#include "sys/ready_socket.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

typedef struct {
    char *directory, *script, *runtime, *log;
    HookOptions options;
    Hook hook;
    Participant *participant;
    StepOutcome outcome, loss;
    unsigned answers, losses;
    bool answered, lost, settled, in_call, busy_when_answered;
} Fixture;

static void set_up(Fixture *f, gconstpointer data)
{
    (void)data;
    f->directory = g_dir_make_tmp("session-XXXXXX", NULL);
    f->script = g_build_filename(f->directory, "app", NULL);
    f->log = g_build_filename(f->directory, "log", NULL);
    f->runtime = g_build_filename(f->directory, "run", NULL);
    g_assert_cmpint(g_mkdir(f->runtime, 0755), ==, 0);
    f->options = (HookOptions){.runtime_dir = f->runtime, .report_output = true};
    f->hook = (Hook){.name = (char *)"app",
                     .path = f->script,
                     .kind = HOOK_SESSION,
                     .order = 30,
                     .verbs = HOOK_VERBS_SESSION};
}

static void tear_down(Fixture *f, gconstpointer data)
{
    (void)data;
    participant_free(f->participant);
    (void)g_unlink(f->script);
    (void)g_unlink(f->log);
    g_assert_cmpint(g_rmdir(f->runtime), ==, 0); /* no socket was left in it */
    g_assert_cmpint(g_rmdir(f->directory), ==, 0);
    g_free(f->directory);
    g_free(f->script);
    g_free(f->runtime);
    g_free(f->log);
}

static void answered(Participant *participant, const StepOutcome *outcome, gpointer user_data)
{
    Fixture *f = user_data;

    g_assert_false(f->in_call);
    f->outcome = *outcome;
    f->answered = true;
    f->answers++;
    f->busy_when_answered = participant->ops->busy(participant);
}

static void lost(Participant *participant, const StepOutcome *outcome, gpointer user_data)
{
    Fixture *f = user_data;

    g_assert_true(participant == f->participant);
    f->loss = *outcome;
    f->losses++;
    f->lost = true;
}

static void settled(Participant *participant, gpointer user_data)
{
    Fixture *f = user_data;

    g_assert_false(participant->ops->busy(participant));
    f->settled = true;
}

/* In `body`: $log and $say, a program that says its argument to the notify socket. */
static void make(Fixture *f, const char *body)
{
    g_autofree char *text = g_strdup_printf("#!/bin/sh\nlog=%s\nsay=%s\necho \"$1\" >>$log\n%s\n",
                                            f->log, g_getenv("QUIESCED_SAY"), body);

    script_write(f->script, text, 0755);
    participant_free(f->participant);
    f->participant = hook_participant_new(&f->hook, &f->options);
    f->participant->settled = settled;
    f->participant->settled_data = f;
    f->participant->lost = lost;
    f->participant->lost_data = f;
}

static void begin(Fixture *f, Verb verb, int64_t timeout_us)
{
    const VerbContext context = {.operation = "1f3a", .success = 1};

    f->answered = false;
    f->in_call = true;
    f->participant->ops->call(f->participant, verb, &context, deadline_in(timeout_us), answered, f);
    f->in_call = false;
}

static void call(Fixture *f, Verb verb, int64_t timeout_us)
{
    unsigned before = f->answers;

    begin(f, verb, timeout_us);
    g_assert_true(run_until(&f->answered, timeout_us + MSEC(8000)));
    g_assert_cmpuint(f->answers, ==, before + 1);
}

static void assert_reason(const Fixture *f, StepResult result, const char *reason)
{
    g_assert_cmpstr(f->outcome.reason, ==, reason);
    g_assert_cmpint(f->outcome.result, ==, result);
}

static void assert_log(const Fixture *f, const char *expected)
{
    g_autofree char *text = NULL;

    g_assert_true(g_file_get_contents(f->log, &text, NULL, NULL));
    g_strdelimit(g_strchomp(text), "\n", ' ');
    g_assert_cmpstr(text, ==, expected);
}

static bool logged(const Fixture *f, const char *text)
{
    g_autofree char *all = NULL;

    g_assert_true(g_file_get_contents(f->log, &all, NULL, NULL));
    return strstr(all, text) != NULL;
}

#define LONG  MSEC(20000)
#define HOLDS "$say READY=1; cat >/dev/null; echo let go >>$log"

static void hold(Fixture *f, const char *body)
{
    make(f, body);
    call(f, VERB_FREEZE, LONG);
    assert_reason(f, STEP_OK, "");
}

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

/* --- the notify socket -------------------------------------------------------------------------
 */

/* The one socket in the runtime directory; waits for it. */
static struct sockaddr_un find_socket(const Fixture *f)
{
    struct sockaddr_un address = {0};
    socklen_t length = 0;

    for (unsigned i = 0; i < 500 && address.sun_path[0] == '\0'; i++) {
        g_autoptr(GDir) directory = g_dir_open(f->runtime, 0, NULL);
        const char *name = g_dir_read_name(directory);

        if (name) {
            g_autofree char *path = g_build_filename(f->runtime, name, NULL);
            g_assert_true(notify_address(path, &address, &length));
        }
        run_for(MSEC(5));
    }
    g_assert_cmpint(address.sun_path[0], ==, '/');
    return address;
}

/* Returns how many of `count` it took. */
static unsigned shout(const struct sockaddr_un *address, const char *text, unsigned count)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    unsigned taken = 0;

    for (unsigned i = 0; i < count; i++)
        taken += sendto(fd, text, strlen(text), 0, (const struct sockaddr *)address,
                        sizeof *address) > 0;
    close(fd);
    return taken;
}

static void test_stranger(Fixture *f, gconstpointer data)
{
    struct sockaddr_un address;
    g_autofree char *go = g_build_filename(f->directory, "go", NULL);
    g_autofree char *body =
        g_strdup_printf("until [ -e %s ]; do sleep 0.02; done; rm %s; " HOLDS, go, go);

    (void)data;
    make(f, body);
    begin(f, VERB_FREEZE, LONG);
    address = find_socket(f);
    g_assert_cmpuint(shout(&address, "READY=1", 1), ==, 1);
    g_assert_false(run_until(&f->answered, MSEC(300)));
    /* However many: the child's own word still counts. */
    for (unsigned i = 0; i < 300; i++) {
        (void)shout(&address, "READY=1", 10);
        (void)g_main_context_iteration(NULL, FALSE);
    }
    g_assert_false(f->answered);
    g_assert_true(g_file_set_contents(go, "", 0, NULL));
    g_assert_true(run_until(&f->answered, MSEC(8000)));
    assert_reason(f, STEP_OK, "");
    call(f, VERB_THAW, LONG);
    assert_reason(f, STEP_OK, "");
}

static void test_flood(Fixture *f, gconstpointer data)
{
    (void)data;
    /* One below the limit, READY=1 as the last. */
    hold(f, "$say STATUS=x 1022; " HOLDS);
    call(f, VERB_THAW, LONG);
    make(f, "$say STATUS=x 2000; " HOLDS);
    call(f, VERB_FREEZE, LONG);
    assert_reason(f, STEP_FAILED, "sent 1024 messages to its notify socket, none of them READY=1");
    g_assert_true(run_until(&f->settled, MSEC(5000)));
    /* Once it holds it gets an error for it, and does not lose its lock. */
    hold(f, "$say READY=1; $say STATUS=x 2000 || echo refused >>$log; cat >/dev/null");
    for (unsigned i = 0; i < 1000 && !logged(f, "refused"); i++)
        run_for(MSEC(10));
    g_assert_true(logged(f, "refused"));
    g_assert_cmpuint(f->losses, ==, 0);
    call(f, VERB_THAW, LONG);
    assert_reason(f, STEP_OK, "");
}

static void test_large_datagram(Fixture *f, gconstpointer data)
{
    (void)data;
    make(f, "$say \"$(printf 'READY=1\\nX=%5000s' x)\"; exit 3");
    call(f, VERB_FREEZE, LONG);
    assert_reason(f, STEP_FAILED, "exit status 3");
    make(f, "$say READY=12; $say XREADY=1; exit 3");
    call(f, VERB_FREEZE, LONG);
    assert_reason(f, STEP_FAILED, "exit status 3");
    hold(f, "$say \"$(printf 'READY=1\\nX=%4000s' x)\"; cat >/dev/null");
}

static void test_clean(Fixture *f, gconstpointer data)
{
    g_autofree char *other = g_build_filename(f->runtime, "ready-file", NULL);
    g_autofree char *path = NULL;
    ReadySocket *socket = ready_socket_new(f->runtime, false, NULL);
    struct stat status;

    (void)data;
    g_assert_nonnull(socket);
    path = g_strdup(ready_socket_path(socket));
    g_assert_cmpint(stat(path, &status), ==, 0);
    g_assert_cmpint(status.st_mode & 0777, ==, 0600);
    g_assert_true(g_file_set_contents(other, "", 0, NULL));
    ready_socket_clean(f->runtime);
    g_assert_cmpint(access(path, F_OK), !=, 0);
    g_assert_cmpint(g_unlink(other), ==, 0); /* was left alone */
    ready_socket_free(socket);
    ready_socket_clean("/nonexistent/run");
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
    (void)data;
    hold(f, "$say READY=1 & sleep 0.5; kill -9 $$");
    for (unsigned i = 0; i < 2000 && f->losses == 0; i++) {
        g_usleep(2000);
        f->participant->ops->verify(f->participant);
    }
    g_assert_cmpuint(f->losses, ==, 1);
    f->participant->ops->verify(f->participant);
    g_assert_cmpuint(f->losses, ==, 1);
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
        {"stranger", test_stranger},
        {"flood", test_flood},
        {"large_datagram", test_large_datagram},
        {"sockets_of_a_predecessor", test_clean},
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
