/*
 * quotes: measures first, then writes, so that a large frame costs one exact allocation.
 *
 * Whatever is malformed is passed on as it is: the parser has the better words for it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "proto/quotes.h"

#include <stdlib.h>
#include <string.h>

/* Writes to `target` unless it is NULL; returns the length of the result. */
static size_t rewrite(const char *frame, size_t length, char *target)
{
    size_t written = 0;
    char quote = '\0'; /* of the string we are in */

    for (size_t i = 0; i < length; i++) {
        char piece[2] = {frame[i], '\0'};
        size_t piece_length = 1;

        if (quote == '\0') {
            if (frame[i] == '"' || frame[i] == '\'') {
                quote = frame[i];
                piece[0] = '"';
            }
        } else if (frame[i] == '\\' && i + 1 < length) {
            i++;
            piece[1] = frame[i];
            piece_length = 2;
            if (frame[i] == '\'') {
                piece[0] = '\'';
                piece_length = 1;
            }
        } else if (frame[i] == quote) {
            piece[0] = '"';
            quote = '\0';
        } else if (frame[i] == '"') {
            piece[0] = '\\';
            piece[1] = '"';
            piece_length = 2;
        }
        if (target != NULL)
            memcpy(target + written, piece, piece_length);
        written += piece_length;
    }
    return written;
}

/* Whether a single quote stands anywhere but as a plain character of a double-quoted string. */
static bool needs_rewrite(const char *frame, size_t length)
{
    bool in_string = false;

    if (memchr(frame, '\'', length) == NULL)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (frame[i] == '"') {
            in_string = !in_string;
        } else if (frame[i] == '\\' && in_string && i + 1 < length) {
            i++;
            if (frame[i] == '\'')
                return true;
        } else if (frame[i] == '\'' && !in_string) {
            return true;
        }
    }
    return false;
}

bool quotes_rewrite(const char *frame, size_t length, char **ret_text, size_t *ret_length)
{
    *ret_text = NULL;
    *ret_length = 0;
    if (!needs_rewrite(frame, length))
        return true;

    const size_t size = rewrite(frame, length, NULL);
    char *text = malloc(size);
    if (text == NULL)
        return false;
    *ret_length = rewrite(frame, length, text);
    *ret_text = text;
    return true;
}
