/*
 * text: makes text of unknown origin fit to be shown on one line.
 *
 * Plain C11, no GLib, no allocation: the portable core uses it too.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <stddef.h>

/* Longest text the agent puts into an error for the host, without the NUL: hosts show it to people
 * on one line of a table (KubeVirt status.error.message, Proxmox task log). */
#define TEXT_LINE_MAX ((size_t)200)

/* Copies `source` (`length` bytes, or up to its NUL when `length` is (size_t)-1) to `target` of
 * `size` bytes: control characters and line breaks become one space each, bytes that are not UTF-8
 * become '?', leading and trailing blanks go, and what does not fit is cut at a character boundary.
 * `target` is always NUL terminated. Returns its length. */
size_t text_line(char *target, size_t size, const char *source, size_t length);

/* The last non-blank line of `text` as text_line() would show it; "" when there is none. */
size_t text_last_line(char *target, size_t size, const char *text, size_t length);

/* Copies like text_line(), but keeps control characters and blanks: only makes it valid UTF-8
 * without NUL. Source and target must not overlap, here and above. */
size_t text_utf8(char *target, size_t size, const char *source, size_t length);
