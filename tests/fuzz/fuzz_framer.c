/*
 * fuzz_framer: any bytes, in any chunks.
 *
 * Shows that the events depend on the bytes alone, that the buffer stays within the limit, that a
 * frame is what its bytes say, and that a valid request comes through whole. Small limits, so that
 * small inputs reach them; the true ones for the last.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "proto/framer.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_SMALL  ((size_t)48)
#define DEPTH_SMALL 4u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct {
    uint8_t *bytes;
    size_t length;
    size_t frames;
} EventLog;

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

static void log_event(EventLog *log, const FramerResult *result)
{
    const size_t total = log->length + 1 + sizeof result->length + result->length;
    uint8_t *bytes = realloc(log->bytes, total);

    REQUIRE(bytes != NULL);
    log->bytes = bytes;
    bytes[log->length++] = (uint8_t)result->event;
    memcpy(bytes + log->length, &result->length, sizeof result->length);
    log->length += sizeof result->length;
    memcpy(bytes + log->length, result->data, result->length);
    log->length += result->length;
    log->frames += result->event == FRAMER_FRAME;
}

static void check_result(const Framer *framer, const FramerResult *result, size_t size_max)
{
    REQUIRE(framer_memory(framer) <= size_max + 1);
    if (result->event == FRAMER_MORE)
        return;
    REQUIRE(result->length > 0 && result->data[result->length] == '\0');
    if (result->event == FRAMER_ERROR) {
        REQUIRE(strncmp(result->data, "JSON ", 5) == 0);
        return;
    }
    REQUIRE(result->length <= size_max);
    REQUIRE(memchr(result->data, 0xFF, result->length) == NULL);
    REQUIRE(strchr(" \t\r\n}],:", result->data[0]) == NULL || result->data[0] == '\0');
}

/* `step` 0: all at once; else chunks of 1 to `step` bytes. Returns framer_in_frame() at the end. */
static bool run(const uint8_t *data, size_t size, size_t step, size_t size_max, unsigned depth_max,
                EventLog *log)
{
    Framer *framer = framer_new(size_max, depth_max);
    size_t chunk = 0;

    REQUIRE(framer != NULL);
    for (size_t at = 0; at < size;) {
        chunk = step == 0 ? size : (chunk * 5 + 3) % step + 1;
        size_t left = chunk < size - at ? chunk : size - at;
        while (left > 0) {
            /* A copy of its own, so that a read past the chunk is seen. */
            uint8_t *copy = malloc(left);
            FramerResult result;
            REQUIRE(copy != NULL);
            memcpy(copy, data + at, left);
            const size_t used = framer_push(framer, copy, left, &result);
            REQUIRE(used <= left && (used == left || result.event != FRAMER_MORE));
            check_result(framer, &result, size_max);
            if (result.event != FRAMER_MORE)
                log_event(log, &result);
            free(copy);
            at += used;
            left -= used;
        }
    }
    const bool in_frame = framer_in_frame(framer);
    framer_reset(framer);
    REQUIRE(!framer_in_frame(framer) && framer_memory(framer) <= FRAMER_KEEP);
    framer_free(framer);
    return in_frame;
}

static void check_chunks(const uint8_t *data, size_t size, size_t size_max, unsigned depth_max)
{
    static const size_t steps[] = {1, 2, 7};
    EventLog whole = {NULL, 0, 0};
    const bool in_frame = run(data, size, 0, size_max, depth_max, &whole);

    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        EventLog pieces = {NULL, 0, 0};
        REQUIRE(run(data, size, steps[i], size_max, depth_max, &pieces) == in_frame);
        REQUIRE(pieces.length == whole.length);
        REQUIRE(whole.length == 0 || memcmp(pieces.bytes, whole.bytes, whole.length) == 0);
        free(pieces.bytes);
    }
    free(whole.bytes);
}

/* What the parser takes as one object, the framer must not have cut or refused. */
static void check_valid(const uint8_t *data, size_t size)
{
    json_t *root = json_loadb((const char *)data, size, 0, NULL);
    EventLog log = {NULL, 0, 0};

    if (json_is_object(root)) {
        REQUIRE(!run(data, size, 0, FRAMER_SIZE_MAX, FRAMER_DEPTH_MAX, &log));
        REQUIRE(log.frames == 1 && log.bytes[0] == FRAMER_FRAME);
    }
    free(log.bytes);
    json_decref(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_chunks(data, size, SIZE_SMALL, DEPTH_SMALL);
    check_chunks(data, size, FRAMER_SIZE_MAX, FRAMER_DEPTH_MAX);
    if (size <= FRAMER_DEPTH_MAX) /* so that no valid one exceeds the depth */
        check_valid(data, size);
    return 0;
}
