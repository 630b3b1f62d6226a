/*
 * framer: cuts a byte stream into whole JSON values, without parsing them.
 *
 * A value ends where its braces and brackets balance (string-aware, both quote characters, as hosts
 * need no newline), or, for a bare word or number at top level, where a delimiter follows. 0xFF is
 * a reset: whatever came before is forgotten silently. A line break inside a string is never legal,
 * so it ends a value with one error: half a request does not swallow the next one. Plain C11: no
 * fd, no loop, no log.
 *
 * Memory: grows with the value being collected up to the size limit and is given back by the next
 * call when the value was large (FRAMER_KEEP). After a limit error the rest of that value is
 * skipped without being stored, until its brackets balance, a newline at depth 0 or in a string, or
 * a 0xFF.
 *
 * Only objects can be requests. Of anything else, FRAMER_RUBBISH_MAX events are reported until the
 * next newline, 0xFF or whole object; the rest is dropped silently, so that a stream of binary
 * garbage does not become a stream of error replies.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAMER_SIZE_MAX    ((size_t)64 << 20) /* the stock agent's: a 48 MiB write in base64 fits */
#define FRAMER_DEPTH_MAX   1024u              /* the stock agent's nesting limit */
#define FRAMER_TOKENS_MAX  ((size_t)2 << 20)  /* the stock agent's: parsed, each takes memory */
#define FRAMER_SCALAR_MAX  ((size_t)64 << 10) /* a word, number or string is never a request */
#define FRAMER_RUBBISH_MAX 16u                /* enough to see what is wrong */
#define FRAMER_KEEP        ((size_t)64 << 10) /* a larger buffer is freed after its value */

typedef struct Framer Framer;

typedef enum {
    FRAMER_MORE,  /* all bytes consumed, no whole value yet */
    FRAMER_FRAME, /* `data`/`length` hold one value; valid until the next call */
    FRAMER_ERROR, /* `data`/`length` hold an error text of the stock agent ("JSON parse error, …",
                     "JSON token size limit exceeded", …); the stream goes on */
} FramerEvent;

typedef struct {
    FramerEvent event;
    const char *data; /* NUL terminated after `length` */
    size_t length;
} FramerResult;

/* Limits above FRAMER_SIZE_MAX and FRAMER_DEPTH_MAX are lowered to these. NULL: out of memory. */
Framer *framer_new(size_t size_max, unsigned depth_max);
void framer_free(Framer *framer); /* NULL is fine */

/* Consumes bytes up to the end of the first event and returns how many; call again with the rest
 * while any is left. Returns 0 with an event when `bytes` starts with what delimits a word of an
 * earlier call. A count of 0 only gives the last frame's memory back. */
size_t framer_push(Framer *framer, const uint8_t *bytes, size_t count, FramerResult *ret_result);

/* The memory of the frame just reported (FRAMER_FRAME) becomes the caller's, who frees it with
 * free(); its `data` stays valid. NULL: none was reported. */
char *framer_take(Framer *framer);

/* A value was begun and is not finished (a skipped one counts too). */
bool framer_in_frame(const Framer *framer);
/* Forgets an unfinished value: peer gone, or silent for too long. Ends the last frame's data. */
void framer_reset(Framer *framer);
/* Bytes of the buffer, at most the size limit and one. */
size_t framer_memory(const Framer *framer);
