/*
 * hookconf: NAME.conf of a hook script; internal to hookdir.c.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "sys/hookdir.h"

/* Sets what the file says in `hook`. Errors start with "FILE:LINE: "; `hook` is then half set.
 * `run_as`: quiesced-run-as, asked for a User= that is not in /etc/passwd. */
bool hookconf_read(const char *path, Hook *hook, const char *run_as, GError **error);
