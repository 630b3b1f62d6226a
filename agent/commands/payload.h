/*
 * payload: a reply with base64 in it, written straight into the bytes that will be sent.
 *
 * A file read of 48 MiB is one reply of 64 MiB: it is written once, in an offload thread where it
 * is large, and never copied. Not for more than one thread at a time.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct Payload Payload;

/* `bytes`: how much will be encoded, so that memory is asked for once. Begins the reply. */
Payload *payload_new(size_t bytes);
void payload_free(Payload *payload);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Payload, payload_free)
void payload_add(Payload *payload, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* A piece of what is encoded as one text; payload_base64_end() after the last. */
void payload_base64(Payload *payload, const void *bytes, size_t count);
void payload_base64_end(Payload *payload);
/* For call_return_begun(); NULL: memory was out. */
char *payload_steal(Payload *payload, size_t *ret_length);
