/*
 * offload_rig: see offload_rig.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "offload_rig.h"

Gate gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

void gate_set(bool open)
{
    pthread_mutex_lock(&gate.lock);
    gate.open = open;
    if (!open)
        gate.peak = gate.entered = gate.freed_inputs = gate.freed_results = 0;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

void gate_pass(void)
{
    pthread_mutex_lock(&gate.lock);
    gate.entered++;
    gate.inside++;
    gate.peak = MAX(gate.peak, gate.inside);
    while (!gate.open)
        pthread_cond_wait(&gate.changed, &gate.lock);
    gate.inside--;
    pthread_mutex_unlock(&gate.lock);
}

unsigned gate_read(const unsigned *counter)
{
    unsigned value = 0;

    pthread_mutex_lock(&gate.lock);
    value = *counter;
    pthread_mutex_unlock(&gate.lock);
    return value;
}

void gate_count(unsigned *counter)
{
    pthread_mutex_lock(&gate.lock);
    (*counter)++;
    pthread_mutex_unlock(&gate.lock);
}

unsigned entries(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    unsigned count = 0;

    g_assert_nonnull(dir);
    while (g_dir_read_name(dir))
        count++;
    return count;
}

Before before(void)
{
    /* Created with the first use, and staying. */
    (void)g_main_context_iteration(NULL, FALSE);
    gate_set(false);
    return (Before){entries("/proc/self/fd"), entries("/proc/self/task")};
}

void assert_clean(Before state)
{
    gate_set(true);
    run_until(offload_abandoned() == 0 && entries("/proc/self/task") <= state.threads &&
              entries("/proc/self/fd") <= state.fds);
    g_assert_cmpuint(entries("/proc/self/fd"), ==, state.fds);
}

void on_done(gpointer result, bool timed_out, gpointer user_data)
{
    Done *done = user_data;

    done->calls++;
    done->timed_out = timed_out;
    done->result = result;
}

void free_input(gpointer input)
{
    gate_count(&gate.freed_inputs);
    g_free(input);
}

void free_result(gpointer result)
{
    gate_count(&gate.freed_results);
    g_free(result);
}

gpointer hang(gpointer input)
{
    gate_pass();
    return g_strdup(input);
}

Offload *run(OffloadFunc func, Deadline deadline, Done *done)
{
    g_autoptr(GError) error = NULL;
    Offload *offload = offload_run("test", func, g_strdup("ab"), free_input, free_result, deadline,
                                   on_done, done, &error);

    g_assert_no_error(error);
    g_assert_nonnull(offload);
    return offload;
}

void abandon_all(Done *done)
{
    Offload *all[OFFLOAD_ABANDONED_MAX];

    for (unsigned i = 0; i < OFFLOAD_ABANDONED_MAX; i++)
        all[i] = run(hang, DEADLINE_NEVER, done);
    run_until(gate_read(&gate.entered) == OFFLOAD_ABANDONED_MAX);
    for (unsigned i = 0; i < OFFLOAD_ABANDONED_MAX; i++)
        offload_cancel(all[i]);
}

static void *rig_nothing(void *data)
{
    return data;
}

void rig_init(int *argc, char ***argv)
{
    pthread_t first;

    /* Sanitizers start a thread of their own with the first. */
    g_assert_cmpint(pthread_create(&first, NULL, rig_nothing, NULL), ==, 0);
    g_assert_cmpint(pthread_join(first, NULL), ==, 0);
    g_test_init(argc, argv, NULL);
}
