/*
 * text: one pass over bytes of unknown origin, character by character.
 *
 * What is valid follows RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF, because
 * the JSON writer and the hosts refuse all of these. Owns nothing, allocates nothing, never blocks.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* The length of the character that `bytes` starts with (`left` > 0), or 0 if it is not valid. */
static size_t sequence_length(const uint8_t *bytes, size_t left, uint32_t *ret_point)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    const uint8_t lead = bytes[0];
    size_t length;

    if (lead < 0x80) {
        *ret_point = lead;
        return 1;
    }
    if (lead >= 0xC2 && lead <= 0xDF)
        length = 2;
    else if (lead >= 0xE0 && lead <= 0xEF)
        length = 3;
    else if (lead >= 0xF0 && lead <= 0xF4)
        length = 4;
    else
        return 0;
    if (left < length)
        return 0;

    uint32_t point = lead & (0xFFu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xC0) != 0x80)
            return 0;
        point = point << 6 | (bytes[i] & 0x3Fu);
    }
    if (point < smallest[length] || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF))
        return 0;
    *ret_point = point;
    return length;
}

/* Control characters of both ranges and Unicode's own two line breaks. */
static bool breaks_line(uint32_t point)
{
    return point < 0x20 || (point >= 0x7F && point <= 0x9F) || point == 0x2028 || point == 0x2029;
}

static size_t copy(char *target, size_t size, const char *source, size_t length, bool one_line)
{
    if (size == 0)
        return 0;
    if (length == (size_t)-1)
        length = strlen(source);

    const uint8_t *bytes = (const uint8_t *)source;
    size_t written = 0;
    for (size_t used = 0; used < length;) {
        uint32_t point = 0;
        const size_t valid = sequence_length(bytes + used, length - used, &point);
        const char *piece = source + used;
        size_t piece_length = valid;

        if (valid == 0 || (point == 0 && !one_line)) {
            piece = "?";
            piece_length = 1;
        } else if (one_line && breaks_line(point)) {
            piece = " ";
            piece_length = 1;
        }
        used += valid == 0 ? 1 : valid;
        if (one_line && written == 0 && *piece == ' ')
            continue;
        if (piece_length > size - 1 - written)
            break;
        memcpy(target + written, piece, piece_length);
        written += piece_length;
    }
    while (one_line && written > 0 && target[written - 1] == ' ')
        written--;
    target[written] = '\0';
    return written;
}

size_t text_line(char *target, size_t size, const char *source, size_t length)
{
    return copy(target, size, source, length, true);
}

size_t text_utf8(char *target, size_t size, const char *source, size_t length)
{
    return copy(target, size, source, length, false);
}

size_t text_last_line(char *target, size_t size, const char *text, size_t length)
{
    if (size == 0)
        return 0;
    if (length == (size_t)-1)
        length = strlen(text);

    /* A carriage return ends a line as well: what a progress display wrote last is what counts. */
    size_t end = length;
    for (;;) {
        size_t start = end;
        while (start > 0 && text[start - 1] != '\n' && text[start - 1] != '\r')
            start--;
        const size_t written = text_line(target, size, text + start, end - start);
        if (written > 0 || start == 0)
            return written;
        end = start - 1;
    }
}
