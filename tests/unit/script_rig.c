/*
 * script_rig: see script_rig.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "script_rig.h"

static gboolean set_flag(gpointer user_data)
{
    *(bool *)user_data = true;
    return G_SOURCE_REMOVE;
}

bool run_until(const bool *flag, int64_t limit_us)
{
    bool over = false;
    GSource *limit = deadline_source_new(deadline_in(limit_us), set_flag, &over);

    while (!*flag && !over)
        g_main_context_iteration(NULL, TRUE);
    deadline_source_clear(&limit);
    return *flag;
}

void run_for(int64_t interval_us)
{
    bool never = false;

    (void)run_until(&never, interval_us);
}

void script_write(const char *path, const char *text, mode_t mode)
{
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    g_assert_cmpint(chmod(path, mode), ==, 0);
}

static void child_done(Process *process, const ProcessResult *result, gpointer user_data)
{
    Child *child = user_data;

    g_assert_false(child->in_start);
    g_assert_false(child->gone);
    g_assert_true(process == child->process);
    child->done = true;
    child->done_calls++;
    child->end = result->end;
    child->code = result->code;
    child->duration_us = result->duration_us;
    child->done_at_us = deadline_now();
    g_assert_cmpuint(result->output[result->output_length], ==, 0);
    child->output = g_string_new_len(result->output, (gssize)result->output_length);
    if (child->in_done)
        child->in_done(process);
}

static void child_gone(Process *process, gpointer user_data)
{
    Child *child = user_data;

    g_assert_true(process == child->process);
    g_assert_true(child->done);
    child->gone = true;
    child->gone_at_us = deadline_now();
}

void child_start_argv(Child *child, const char *const *argv, int64_t timeout_us, size_t output_max)
{
    static const ProcessEvents EVENTS = {.done = child_done, .gone = child_gone};
    static const char *const ENVIRONMENT[] = {"PATH=/usr/bin:/bin", "ONLY=this", NULL};
    const ProcessSpec spec = {
        .path = argv[0], .argv = argv, .envp = ENVIRONMENT, .output_max = output_max};

    child->in_start = true;
    child->process = process_start(&spec, deadline_in(timeout_us), &EVENTS, child);
    child->in_start = false;
}

void child_start(Child *child, const char *script, int64_t timeout_us)
{
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};

    child_start_argv(child, argv, timeout_us, OUTPUT_MAX);
}

void child_wait_gone(Child *child)
{
    g_assert_true(run_until(&child->gone, MSEC(20000)));
    g_assert_cmpuint(child->done_calls, ==, 1);
}

void child_clear(Child *child)
{
    if (child->output)
        g_string_free(child->output, TRUE);
    *child = (Child){0};
}
