/*
 * account: whether there is a user of that name.
 *
 * /etc/passwd is looked at here; who is not in it is asked for by quiesced-run-as, so that no
 * module of the C library's name service comes into this process. Blocks, ACCOUNT_WAIT_MS at most
 * for the answer of the other one: for offload threads.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/error.h"
#include <stdbool.h>

#define ACCOUNT_WAIT_MS 3000 /* a directory server on the same network answers in milliseconds */

/* False with `error`. `run_as` NULL: only /etc/passwd counts. */
bool account_check(const char *name, const char *run_as, GError **error);
