/*
 * framer: a scanner over byte classes that knows strings, brackets and nothing else.
 *
 * A Framer owns one buffer. Every byte is looked at once and copied at most once (plus the growth
 * of the buffer), whatever the chunks it comes in; the events depend on the bytes alone, not on the
 * chunks. Nothing here blocks.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "proto/framer.h"

#include <stdlib.h>
#include <string.h>

#define RESET_BYTE  0xFFu /* never part of UTF-8; guest-sync-delimited puts it before a request */
#define FIRST_BYTES ((size_t)256) /* holds nearly every request */

typedef enum {
    STATE_BETWEEN, /* no value begun */
    STATE_WORD,    /* a bare word or number at top level */
    STATE_OUTSIDE, /* in a value, outside its strings */
    STATE_STRING,
    STATE_ESCAPE, /* after a backslash in a string */
} State;

/* What a scan found. */
typedef enum {
    SCAN_MORE,
    SCAN_WHOLE,  /* the value ends here */
    SCAN_BROKEN, /* a line break in a string, consumed */
    SCAN_RESET,  /* 0xFF, not consumed */
    SCAN_DEEP,
    SCAN_MANY,
} Scan;

struct Framer {
    size_t size_max;
    unsigned depth_max;
    State state;
    uint8_t quote; /* that opened the string */
    bool object;   /* the value began with '{' */
    bool skipping; /* an error was reported for the value */
    bool delivered;
    size_t braces, brackets, tokens; /* open; open; seen */
    size_t limit;                    /* of this value, bytes */
    unsigned rubbish;                /* events without an object since the last fresh start */
    char *data;
    size_t length, capacity;
};

enum {
    BLANK = 1 << 0,
    STRUCTURE = 1 << 1, /* brackets, comma, colon */
    QUOTE = 1 << 2,
    STRING_STOP = 1 << 3, /* what a run through a string's body has to look at */
    STREAM_RESET = 1 << 4,
};

static const uint8_t classes[256] = {
    [' '] = BLANK,
    ['\t'] = BLANK,
    ['\r'] = BLANK,
    ['\n'] = BLANK | STRING_STOP,
    ['{'] = STRUCTURE,
    ['}'] = STRUCTURE,
    ['['] = STRUCTURE,
    [']'] = STRUCTURE,
    [','] = STRUCTURE,
    [':'] = STRUCTURE,
    ['"'] = QUOTE | STRING_STOP,
    ['\''] = QUOTE | STRING_STOP,
    ['\\'] = STRING_STOP,
    [RESET_BYTE] = STREAM_RESET | STRING_STOP,
};

static void release(Framer *framer)
{
    framer->length = 0;
    framer->delivered = false;
    if (framer->capacity <= FRAMER_KEEP)
        return;
    free(framer->data);
    framer->data = NULL;
    framer->capacity = 0;
}

char *framer_take(Framer *framer)
{
    char *data = framer->delivered ? framer->data : NULL;

    if (data == NULL)
        return NULL;
    framer->data = NULL;
    framer->capacity = framer->length = 0;
    framer->delivered = false;
    return data;
}

Framer *framer_new(size_t size_max, unsigned depth_max)
{
    Framer *framer = calloc(1, sizeof *framer);

    if (framer == NULL)
        return NULL;
    framer->size_max = size_max < FRAMER_SIZE_MAX ? size_max : FRAMER_SIZE_MAX;
    framer->depth_max = depth_max < FRAMER_DEPTH_MAX ? depth_max : FRAMER_DEPTH_MAX;
    return framer;
}

void framer_free(Framer *framer)
{
    if (framer == NULL)
        return;
    free(framer->data);
    free(framer);
}

static Scan scan_word(const uint8_t *bytes, size_t count, size_t *used)
{
    while (*used < count && !(classes[bytes[*used]] & (BLANK | STRUCTURE | QUOTE | STREAM_RESET)))
        ++*used;
    if (*used == count)
        return SCAN_MORE;
    return bytes[*used] == RESET_BYTE ? SCAN_RESET : SCAN_WHOLE;
}

static Scan scan_string(Framer *framer, const uint8_t *bytes, size_t count, size_t *used)
{
    size_t at = *used;

    while (at < count) {
        if (framer->state != STATE_ESCAPE) {
            while (at < count && !(classes[bytes[at]] & STRING_STOP))
                at++;
            if (at == count)
                break;
        }
        const uint8_t byte = bytes[at];
        if (byte == RESET_BYTE) {
            *used = at;
            return SCAN_RESET;
        }
        at++;
        if (byte == '\n') {
            *used = at;
            return SCAN_BROKEN;
        }
        if (framer->state == STATE_ESCAPE) {
            framer->state = STATE_STRING;
        } else if (byte == '\\') {
            framer->state = STATE_ESCAPE;
        } else if (byte == framer->quote) {
            *used = at;
            framer->state = STATE_OUTSIDE;
            return framer->braces + framer->brackets == 0 ? SCAN_WHOLE : SCAN_MORE;
        }
    }
    *used = at;
    return SCAN_MORE;
}

/* A closer without its opener ends the value as well, as in the stock agent: the parser then says
 * what is wrong, and nothing waits for a balance that cannot come. */
static Scan take_structure(Framer *framer, uint8_t byte)
{
    size_t *open = byte == '{' || byte == '}' ? &framer->braces : &framer->brackets;

    if (byte == '{' || byte == '[') {
        ++*open;
        if (!framer->skipping && framer->braces + framer->brackets > framer->depth_max)
            return SCAN_DEEP;
    } else if (byte == '}' || byte == ']') {
        if (*open == 0)
            return SCAN_WHOLE;
        --*open;
        if (framer->braces + framer->brackets == 0)
            return SCAN_WHOLE;
    }
    if (++framer->tokens > FRAMER_TOKENS_MAX && !framer->skipping)
        return SCAN_MANY;
    return SCAN_MORE;
}

static Scan scan_outside(Framer *framer, const uint8_t *bytes, size_t count, size_t *used)
{
    while (*used < count) {
        const uint8_t byte = bytes[*used];
        const uint8_t class = classes[byte];

        if (class & STREAM_RESET)
            return SCAN_RESET;
        ++*used;
        if (class & QUOTE) {
            framer->tokens++;
            framer->quote = byte;
            framer->state = STATE_STRING;
            return SCAN_MORE;
        }
        if (class & STRUCTURE) {
            const Scan scan = take_structure(framer, byte);
            if (scan != SCAN_MORE)
                return scan;
        }
    }
    return SCAN_MORE;
}

static Scan scan_value(Framer *framer, const uint8_t *bytes, size_t count, size_t *used)
{
    Scan scan = SCAN_MORE;

    while (*used < count && scan == SCAN_MORE) {
        if (framer->state == STATE_WORD)
            scan = scan_word(bytes, count, used);
        else if (framer->state == STATE_OUTSIDE)
            scan = scan_outside(framer, bytes, count, used);
        else
            scan = scan_string(framer, bytes, count, used);
    }
    return scan;
}

static bool store(Framer *framer, const uint8_t *bytes, size_t count)
{
    const size_t needed = framer->length + count + 1;

    if (needed > framer->capacity) {
        size_t capacity = framer->capacity < FIRST_BYTES ? FIRST_BYTES : framer->capacity * 2;
        if (capacity < needed)
            capacity = needed;
        if (capacity > framer->limit + 1)
            capacity = framer->limit + 1;
        char *data = realloc(framer->data, capacity);
        if (data == NULL)
            return false;
        framer->data = data;
        framer->capacity = capacity;
    }
    memcpy(framer->data + framer->length, bytes, count);
    framer->length += count;
    framer->data[framer->length] = '\0';
    return true;
}

/* Whether an event is to be told: anything about an object, and the first of other things. */
static bool worth_telling(Framer *framer, bool object)
{
    if (object)
        return true;
    if (framer->rubbish >= FRAMER_RUBBISH_MAX)
        return false;
    framer->rubbish++;
    return true;
}

static void tell_error(Framer *framer, bool object, const char *text, FramerResult *result)
{
    if (worth_telling(framer, object))
        *result = (FramerResult){FRAMER_ERROR, text, strlen(text)};
}

/* Noise makes many a balanced {...}, but hardly one that begins like an object. */
static bool begins_object(const char *frame)
{
    if (*frame++ != '{')
        return false;
    while (classes[(uint8_t)*frame] & BLANK)
        frame++;
    return *frame == '"' || *frame == '\'' || *frame == '}';
}

static void tell_frame(Framer *framer, FramerResult *result)
{
    const bool object = begins_object(framer->data);

    if (!worth_telling(framer, object)) {
        release(framer);
        return;
    }
    if (object)
        framer->rubbish = 0;
    framer->delivered = true;
    *result = (FramerResult){FRAMER_FRAME, framer->data, framer->length};
}

/* Looks at a byte between two values; true when it begins one (and is left for the scan). */
static bool begin_value(Framer *framer, uint8_t byte, FramerResult *result)
{
    const uint8_t class = classes[byte];
    const bool opens = byte == '{' || byte == '[';

    if (byte == '\n' || byte == RESET_BYTE)
        framer->rubbish = 0;
    if (class & (BLANK | STREAM_RESET))
        return false;
    if ((class & STRUCTURE) && !opens) {
        tell_error(framer, false, "JSON parse error, expecting value", result);
        return false;
    }
    framer->state = opens || (class & QUOTE) ? STATE_OUTSIDE : STATE_WORD;
    framer->object = byte == '{';
    framer->skipping = false;
    framer->braces = framer->brackets = framer->tokens = 0;
    framer->limit = framer->size_max;
    if (!opens && framer->limit > FRAMER_SCALAR_MAX)
        framer->limit = FRAMER_SCALAR_MAX;
    return true;
}

/* Scans on in the value begun, returns the bytes consumed; `result` may get an event. */
static size_t go_on(Framer *framer, const uint8_t *bytes, size_t count, FramerResult *result)
{
    /* One byte more than fits, to tell a value that ends at its limit from one that does not. */
    if (!framer->skipping && count > framer->limit - framer->length + 1)
        count = framer->limit - framer->length + 1;

    size_t used = 0;
    const Scan scan = scan_value(framer, bytes, count, &used);
    const bool ended = scan == SCAN_WHOLE || scan == SCAN_BROKEN || scan == SCAN_RESET;
    const char *complaint = NULL;

    if (!framer->skipping && scan != SCAN_RESET) {
        if (scan == SCAN_BROKEN)
            complaint = "JSON parse error, line break inside a string";
        else if (scan == SCAN_DEEP)
            complaint = "JSON nesting depth limit exceeded";
        else if (scan == SCAN_MANY)
            complaint = "JSON token count limit exceeded";
        else if (framer->length + used > framer->limit)
            complaint = "JSON token size limit exceeded";
        else if (!store(framer, bytes, used))
            complaint = "JSON parse error, out of memory";
    }
    if (ended)
        framer->state = STATE_BETWEEN;
    if (complaint != NULL) {
        release(framer);
        framer->skipping = true;
        tell_error(framer, framer->object, complaint, result);
    } else if (scan == SCAN_WHOLE && !framer->skipping) {
        tell_frame(framer, result);
    } else if (ended) {
        release(framer);
    }
    if (scan == SCAN_BROKEN || scan == SCAN_RESET)
        framer->rubbish = 0;
    return scan == SCAN_RESET ? used + 1 : used;
}

size_t framer_push(Framer *framer, const uint8_t *bytes, size_t count, FramerResult *ret_result)
{
    size_t used = 0;

    if (framer->delivered)
        release(framer);
    *ret_result = (FramerResult){FRAMER_MORE, NULL, 0};
    while (used < count && ret_result->event == FRAMER_MORE) {
        if (framer->state == STATE_BETWEEN && !begin_value(framer, bytes[used], ret_result))
            used++;
        else
            used += go_on(framer, bytes + used, count - used, ret_result);
    }
    return used;
}

bool framer_in_frame(const Framer *framer)
{
    return framer->state != STATE_BETWEEN;
}

void framer_reset(Framer *framer)
{
    framer->state = STATE_BETWEEN;
    framer->rubbish = 0;
    release(framer);
}

size_t framer_memory(const Framer *framer)
{
    return framer->capacity;
}
