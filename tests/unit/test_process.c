/*
 * Tests of sys/process: real children, small times. Scripts are given to /bin/sh -c.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "script_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* 32 and 33, which the C library keeps for its threads and ignores in what it spawns. */
#define LIBC_SIGNALS G_GUINT64_CONSTANT(0x180000000)

static bool exists(pid_t pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/stat", (int)pid);
    g_autofree char *text = NULL;
    const char *after_name;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return false;
    after_name = strrchr(text, ')');
    return after_name && after_name[2] != 'Z' && after_name[2] != 'X';
}

static bool ends_within(pid_t pid, int64_t limit_us)
{
    Deadline deadline = deadline_in(limit_us);

    while (exists(pid) && !deadline_passed(deadline))
        run_for(MSEC(5));
    return !exists(pid);
}

static void test_exit(void)
{
    Child child = {0};

    child_start(&child, "echo out; echo err >&2; exit 3", MSEC(20000));
    g_assert_cmpint(process_pid(child.process), ==, 0);
    child_wait_gone(&child);
    g_assert_cmpint(child.end, ==, PROCESS_EXITED);
    g_assert_cmpint(child.code, ==, 3);
    g_assert_cmpstr(child.output->str, ==, "out\nerr\n");
    g_assert_cmpint(child.duration_us, >, 0);
    g_assert_cmpint(child.duration_us, <, MSEC(20000));
    child_clear(&child);
}

static void test_signal(void)
{
    Child child = {0};

    child_start(&child, "kill -KILL $$", MSEC(20000));
    child_wait_gone(&child);
    g_assert_cmpint(child.end, ==, PROCESS_SIGNALED);
    g_assert_cmpint(child.code, ==, SIGKILL);
    child_clear(&child);
}

/* cwd, stdin, environment, process group and fds are all the child's own. */
static void test_clean_start(void)
{
    Child child = {0};
    int leak = open("/dev/null", O_RDONLY); /* no O_CLOEXEC on purpose */

    g_assert_cmpint(leak, >, 2);
    /* Only shell builtins look at the fds: a fork for a pipe would show its own. */
    child_start(
        &child,
        "pwd; env | grep -c '^ONLY=this$'; env | grep -c QUIESCE_TEST_LEAK; cat; n=0; "
        "while [ $n -lt 30 ]; do [ -e /proc/$$/fd/$n ] && printf '%s ' $n; n=$((n + 1)); done; "
        "read -r _ _ _ _ pgrp _ </proc/$$/stat; [ \"$pgrp\" = $$ ] && echo leader",
        MSEC(20000));
    child_wait_gone(&child);
    g_assert_cmpstr(child.output->str, ==, "/\n1\n0\n0 1 2 leader\n");
    close(leak);
    child_clear(&child);
}

/* main() blocked SIGUSR1 before the spawner had threads. */
static void test_clean_signals(void)
{
    const char *const argv[] = {"/bin/grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status", NULL};
    Child child = {0};
    char *ignored;

    g_assert_true(signal(SIGUSR2, SIG_IGN) != SIG_ERR);
    child_start_argv(&child, argv, MSEC(20000), OUTPUT_MAX);
    child_wait_gone(&child);
    g_assert_true(signal(SIGUSR2, SIG_DFL) != SIG_ERR);
    g_assert_true(g_str_has_prefix(child.output->str, "SigBlk:\t0000000000000000\nSigIgn:\t"));
    ignored = strrchr(child.output->str, '\t') + 1;
    g_assert_cmphex(g_ascii_strtoull(ignored, NULL, 16) & ~LIBC_SIGNALS, ==, 0);
    child_clear(&child);
}

/* What is to be soon is so in one of some tries, however much else the machine does. */
static void assert_soon_once(bool (*soon)(void))
{
    unsigned tries = 1;

    for (; !soon(); tries++)
        g_assert_cmpuint(tries, <, 5);
}

static bool timeout_is_soon(void)
{
    Child child = {0};
    bool soon;

    child_start(&child, "echo started; exec sleep 30", MSEC(1000));
    g_assert_true(run_until(&child.done, MSEC(20000)));
    g_assert_cmpint(child.end, ==, PROCESS_TIMED_OUT);
    soon = g_str_equal(child.output->str, "started\n") && child.duration_us < MSEC(2500);
    g_assert_cmpint(child.duration_us, >=, MSEC(1000));
    g_assert_cmpint(child.duration_us, <, MSEC(15000));
    child_wait_gone(&child);
    soon &= child.gone_at_us - child.done_at_us < MSEC(500); /* SIGTERM was enough */
    child_clear(&child);
    return soon;
}

static void test_timeout(void)
{
    assert_soon_once(timeout_is_soon);
}

/* `done` does not wait for the corpse; SIGKILL comes after PROCESS_KILL_DELAY_US. */
static bool sigkill_is_soon(void)
{
    g_autofree char *directory = g_dir_make_tmp("process-XXXXXX", NULL);
    g_autofree char *ready = g_build_filename(directory, "ready", NULL);
    g_autofree char *script =
        g_strdup_printf("trap '' TERM; : >%s; while :; do sleep 0.05; done", ready);
    Child child = {0};
    bool soon;

    child_start(&child, script, MSEC(20000));
    for (unsigned i = 0; i < 4000 && g_access(ready, F_OK) != 0; i++)
        run_for(MSEC(5));
    process_set_deadline(child.process, deadline_in(MSEC(200)));
    g_assert_true(run_until(&child.done, MSEC(20000)));
    g_assert_false(child.gone);
    g_assert_cmpint(child.end, ==, PROCESS_TIMED_OUT);
    child_wait_gone(&child);
    g_assert_cmpint(child.gone_at_us - child.done_at_us, >=, PROCESS_KILL_DELAY_US - MSEC(50));
    soon = child.gone_at_us - child.done_at_us < PROCESS_KILL_DELAY_US + MSEC(700);
    child_clear(&child);
    g_assert_cmpint(g_unlink(ready), ==, 0);
    g_assert_cmpint(g_rmdir(directory), ==, 0);
    return soon;
}

static void test_ignores_sigterm(void)
{
    assert_soon_once(sigkill_is_soon);
}

/* The leader dies of SIGTERM, its grandchild ignores it: the group gets SIGKILL all the same. */
static void test_grandchild_killed(void)
{
    Child child = {0};
    pid_t grandchild;

    child_start(&child, "sh -c 'trap \"\" TERM; echo $$; while :; do sleep 0.05; done' & wait",
                MSEC(3000));
    g_assert_true(run_until(&child.done, MSEC(8000)));
    grandchild = (pid_t)g_ascii_strtoll(child.output->str, NULL, 10);
    g_assert_cmpint(grandchild, >, 1);
    child_wait_gone(&child);
    g_assert_true(ends_within(grandchild, MSEC(5000)));
    child_clear(&child);
}

/* A background child that keeps stdout does not hold anything up, and lives on. */
static void test_background_child(void)
{
    Child child = {0};
    pid_t background;

    child_start(&child, "sleep 30 & echo $!; exit 0", MSEC(20000));
    child_wait_gone(&child);
    g_assert_cmpint(child.end, ==, PROCESS_EXITED);
    g_assert_cmpint(child.duration_us, <, MSEC(15000));
    background = (pid_t)g_ascii_strtoll(child.output->str, NULL, 10);
    g_assert_cmpint(background, >, 1);
    run_for(MSEC(30));
    g_assert_true(exists(background));
    g_assert_cmpint(kill(background, SIGKILL), ==, 0);
    child_clear(&child);
}

/* A background child that writes without end: what is in the pipe is read, no more. */
static void test_background_flood(void)
{
    Child child = {0};

    child_start(&child, "yes & echo $! >&2; sleep 0.1; exit 0", MSEC(20000));
    child_wait_gone(&child);
    g_assert_cmpint(child.end, ==, PROCESS_EXITED);
    g_assert_cmpint(child.duration_us, <, MSEC(15000));
    child_clear(&child);
}

static void test_flood(void)
{
    Child child = {0};

    child_start(&child, "head -c 3000000 /dev/zero | tr '\\0' x; echo; echo the last line",
                MSEC(20000));
    child_wait_gone(&child);
    g_assert_cmpint(child.end, ==, PROCESS_EXITED);
    g_assert_cmpuint(child.output->len, ==, OUTPUT_MAX);
    g_assert_true(g_str_has_suffix(child.output->str, "xxx\nthe last line\n"));
    child_clear(&child);
}

/* Small writes around the limit: the ring turns in the right place. */
static void test_ring(void)
{
    const char *const argv[] = {"/bin/sh", "-c",
                                "for i in 0 1 2 3 4 5 6; do echo $i; sleep 0.01; done", NULL};
    Child child = {0};

    child_start_argv(&child, argv, MSEC(20000), 5);
    child_wait_gone(&child);
    g_assert_cmpstr(child.output->str, ==, "\n5\n6\n");
    child_clear(&child);
    child_start_argv(&child, argv, MSEC(20000), 14);
    child_wait_gone(&child);
    g_assert_cmpstr(child.output->str, ==, "0\n1\n2\n3\n4\n5\n6\n");
    child_clear(&child);
    child_start_argv(&child, argv, MSEC(20000), 0);
    child_wait_gone(&child);
    g_assert_cmpuint(child.output->len, ==, 0);
    child_clear(&child);
}

static gboolean count_tick(gpointer user_data)
{
    ++*(unsigned *)user_data;
    return G_SOURCE_CONTINUE;
}

/* A flood does not starve timers of the same loop. */
static void test_flood_leaves_loop_alive(void)
{
    Child child = {0};
    unsigned ticks = 0;
    guint timer = g_timeout_add(5, count_tick, &ticks);

    child_start(&child, "exec yes", MSEC(2000));
    g_assert_true(run_until(&child.done, MSEC(8000)));
    g_assert_cmpint(child.end, ==, PROCESS_TIMED_OUT);
    g_assert_cmpuint(ticks, >=, 100);
    g_source_remove(timer);
    child_wait_gone(&child);
    child_clear(&child);
}

static void test_cancel(void)
{
    Child child = {0};

    child_start(&child, "exec sleep 30", MSEC(20000));
    while (process_pid(child.process) == 0)
        g_main_context_iteration(NULL, TRUE);
    process_cancel(child.process);
    g_assert_false(child.done);
    process_cancel(child.process);
    child_wait_gone(&child);
    g_assert_cmpint(child.end, ==, PROCESS_CANCELLED);
    g_assert_cmpint(child.duration_us, <, MSEC(15000));
    child_clear(&child);
}

static bool cancel_while_starting_is_soon(void)
{
    Child child = {0};
    bool soon;

    child_start(&child, "exec sleep 30", MSEC(20000));
    process_cancel(child.process);
    child_wait_gone(&child);
    g_assert_cmpint(child.end, ==, PROCESS_CANCELLED);
    soon = child.gone_at_us - child.done_at_us < MSEC(900); /* SIGTERM was enough */
    child_clear(&child);
    return soon;
}

static void test_cancel_while_starting(void)
{
    assert_soon_once(cancel_while_starting_is_soon);
}

static void test_cancel_from_done(void)
{
    Child child = {.in_done = process_cancel};

    child_start(&child, "exit 7", MSEC(20000));
    child_wait_gone(&child);
    g_assert_cmpint(child.end, ==, PROCESS_EXITED);
    g_assert_cmpint(child.code, ==, 7);
    child_clear(&child);
}

static void test_abandon(void)
{
    Child running = {0}, starting = {0}, ended = {.in_done = process_abandon};
    pid_t pid;

    child_start(&running, "exec sleep 30", MSEC(20000));
    while (process_pid(running.process) == 0)
        g_main_context_iteration(NULL, TRUE);
    pid = process_pid(running.process);
    process_abandon(running.process);
    g_assert_true(ends_within(pid, MSEC(15000)));
    child_start(&starting, "exec sleep 30", MSEC(20000));
    process_abandon(starting.process);
    child_start(&ended, "exit 0", MSEC(20000));
    g_assert_true(run_until(&ended.done, MSEC(20000)));
    run_for(MSEC(50));
    g_assert_false(running.done || running.gone);
    g_assert_false(starting.done || starting.gone);
    g_assert_false(ended.gone);
    child_clear(&ended);
}

/* Ended in time, but the loop looks only after the deadline (busy, or the VM was paused). */
static void test_late_loop_is_not_a_timeout(void)
{
    Child child = {0};
    pid_t pid;

    child_start(&child, "exit 0", MSEC(20000));
    while (process_pid(child.process) == 0)
        g_main_context_iteration(NULL, TRUE);
    pid = process_pid(child.process);
    process_set_deadline(child.process, deadline_in(0));
    for (unsigned n = 0; exists(pid); n++) {
        g_assert_cmpuint(n, <, 20000);
        g_usleep(1000);
    }
    child_wait_gone(&child);
    g_assert_cmpint(child.end, ==, PROCESS_EXITED);
    child_clear(&child);
}

/* SIGCHLD ignored takes the exit status away; the process ends all the same, without a spin. */
static void test_status_taken_away(void)
{
    Child child = {0};

    g_assert_true(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
    child_start(&child, "sleep 0.1", MSEC(20000));
    child_wait_gone(&child);
    g_assert_cmpint(child.end, ==, PROCESS_FAILED);
    g_assert_cmpint(child.code, ==, ECHILD);
    g_assert_true(signal(SIGCHLD, SIG_DFL) != SIG_ERR);
    child_clear(&child);
}

static int64_t run_parallel(unsigned count)
{
    g_autofree Child *children = g_new0(Child, count);
    int64_t begin = deadline_now();

    for (unsigned i = 0; i < count; i++)
        child_start(&children[i], "exec sleep 0.1", MSEC(20000));
    for (unsigned i = 0; i < count; i++) {
        child_wait_gone(&children[i]);
        g_assert_cmpint(children[i].end, ==, PROCESS_EXITED);
        g_assert_cmpint(children[i].code, ==, 0);
        child_clear(&children[i]);
    }
    return deadline_now() - begin;
}

/* 32 at once cost little over one alone; the bound leaves room for a loaded builder. */
static bool parallel_is_soon(void)
{
    int64_t one = run_parallel(1);
    int64_t many = run_parallel(32);

    g_test_message("one %" G_GINT64_FORMAT " us, 32 %" G_GINT64_FORMAT " us", one, many);
    return many - one < MSEC(1500); /* one after another would be 3100 */
}

static void test_parallel(void)
{
    assert_soon_once(parallel_is_soon);
}

int main(int argc, char **argv)
{
    sigset_t blocked;

    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    g_assert_cmpint(sigprocmask(SIG_BLOCK, &blocked, NULL), ==, 0);
    g_setenv("QUIESCE_TEST_LEAK", "1", TRUE);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/process/exit_status_and_output", test_exit);
    g_test_add_func("/process/killed_by_signal", test_signal);
    g_test_add_func("/process/starts_clean", test_clean_start);
    g_test_add_func("/process/signals_are_default", test_clean_signals);
    g_test_add_func("/process/timeout_is_told_at_once", test_timeout);
    g_test_add_func("/process/sigkill_follows_sigterm", test_ignores_sigterm);
    g_test_add_func("/process/grandchild_dies_with_group", test_grandchild_killed);
    g_test_add_func("/process/background_child_holds_nothing_up", test_background_child);
    g_test_add_func("/process/background_flood_ends", test_background_flood);
    g_test_add_func("/process/flood_keeps_last_bytes", test_flood);
    g_test_add_func("/process/ring_turns", test_ring);
    g_test_add_func("/process/flood_leaves_loop_alive", test_flood_leaves_loop_alive);
    g_test_add_func("/process/cancel", test_cancel);
    g_test_add_func("/process/cancel_while_starting", test_cancel_while_starting);
    g_test_add_func("/process/cancel_after_done_is_nothing", test_cancel_from_done);
    g_test_add_func("/process/abandon_kills_silently", test_abandon);
    g_test_add_func("/process/late_loop_is_not_a_timeout", test_late_loop_is_not_a_timeout);
    g_test_add_func("/process/status_taken_away", test_status_taken_away);
    g_test_add_func("/process/32_in_parallel", test_parallel);
    return g_test_run();
}
