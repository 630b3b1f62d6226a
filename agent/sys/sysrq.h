/*
 * sysrq: the kernel's emergency thaw of every filesystem (magic SysRq j), the last rung.
 *
 * It thaws what others froze too, so it is used only where the administrator allowed it. The kernel
 * does it in a worker of its own; the write does not wait.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/error.h"
#include <stdbool.h>

/* `procfs` is "/proc". Root may always, whatever kernel.sysrq says. */
bool sysrq_thaw_all(const char *procfs, GError **error);
