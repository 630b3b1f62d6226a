/*
 * quotes: the stock agent's single-quoted strings as standard JSON.
 *
 * Plain C11. Never blocks.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Rewrites 'it\'s "x"' to "it's \"x\"", and the escape \' in double-quoted strings to '. True:
 * `*ret_text` is malloc'ed bytes (not NUL terminated; the caller frees) or NULL when there was
 * nothing to rewrite. False: out of memory. */
bool quotes_rewrite(const char *frame, size_t length, char **ret_text, size_t *ret_length);
