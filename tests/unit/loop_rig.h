/*
 * loop_rig: turns the main loop for tests, and counts what they may leave behind.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/deadline.h"

#include <glib.h>

#define LOOP_WAIT_US (10 * USEC_PER_SEC)
#define MSEC(n)      ((n)*USEC_PER_MSEC)

/* Turns the loop until `condition` holds, LOOP_WAIT_US at most. */
#define loop_until(condition)                                                                      \
    do {                                                                                           \
        int64_t end_ = deadline_now() + LOOP_WAIT_US;                                              \
        while (!(condition) && deadline_now() < end_) {                                            \
            while (g_main_context_iteration(NULL, FALSE))                                          \
                ;                                                                                  \
            g_usleep(500);                                                                         \
        }                                                                                          \
        g_assert_true(condition);                                                                  \
    } while (0)

/* Turns it for so long, whatever happens; returns how often something did. */
static inline unsigned loop_for(int64_t interval_us)
{
    int64_t end = deadline_now() + interval_us;
    unsigned dispatches = 0;

    while (deadline_now() < end) {
        if (g_main_context_iteration(NULL, FALSE))
            dispatches++;
        else
            g_usleep(500);
    }
    return dispatches;
}

/* Entries of a directory: /proc/self/fd, /proc/self/task. */
static inline unsigned loop_entries(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    unsigned count = 0;

    g_assert_nonnull(dir);
    while (g_dir_read_name(dir))
        count++;
    return count;
}
