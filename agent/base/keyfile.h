/*
 * keyfile: reads "[group]" and "key=value" lines with their line numbers.
 *
 * GKeyFile forgets where a value came from; errors here must name file and line. Lines starting
 * with '#' or ';' are comments. Values are taken to the end of the line, blanks trimmed. No
 * escapes, no continuation lines, no locales.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>

#define KEYFILE_SIZE_MAX ((size_t)1 << 20) /* a configuration is a few KiB */

/* Called per key; returning false (with `error` set, without file and line) stops the reading and
 * the location is put in front. `group` keeps its text between the brackets, blanks trimmed. */
typedef bool (*KeyfileFunc)(const char *group, const char *key, const char *value,
                            const char *location, gpointer user_data, GError **error);

/* Errors start with "FILE:LINE: ". A missing file is AGENT_ERROR_UNAVAILABLE. `group_func` (may be
 * NULL) is called for each group header, with key and value NULL. */
bool keyfile_read(const char *path, KeyfileFunc group_func, KeyfileFunc key_func,
                  gpointer user_data, GError **error);
