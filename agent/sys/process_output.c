/*
 * process_output: see process_output.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/process_output.h"

#include <errno.h>
#include <glib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_SIZE ((size_t)512)      /* most hooks say a line or nothing */
#define CHUNK_SIZE ((size_t)16 << 10) /* one read, on the stack */

static void grow(ProcessOutput *output, size_t needed)
{
    size_t size = MAX(output->size, FIRST_SIZE);

    while (size < needed)
        size *= 2;
    output->size = MIN(size, output->max);
    output->bytes = g_realloc(output->bytes, output->size + 1);
}

void process_output_add(ProcessOutput *output, const char *bytes, size_t count)
{
    size_t fits;

    if (count > output->max) {
        bytes += count - output->max;
        count = output->max;
    }
    if (count == 0)
        return;
    /* The ring turns only once it has its full size, so growing never has to unroll it. */
    if (output->length + count > output->size && output->size < output->max)
        grow(output, MIN(output->length + count, output->max));
    fits = MIN(count, output->size - output->length);
    memcpy(output->bytes + output->length, bytes, fits);
    output->length += fits;
    bytes += fits;
    count -= fits;
    while (count > 0) {
        size_t run = MIN(count, output->size - output->start);

        memcpy(output->bytes + output->start, bytes, run);
        output->start = (output->start + run) % output->size;
        bytes += run;
        count -= run;
    }
}

const char *process_output_text(ProcessOutput *output)
{
    if (output->length == 0)
        return "";
    if (output->start > 0) {
        char *text = g_malloc(output->size + 1);
        size_t tail = output->size - output->start;

        memcpy(text, output->bytes + output->start, tail);
        memcpy(text + tail, output->bytes, output->start);
        g_free(output->bytes);
        output->bytes = text;
        output->start = 0;
    }
    output->bytes[output->length] = '\0';
    return output->bytes;
}

void process_output_clear(ProcessOutput *output)
{
    g_clear_pointer(&output->bytes, g_free);
    output->size = output->start = output->length = 0;
}

bool process_output_read(ProcessOutput *output, int fd, size_t limit)
{
    char chunk[CHUNK_SIZE];

    while (limit > 0) {
        ssize_t count = read(fd, chunk, MIN(limit, sizeof chunk));

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return errno == EAGAIN;
        if (count == 0)
            return false;
        if (output)
            process_output_add(output, chunk, (size_t)count);
        limit -= (size_t)count;
    }
    return true;
}
