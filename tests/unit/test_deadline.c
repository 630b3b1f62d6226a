/*
 * test_deadline: arithmetic at the ends of the range, and the one-shot source.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "base/deadline.h"

static void test_now(void)
{
    int64_t before = g_get_monotonic_time();
    int64_t now = deadline_now();

    g_assert_cmpint(now, >=, before);
    g_assert_cmpint(now, <=, g_get_monotonic_time());
}

static void test_ends_of_range(void)
{
    g_assert_cmpint(deadline_in(INT64_MAX).at_us, ==, INT64_MAX);
    g_assert_cmpint(deadline_in(INT64_MAX - 1).at_us, ==, INT64_MAX);
    g_assert_cmpint(deadline_left(DEADLINE_NEVER), ==, INT64_MAX);
    g_assert_false(deadline_passed(DEADLINE_NEVER));
    g_assert_true(deadline_passed(deadline_in(-5 * USEC_PER_SEC)));
    g_assert_true(deadline_passed(deadline_in(INT64_MIN)));
}

static void test_left(void)
{
    Deadline past = {deadline_now() - USEC_PER_SEC};
    Deadline future = deadline_in(60 * USEC_PER_SEC);

    g_assert_cmpint(deadline_left(past), ==, 0);
    g_assert_true(deadline_passed(past));
    g_assert_cmpint(deadline_left(future), >, 50 * USEC_PER_SEC);
    g_assert_cmpint(deadline_left(future), <=, 60 * USEC_PER_SEC);
    g_assert_false(deadline_passed(future));
}

static void test_earlier(void)
{
    Deadline one = {1}, two = {2};

    g_assert_cmpint(deadline_earlier(one, two).at_us, ==, 1);
    g_assert_cmpint(deadline_earlier(two, one).at_us, ==, 1);
    g_assert_cmpint(deadline_earlier(DEADLINE_NEVER, two).at_us, ==, 2);
}

static gboolean count_call(gpointer user_data)
{
    (*(unsigned *)user_data)++;
    return G_SOURCE_REMOVE;
}

static gboolean count_and_forget(gpointer user_data)
{
    (*(unsigned *)user_data)++;
    return G_SOURCE_CONTINUE;
}

/* Runs the default context for `interval_us`; returns when the first call was counted. */
static int64_t run(int64_t interval_us, const unsigned *calls)
{
    Deadline end = deadline_in(interval_us);
    int64_t first = 0;
    bool over;

    do { /* the last turn is after the interval, however long the one before it took */
        over = deadline_passed(end);
        g_main_context_iteration(NULL, FALSE);
        if (*calls > 0 && first == 0)
            first = deadline_now();
        g_usleep(500);
    } while (!over);
    return first;
}

static void test_source_fires_once(void)
{
    unsigned calls = 0;
    Deadline deadline = deadline_in(20 * USEC_PER_MSEC);
    GSource *source = deadline_source_new(deadline, count_call, &calls);
    int64_t first = run(60 * USEC_PER_MSEC, &calls);

    g_assert_cmpuint(calls, ==, 1);
    g_assert_cmpint(first, >=, deadline.at_us);
    deadline_source_clear(&source);
    g_assert_null(source);
}

static void test_source_cleared(void)
{
    unsigned calls = 0;
    GSource *source = deadline_source_new(deadline_in(0), count_call, &calls);

    deadline_source_clear(&source);
    deadline_source_clear(&source);
    run(10 * USEC_PER_MSEC, &calls);
    g_assert_cmpuint(calls, ==, 0);
}

static void test_source_never(void)
{
    unsigned calls = 0;
    GSource *source = deadline_source_new(DEADLINE_NEVER, count_call, &calls);

    g_assert_cmpint(g_source_get_ready_time(source), ==, -1);
    run(10 * USEC_PER_MSEC, &calls);
    g_assert_cmpuint(calls, ==, 0);
    deadline_source_clear(&source);
}

static void test_source_does_not_spin(void)
{
    unsigned calls = 0;
    GSource *source = deadline_source_new(deadline_in(0), count_and_forget, &calls);

    run(10 * USEC_PER_MSEC, &calls);
    g_assert_cmpuint(calls, ==, 1);
    deadline_source_clear(&source);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/deadline/now_is_monotonic", test_now);
    g_test_add_func("/deadline/ends_of_the_range_do_not_wrap", test_ends_of_range);
    g_test_add_func("/deadline/left_is_never_negative", test_left);
    g_test_add_func("/deadline/earlier_of_two", test_earlier);
    g_test_add_func("/deadline/source_fires_once_and_not_before", test_source_fires_once);
    g_test_add_func("/deadline/cleared_source_does_not_fire", test_source_cleared);
    g_test_add_func("/deadline/never_does_not_fire", test_source_never);
    g_test_add_func("/deadline/callback_that_goes_on_does_not_spin", test_source_does_not_spin);
    return g_test_run();
}
