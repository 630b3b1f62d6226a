/*
 * offload_rig: what the tests of sys/offload share. Included by them only.
 *
 * Threads that are to hang do so at a gate, which the test opens in the end. before() and
 * assert_clean() frame a test: it must leave no thread, no fd and no source behind.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "sys/offload.h"
#include "sys/offload_internal.h"

#include <glib.h>
#include <pthread.h>
#include <stdbool.h>

#define MSEC(n) ((n)*USEC_PER_MSEC)

/* What the threads and the test share; everything under the lock. */
typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open;
    unsigned inside, peak, entered, freed_inputs, freed_results;
} Gate;
extern Gate gate;

void gate_set(bool open);
void gate_pass(void);
unsigned gate_read(const unsigned *counter);
void gate_count(unsigned *counter);
unsigned entries(const char *path);

/* Runs the loop until `condition`, at most 20 s. */
#define run_until(condition)                                                                       \
    do {                                                                                           \
        int64_t end_ = deadline_now() + 20 * USEC_PER_SEC;                                         \
        while (!(condition) && deadline_now() < end_) {                                            \
            while (g_main_context_iteration(NULL, FALSE))                                          \
                ;                                                                                  \
            g_usleep(500);                                                                         \
        }                                                                                          \
        g_assert_true(condition);                                                                  \
    } while (0)

typedef struct {
    unsigned fds, threads;
} Before;

Before before(void);
void assert_clean(Before state);

typedef struct {
    unsigned calls;
    bool timed_out;
    gpointer result;
} Done;

void on_done(gpointer result, bool timed_out, gpointer user_data);
void free_input(gpointer input);
void free_result(gpointer result);
gpointer hang(gpointer input);
Offload *run(OffloadFunc func, Deadline deadline, Done *done);
/* As many stuck threads as there may be. */
void abandon_all(Done *done);
void rig_init(int *argc, char ***argv);
