/*
 * hungtask: see hungtask.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/hungtask.h"

#include "sys/procfile.h"

int64_t hungtask_limit(const char *procfs, int64_t *ret_timeout_us)
{
    int32_t panic = 0, timeout = 0;
    int64_t timeout_us = 0;

    /* A kernel without the detector has neither file. A timeout of 0 turns it off. */
    if (procfile_number(procfs, "sys/kernel/hung_task_panic", &panic, NULL) && panic > 0 &&
        procfile_number(procfs, "sys/kernel/hung_task_timeout_secs", &timeout, NULL))
        timeout_us = timeout * USEC_PER_SEC;
    if (ret_timeout_us)
        *ret_timeout_us = timeout_us;
    return timeout_us == 0 ? INT64_MAX : timeout_us - MIN(HUNGTASK_MARGIN_US, timeout_us / 2);
}
