/*
 * Tests of offload_run(): results, deadlines, threads given up, what a thread has.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "offload_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static gpointer repeat(gpointer input)
{
    return g_strconcat(input, input, NULL);
}

static void result_arrives(void)
{
    Before state = before();
    Done done = {0};

    (void)!run(repeat, deadline_in(5 * USEC_PER_SEC), &done);
    g_assert_cmpuint(done.calls, ==, 0);
    run_until(done.calls > 0);
    g_assert_false(done.timed_out);
    g_assert_cmpstr(done.result, ==, "abab");
    g_free(done.result);
    g_assert_cmpuint(gate_read(&gate.freed_inputs), ==, 1);
    g_assert_cmpuint(gate_read(&gate.freed_results), ==, 0);
    g_assert_cmpuint(offload_abandoned(), ==, 0);
    assert_clean(state);
    g_assert_cmpuint(done.calls, ==, 1);
}

/* Without the loop: one that has not begun at its deadline would only be dropped. */
static void wait_for_begin(void)
{
    while (gate_read(&gate.entered) == 0)
        g_usleep(1000);
}

static void stuck_is_given_up(void)
{
    Before state = before();
    Done done = {0};
    int64_t start = deadline_now();

    (void)!run(hang, deadline_in(MSEC(50)), &done);
    wait_for_begin();
    run_until(done.calls > 0);
    g_assert_cmpint(deadline_now() - start, >=, MSEC(50));
    g_assert_cmpint(deadline_now() - start, <, MSEC(4500));
    g_assert_true(done.timed_out);
    g_assert_null(done.result);
    g_assert_cmpuint(offload_abandoned(), ==, 1);
    g_assert_cmpuint(gate_read(&gate.freed_inputs), ==, 0);
    assert_clean(state);
    g_assert_cmpuint(gate_read(&gate.freed_inputs), ==, 1);
    g_assert_cmpuint(gate_read(&gate.freed_results), ==, 1);
    g_assert_cmpuint(done.calls, ==, 1);
}

/* Without the loop, until the one thread there is has freed its input and ended. */
static void wait_for_end(Before state)
{
    while (gate_read(&gate.freed_inputs) == 0 || entries("/proc/self/task") > state.threads)
        g_usleep(1000);
}

/* The loop was busy: what ended in time counts, although the deadline has passed since. */
static void result_beats_deadline(void)
{
    Before state = before();
    Done done = {0};

    (void)!run(repeat, deadline_in(MSEC(30)), &done);
    wait_for_end(state);
    g_usleep((gulong)MSEC(40));
    run_until(done.calls > 0);
    g_assert_false(done.timed_out);
    g_assert_cmpstr(done.result, ==, "abab");
    g_free(done.result);
    assert_clean(state);
}

static void cancel_while_stuck(void)
{
    Before state = before();
    Done done = {0};
    Offload *offload = run(hang, deadline_in(MSEC(20)), &done);

    wait_for_begin();
    offload_cancel(offload);
    g_assert_cmpuint(offload_abandoned(), ==, 1);
    assert_clean(state);
    g_assert_cmpuint(done.calls, ==, 0);
    g_assert_cmpuint(gate_read(&gate.freed_results), ==, 1);
}

static void cancel_after_the_end(void)
{
    Before state = before();
    Done done = {0};
    Offload *offload = run(repeat, deadline_in(MSEC(5000)), &done);

    wait_for_end(state);
    offload_cancel(offload);
    g_assert_cmpuint(offload_abandoned(), ==, 0);
    assert_clean(state);
    g_assert_cmpuint(done.calls, ==, 0);
    g_assert_cmpuint(gate_read(&gate.freed_inputs), ==, 1);
    g_assert_cmpuint(gate_read(&gate.freed_results), ==, 1);
}

/* At once, so that some threads have not begun: nobody's fd is closed by mistake. */
static void cancel_at_once(void)
{
    Before state = before();
    Done done = {0};

    gate_set(true);
    for (unsigned i = 0; i < 200; i++) {
        int witness = open("/dev/null", O_RDONLY | O_CLOEXEC);

        offload_cancel(run(hang, DEADLINE_NEVER, &done));
        g_assert_cmpint(fcntl(witness, F_GETFD), >=, 0);
        g_assert_cmpint(close(witness), ==, 0);
        while (offload_abandoned() > 16)
            g_usleep(100);
    }
    assert_clean(state);
    g_assert_cmpuint(done.calls, ==, 0);
    g_assert_cmpuint(gate_read(&gate.freed_inputs), ==, 200);
}

static gpointer look_around(gpointer input)
{
    sigset_t mask;
    pthread_attr_t attributes;
    size_t stack = 0;
    int inherited = atoi(input);
    bool closed = fcntl(inherited, F_GETFD) < 0 && errno == EBADF;
    bool stderr_open = fcntl(STDERR_FILENO, F_GETFD) >= 0, small;
    /* stderr, its end of the pair, and the folder being listed. */
    unsigned open_fds = entries("/proc/thread-self/fd");

    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstacksize(&attributes, &stack);
    pthread_attr_destroy(&attributes);
    /* Sanitizers make stacks larger by what they need themselves. */
    small = stack <= 4 * OFFLOAD_STACK_SIZE || g_getenv("QUIESCED_SANITIZED");
    return g_strdup_printf("closed %d stderr %d fds %u signals %d stack %d", closed, stderr_open,
                           open_fds, !sigismember(&mask, SIGTERM), small);
}

static void thread_has_its_own_table(void)
{
    Before state = before();
    Done done = {0};
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    g_autoptr(GError) error = NULL;

    (void)!offload_run("test", look_around, g_strdup_printf("%d", fd), g_free, g_free,
                       deadline_in(MSEC(5000)), on_done, &done, &error);
    g_assert_no_error(error);
    run_until(done.calls > 0);
    g_assert_cmpstr(done.result, ==, "closed 1 stderr 1 fds 3 signals 0 stack 1");
    g_free(done.result);
    g_assert_cmpint(fcntl(fd, F_GETFD), >=, 0);
    close(fd);
    assert_clean(state);
}

static void stuck_thread_holds_no_socket(void)
{
    Before state = before();
    Done done = {0};
    int pair[2];
    char byte = 0;
    Offload *offload = NULL;

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
    offload = run(hang, DEADLINE_NEVER, &done);
    run_until(gate_read(&gate.entered) == 1);
    close(pair[0]);
    /* An end of file, though the thread is still there. */
    g_assert_cmpint(recv(pair[1], &byte, 1, MSG_DONTWAIT), ==, 0);
    close(pair[1]);
    offload_cancel(offload);
    assert_clean(state);
}

static void limit_of_stuck_threads(void)
{
    Before state = before();
    Done done = {0};
    g_autoptr(GError) error = NULL;

    abandon_all(&done);
    g_assert_cmpuint(offload_abandoned(), ==, OFFLOAD_ABANDONED_MAX);
    g_assert_null(offload_run("one-more", hang, g_strdup("x"), free_input, free_result,
                              DEADLINE_NEVER, on_done, &done, &error));
    g_assert_error(error, AGENT_ERROR, AGENT_ERROR_LIMIT);
    g_assert_cmpuint(gate_read(&gate.freed_inputs), >=, 1);
    assert_clean(state);
    g_assert_cmpuint(gate_read(&gate.freed_inputs), ==, OFFLOAD_ABANDONED_MAX + 1);
    /* And then again. */
    gate_set(true);
    (void)!run(repeat, deadline_in(MSEC(5000)), &done);
    run_until(done.calls == 1);
    g_free(done.result);
}

int main(int argc, char **argv)
{
    rig_init(&argc, &argv);
    g_test_add_func("/offload/result_arrives", result_arrives);
    g_test_add_func("/offload/stuck_is_given_up", stuck_is_given_up);
    g_test_add_func("/offload/result_beats_deadline", result_beats_deadline);
    g_test_add_func("/offload/cancel_while_stuck", cancel_while_stuck);
    g_test_add_func("/offload/cancel_after_the_end", cancel_after_the_end);
    g_test_add_func("/offload/cancel_at_once", cancel_at_once);
    g_test_add_func("/offload/thread_has_its_own_table", thread_has_its_own_table);
    g_test_add_func("/offload/stuck_thread_holds_no_socket", stuck_thread_holds_no_socket);
    g_test_add_func("/offload/limit_of_stuck_threads", limit_of_stuck_threads);
    return g_test_run();
}
