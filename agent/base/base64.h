/*
 * base64: what a host sends as base64, checked before it is made use of.
 *
 * GLib's decoder passes over what it does not know and drops an unfinished last group; here both
 * are errors. Line breaks are allowed, as in the stock agent. Takes time in proportion: large
 * texts are for offload threads. Never allocates.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The number of bytes that `text` stands for. */
bool base64_measure(const char *text, size_t length, size_t *ret_bytes, GError **error);

/* Decodes text that base64_measure() took, piece by piece. Zero-initialize. */
typedef struct {
    int state;
    unsigned save;
} Base64Decoder;

/* `bytes` has room for 3 bytes for every 4 characters, and 3 more. */
size_t base64_decode(Base64Decoder *decoder, const char *text, size_t length, uint8_t *bytes);
