/*
 * hookconf: NAME.conf of a hook script; internal to hookdir.c.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "sys/hookdir.h"

/* Sets what the file says in `hook`. A key that is known but not supported yet refuses the hook
 * (hook->refused) and is no error. Errors start with "FILE:LINE: "; `hook` is then half set. */
bool hookconf_read(const char *path, Hook *hook, GError **error);
