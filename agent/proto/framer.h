/*
 * framer: cuts a byte stream into whole JSON values, without parsing them.
 *
 * A value ends where its braces and brackets balance (string-aware, both quote characters, as hosts
 * need no newline), or, for a bare word or number at top level, where a delimiter follows. 0xFF is
 * a reset: whatever came before is forgotten silently. Plain C11: no fd, no loop, no log.
 *
 * Memory: grows with the value being collected up to the size limit and is given back when the
 * value was large (FRAMER_KEEP). After a limit error the rest of that value is skipped without
 * being stored, until its brackets balance, a newline at depth 0, or a 0xFF.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAMER_SIZE_MAX  ((size_t)64 << 20) /* the stock agent's: a 48 MiB write in base64 fits */
#define FRAMER_DEPTH_MAX 1024u              /* the stock agent's nesting limit */
#define FRAMER_KEEP      ((size_t)64 << 10) /* a larger buffer is freed after its value */

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

Framer *framer_new(size_t size_max, unsigned depth_max); /* NULL: out of memory */
void framer_free(Framer *framer);                        /* NULL is fine */

/* Consumes bytes up to the end of the first event and returns how many; call again with the rest
 * while any is left. */
size_t framer_push(Framer *framer, const uint8_t *bytes, size_t count, FramerResult *ret_result);

/* A value was begun and is not finished (a skipped one counts too). */
bool framer_in_frame(const Framer *framer);
/* Forgets an unfinished value: peer gone, or silent for too long. */
void framer_reset(Framer *framer);
