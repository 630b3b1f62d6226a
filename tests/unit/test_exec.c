/*
 * Tests of sys/exec and commands/exec_table with real children: streams and their limits, signals,
 * services that keep a pipe, and how many records are kept.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "commands/exec_table.h"
#include "loop_rig.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    ExecTable *table;
    pid_t pid;
    int error;
    unsigned calls;
} Run;

static void started(pid_t pid, int error, gpointer user_data)
{
    Run *run = user_data;

    run->pid = pid;
    run->error = error;
    run->calls++;
}

static bool try_start(Run *run, const char *script, ExecSpec spec, GError **error)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    const char *const environment[] = {"PATH=/usr/bin:/bin", NULL};

    spec.path = "/bin/sh";
    spec.argv = argv;
    spec.envp = environment;
    return exec_table_start(run->table, &spec, started, run, error);
}

static Exec *start(Run *run, const char *script, ExecSpec spec)
{
    unsigned before = run->calls;
    g_autoptr(GError) error = NULL;

    g_assert_true(try_start(run, script, spec, &error));
    g_assert_cmpuint(run->calls, ==, before); /* not from within */
    loop_until(run->calls == before + 1);
    g_assert_cmpint(run->error, ==, 0);
    g_assert_cmpint(run->pid, >, 0);
    return exec_table_find(run->table, run->pid);
}

static Exec *finish(Run *run, const char *script, ExecSpec spec)
{
    Exec *exec = start(run, script, spec);

    g_assert_nonnull(exec);
    loop_until(exec_is_over(exec));
    return exec;
}

static void check_output(ExecOutput output, const char *expected)
{
    g_assert_cmpmem(output.bytes, output.length, expected, strlen(expected));
    g_assert_false(output.truncated);
    g_free(output.bytes);
}

#define BOTH .keep_stdout = true, .keep_stderr = true

static void test_ends(void)
{
    Run run = {.table = exec_table_new()};
    int signal_number = 0;
    Exec *exec = finish(&run, "exit 7", (ExecSpec){0});

    g_assert_cmpint(exec_status(exec, &signal_number), ==, 7);
    g_assert_cmpint(signal_number, ==, 0);
    exec_table_read(run.table, exec);
    g_assert_null(exec_table_find(run.table, run.pid));
    exec = finish(&run, "kill -KILL $$", (ExecSpec){BOTH});
    (void)exec_status(exec, &signal_number);
    g_assert_cmpint(signal_number, ==, SIGKILL);
    exec_table_read(run.table, exec);
    g_assert_cmpuint(exec_table_count(run.table), ==, 0);
    exec_table_free(run.table);
}

static void test_streams(void)
{
    static const char SCRIPT[] = "cat; echo out; echo err >&2";
    Run run = {.table = exec_table_new()};
    Exec *exec = finish(&run, SCRIPT,
                        (ExecSpec){BOTH, .input = (uint8_t *)g_strdup("in "), .input_length = 3});

    check_output(exec_take_stdout(exec), "in out\n");
    check_output(exec_take_stderr(exec), "err\n");
    exec = finish(&run, SCRIPT, (ExecSpec){.keep_stderr = true});
    check_output(exec_take_stdout(exec), "");
    check_output(exec_take_stderr(exec), "err\n");
    exec = finish(&run, SCRIPT, (ExecSpec){.keep_stdout = true, .merge = true});
    check_output(exec_take_stdout(exec), "out\nerr\n");
    exec_table_free(run.table);
}

/* A group of its own, default signals (glibc keeps two of its own ignored), nothing of ours. */
static void test_surroundings(void)
{
    Run run = {.table = exec_table_new()};
    Exec *exec = NULL;

    (void)signal(SIGPIPE, SIG_IGN);
    exec = finish(
        &run,
        "ls /proc/self/fd | tr '\\n' ' '; [ $(cut -d' ' -f5 /proc/$$/stat) = $$ ] && echo own; "
        "grep -q 'SigIgn:.*0000000$' /proc/self/status && pwd",
        (ExecSpec){.keep_stdout = true});
    /* 3 is the folder that ls reads. */
    check_output(exec_take_stdout(exec), "0 1 2 3 own\n/\n");
    exec_table_free(run.table);
}

/* More input than a pipe holds for a child that reads none of it, and for one that reads all. */
static void test_input(void)
{
    const size_t size = (size_t)1 << 20;
    Run run = {.table = exec_table_new()};
    int signal_number = 0;
    Exec *exec = finish(&run, "exit 3", (ExecSpec){.input = g_malloc0(size), .input_length = size});

    g_assert_cmpint(exec_status(exec, &signal_number), ==, 3);
    exec = finish(&run, "wc -c",
                  (ExecSpec){.keep_stdout = true, .input = g_malloc0(size), .input_length = size});
    check_output(exec_take_stdout(exec), "1048576\n");
    exec_table_free(run.table);
}

static void test_flood(void)
{
    Run run = {.table = exec_table_new()};
    Exec *exec = finish(&run, "head -c 16777217 /dev/zero; head -c 16777216 /dev/zero >&2",
                        (ExecSpec){BOTH});
    ExecOutput output = exec_take_stdout(exec);

    g_assert_cmpuint(output.length, ==, EXEC_OUTPUT_MAX);
    g_assert_true(output.truncated);
    g_free(output.bytes);
    output = exec_take_stderr(exec);
    g_assert_cmpuint(output.length, ==, EXEC_OUTPUT_MAX);
    g_assert_false(output.truncated);
    g_free(output.bytes);
    exec_table_free(run.table);
}

/* What all of them keep together is limited too; who comes later is cut short, and says so. */
static void test_budget(void)
{
    Run run = {.table = exec_table_new()};
    Exec *exec = NULL;
    ExecOutput output;

    for (unsigned i = 0; i < EXEC_KEPT_MAX / EXEC_OUTPUT_MAX; i++)
        (void)finish(&run, "head -c 16777216 /dev/zero", (ExecSpec){.keep_stdout = true});
    exec = finish(&run, "echo late", (ExecSpec){.keep_stdout = true});
    output = exec_take_stdout(exec);
    g_assert_cmpuint(output.length, ==, 0);
    g_assert_true(output.truncated);
    exec_table_free(run.table);
}

/* A service keeps stdout: the command is over all the same, what it said is there, and the service
 * is not killed by a closed pipe. */
static void test_kept_pipe(void)
{
    Run run = {.table = exec_table_new()};
    int64_t began = deadline_now();
    pid_t service = 0;
    ExecOutput output;
    Exec *exec = finish(&run, "(while sleep 0.05; do echo x; done) & echo $!",
                        (ExecSpec){.keep_stdout = true});

    g_assert_cmpint(deadline_now() - began, >=, EXEC_GRACE_US);
    output = exec_take_stdout(exec);
    service = (pid_t)g_ascii_strtoll((char *)output.bytes, NULL, 10);
    g_assert_cmpint(service, >, 1);
    exec_table_read(run.table, exec);
    g_assert_null(exec_table_find(run.table, run.pid));
    g_assert_cmpuint(exec_table_count(run.table), ==, 1);
    (void)loop_for(MSEC(200));
    g_assert_cmpint(kill(service, 0), ==, 0);
    g_assert_cmpint(kill(service, SIGKILL), ==, 0);
    loop_until(exec_table_count(run.table) == 0);
    g_free(output.bytes);
    exec_table_free(run.table);
}

static void test_cannot_start(void)
{
    const char *const argv[] = {"/nonexistent", NULL};
    Run run = {.table = exec_table_new()};
    ExecSpec spec = {.path = argv[0],
                     .argv = argv,
                     .envp = argv + 1,
                     .keep_stdout = true,
                     .input = g_malloc0(4),
                     .input_length = 4};

    g_assert_true(exec_table_start(run.table, &spec, started, &run, NULL));
    loop_until(run.calls == 1);
    g_assert_cmpint(run.error, ==, ENOENT);
    g_assert_cmpuint(exec_table_count(run.table), ==, 0);
    exec_table_free(run.table);
}

/* Running ones are never forgotten, ended ones are, the oldest first. */
static void test_too_many(void)
{
    Run run = {.table = exec_table_new()};
    g_autoptr(GError) error = NULL;
    pid_t pids[EXEC_RECORDS_MAX];

    for (unsigned i = 0; i < EXEC_RECORDS_MAX; i++) {
        (void)start(&run, "exec sleep 60", (ExecSpec){0});
        pids[i] = run.pid;
    }
    g_assert_false(try_start(&run, "exit 0", (ExecSpec){.input = g_malloc0(4)}, &error));
    g_assert_error(error, AGENT_ERROR, AGENT_ERROR_LIMIT);
    for (unsigned i = 0; i < EXEC_RECORDS_MAX; i++)
        g_assert_cmpint(kill(pids[i], SIGKILL), ==, 0);
    loop_until(exec_is_over(exec_table_find(run.table, pids[0])));
    loop_until(exec_is_over(exec_table_find(run.table, pids[EXEC_RECORDS_MAX - 1])));
    (void)start(&run, "exit 0", (ExecSpec){0});
    g_assert_null(exec_table_find(run.table, pids[0]));
    g_assert_nonnull(exec_table_find(run.table, pids[EXEC_RECORDS_MAX - 1]));
    g_assert_cmpuint(exec_table_count(run.table), ==, EXEC_RECORDS_MAX);
    exec_table_free(run.table);
}

/* Whoever waits for a start is told when the table goes; the program runs all the same. */
static void test_free_while_starting(void)
{
    Run run = {.table = exec_table_new()};

    g_assert_true(try_start(&run, "exit 0", (ExecSpec){BOTH}, NULL));
    exec_table_free(run.table);
    g_assert_cmpint(run.error, ==, ECANCELED);
    (void)loop_for(MSEC(100));
}

int main(int argc, char **argv)
{
    unsigned fds = 0;

    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/exec/exit_and_signal", test_ends);
    g_test_add_func("/exec/streams", test_streams);
    g_test_add_func("/exec/surroundings", test_surroundings);
    g_test_add_func("/exec/large_input", test_input);
    g_test_add_func("/exec/flood_is_truncated", test_flood);
    g_test_add_func("/exec/output_of_all_is_limited", test_budget);
    g_test_add_func("/exec/a_service_keeps_stdout", test_kept_pipe);
    g_test_add_func("/exec/cannot_be_started", test_cannot_start);
    g_test_add_func("/exec/too_many", test_too_many);
    g_test_add_func("/exec/freed_while_starting", test_free_while_starting);
    fds = loop_entries("/proc/self/fd");
    if (g_test_run() != 0)
        return 1;
    g_assert_cmpuint(loop_entries("/proc/self/fd"), <=, fds + 1); /* and the main context's own */
    return 0;
}
