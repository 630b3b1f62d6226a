/*
 * process_output: the last bytes of what a process wrote; internal to process.c.
 *
 * Grows with what comes, up to `max`; then the newest bytes replace the oldest.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    char *bytes;   /* `size` bytes and one for the NUL; NULL while empty */
    size_t size;   /* allocated */
    size_t start;  /* of the oldest byte; 0 until the ring is full */
    size_t length; /* kept */
    size_t max;
} ProcessOutput;

void process_output_add(ProcessOutput *output, const char *bytes, size_t count);
/* The kept bytes in order, NUL terminated; valid until the next call. */
const char *process_output_text(ProcessOutput *output);
void process_output_clear(ProcessOutput *output);
/* Reads what is there, at most `limit` bytes, from a non-blocking fd into `output` (NULL: throws it
 * away). False at the end of the file or on an error. */
bool process_output_read(ProcessOutput *output, int fd, size_t limit);
