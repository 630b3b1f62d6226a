/*
 * Tests of sys/hungtask, on an invented procfs.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "procfs_rig.h"
#include "sys/hungtask.h"

static void the_limit_follows_the_detector(void)
{
    static const struct {
        const char *panic, *timeout; /* NULL: no such file */
        int64_t limit_us, timeout_us;
    } CASES[] = {
        {NULL, NULL, INT64_MAX, 0},
        {"0\n", "120\n", INT64_MAX, 0},
        {"1\n", "120\n", 105 * USEC_PER_SEC, 120 * USEC_PER_SEC},
        {"3\n", "600\n", 585 * USEC_PER_SEC, 600 * USEC_PER_SEC},
        {"1\n", "20\n", 10 * USEC_PER_SEC, 20 * USEC_PER_SEC},
        {"1\n", "1\n", 500 * USEC_PER_MSEC, USEC_PER_SEC},
        {"1\n", "0\n", INT64_MAX, 0},
        {"1\n", NULL, INT64_MAX, 0},
        {"x\n", "120\n", INT64_MAX, 0},
        {"1\n", "-5\n", INT64_MAX, 0},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(CASES); i++) {
        int64_t timeout_us = -1;
        g_autofree char *procfs = rig_new("");

        if (CASES[i].panic)
            rig_put(procfs, "sys/kernel/hung_task_panic", CASES[i].panic);
        if (CASES[i].timeout)
            rig_put(procfs, "sys/kernel/hung_task_timeout_secs", CASES[i].timeout);
        g_assert_cmpint(hungtask_limit(procfs, &timeout_us), ==, CASES[i].limit_us);
        g_assert_cmpint(hungtask_limit(procfs, NULL), ==, CASES[i].limit_us);
        g_assert_cmpint(timeout_us, ==, CASES[i].timeout_us);
        rig_remove(procfs);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/hungtask/limit", the_limit_follows_the_detector);
    return g_test_run();
}
