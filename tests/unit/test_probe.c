/*
 * Tests of sys/probe: things that answer, that have no answer, that hang, and that come back.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "offload_rig.h"
#include "sys/probe.h"

#include <string.h>

#define HANGING_MAX 40

typedef struct {
    size_t length;
    unsigned call;
} Length;

/* "hang..." waits at the gate, "none..." has no answer. */
static bool ask_length(const char *name, void *answer)
{
    Length *length = answer;

    if (g_str_has_prefix(name, "hang"))
        gate_pass();
    length->length = strlen(name);
    return !g_str_has_prefix(name, "none");
}

typedef struct {
    unsigned calls;
    size_t count;
    size_t lengths[HANGING_MAX]; /* 0: no answer */
    int64_t at_us;
} Asked;

static void asked(const void *const *answers, size_t count, gpointer user_data)
{
    Asked *result = user_data;

    result->calls++;
    result->count = count;
    result->at_us = deadline_now();
    for (size_t i = 0; i < count; i++)
        result->lengths[i] = answers[i] ? ((const Length *)answers[i])->length : 0;
}

static Asked ask_names(Probe *probe, const char *const *names, int64_t wait_us)
{
    Asked result = {0};

    probe_ask(probe, names, g_strv_length((char **)names), deadline_in(wait_us), asked, &result);
    run_until(result.calls == 1);
    g_assert_false(probe_asking(probe));
    return result;
}

static void each_gets_its_own_answer(void)
{
    static const char *const NAMES[] = {"a", "", "none", "dddd", "a", NULL};
    Before state = before();
    Probe *probe = probe_new("test", ask_length, sizeof(Length));
    Asked result = ask_names(probe, NAMES, MSEC(5000));
    static const char *const NOBODY[] = {NULL};

    g_assert_cmpuint(result.count, ==, 5);
    g_assert_cmpuint(result.lengths[0], ==, 1);
    g_assert_cmpuint(result.lengths[1], ==, 0);
    g_assert_cmpuint(result.lengths[2], ==, 0);
    g_assert_cmpuint(result.lengths[3], ==, 4);
    g_assert_cmpuint(result.lengths[4], ==, 1);
    result = ask_names(probe, NOBODY, MSEC(5000));
    g_assert_cmpuint(result.count, ==, 0);
    probe_free(probe);
    assert_clean(state);
}

static void one_that_hangs_holds_up_nobody(void)
{
    static const char *const NAMES[] = {"a", "hang", "ccc", NULL};
    Before state = before();
    Probe *probe = probe_new("test", ask_length, sizeof(Length));
    Asked result = ask_names(probe, NAMES, MSEC(2000));

    g_assert_cmpuint(result.lengths[0], ==, 1);
    g_assert_cmpuint(result.lengths[1], ==, 0);
    g_assert_cmpuint(result.lengths[2], ==, 3);
    g_assert_cmpuint(offload_abandoned(), ==, 1);
    /* Not asked again while it hangs, and nobody waits for it. */
    for (unsigned i = 0; i < 5; i++) {
        int64_t began = deadline_now();

        result = ask_names(probe, NAMES, MSEC(5000));
        g_assert_cmpint(result.at_us - began, <, MSEC(4000));
        g_assert_cmpuint(result.lengths[1], ==, 0);
        g_assert_cmpuint(result.lengths[2], ==, 3);
    }
    g_assert_cmpuint(gate_read(&gate.entered), ==, 1);
    g_assert_cmpuint(offload_abandoned(), ==, 1);
    gate_set(true);
    run_until(offload_abandoned() == 0);
    result = ask_names(probe, NAMES, MSEC(5000));
    g_assert_cmpuint(result.lengths[1], ==, 4);
    probe_free(probe);
    assert_clean(state);
}

static void late_for_the_first_time_has_its_answer_of_before(void)
{
    static const char *const NAMES[] = {"hang", NULL};
    Before state = before();
    Probe *probe = probe_new("test", ask_length, sizeof(Length));
    Asked result;

    gate_set(true);
    result = ask_names(probe, NAMES, MSEC(5000));
    g_assert_cmpuint(result.lengths[0], ==, 4);
    gate_set(false);
    result = ask_names(probe, NAMES, MSEC(500));
    g_assert_cmpuint(result.lengths[0], ==, 4);
    result = ask_names(probe, NAMES, MSEC(500));
    g_assert_cmpuint(result.lengths[0], ==, 0);
    probe_free(probe);
    assert_clean(state);
}

static void threads_that_hang_are_limited(void)
{
    char names[HANGING_MAX][16];
    const char *all[HANGING_MAX + 1] = {NULL};
    Before state = before();
    Probe *probe = probe_new("test", ask_length, sizeof(Length));

    for (unsigned i = 0; i < HANGING_MAX; i++) {
        (void)g_snprintf(names[i], sizeof(names[i]), "hang%u", i);
        all[i] = names[i];
    }
    for (unsigned i = 0; i < 8; i++) {
        (void)ask_names(probe, all, MSEC(100));
        g_assert_cmpuint(offload_abandoned(), <=,
                         MIN((i + 1) * PROBE_THREADS_MAX, PROBE_STUCK_MAX));
    }
    g_assert_cmpuint(offload_abandoned(), >, PROBE_THREADS_MAX);
    probe_free(probe);
    assert_clean(state);
}

static void freed_while_it_asks(void)
{
    static const char *const NAMES[] = {"a", "hang", NULL};
    Before state = before();
    Probe *probe = probe_new("test", ask_length, sizeof(Length));
    Asked result = {0};

    probe_ask(probe, NAMES, 2, deadline_in(MSEC(5000)), asked, &result);
    run_until(gate_read(&gate.entered) == 1);
    probe_free(probe);
    gate_set(true);
    run_until(offload_abandoned() == 0);
    g_assert_cmpuint(result.calls, ==, 0);
    assert_clean(state);
}

int main(int argc, char **argv)
{
    rig_init(&argc, &argv);
    g_test_add_func("/probe/answers", each_gets_its_own_answer);
    g_test_add_func("/probe/hanging", one_that_hangs_holds_up_nobody);
    g_test_add_func("/probe/late", late_for_the_first_time_has_its_answer_of_before);
    g_test_add_func("/probe/limit", threads_that_hang_are_limited);
    g_test_add_func("/probe/freed", freed_while_it_asks);
    return g_test_run();
}
