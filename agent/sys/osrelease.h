/*
 * osrelease: what the distribution says of itself in os-release(5).
 *
 * The file is shell assignments; only its values' quoting is understood, as the shell does, and
 * lines that are none are passed over. Reads a disk: for offload threads.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/error.h"

#define OSRELEASE_BYTES_MAX ((size_t)64 << 10) /* real ones have some hundred bytes */

/* The first of $QGA_OS_RELEASE alone if it is set, else /etc/os-release, /usr/lib/os-release; new.
 * NULL: there is none that can be read. */
char *osrelease_read(void);
/* The value of `key`, new, without its quotes; NULL: not there. The last one counts. */
char *osrelease_value(const char *text, const char *key);
