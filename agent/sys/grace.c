/*
 * grace: see grace.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/grace.h"

#include "sys/procfile.h"

#define GRACE_FILE "kernel/rcu_expedited"

bool grace_read(const char *sysfs, int32_t *ret_expedited, GError **error)
{
    return procfile_number(sysfs, GRACE_FILE, ret_expedited, error);
}

bool grace_apply(const char *sysfs, int32_t expedited, GError **error)
{
    return procfile_write_number(sysfs, GRACE_FILE, expedited, error);
}
