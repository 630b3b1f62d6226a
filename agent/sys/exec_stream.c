/*
 * exec_stream: see exec_stream.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/exec_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <unistd.h>

#define FIRST_SIZE ((size_t)4 << 10)  /* most commands say little */
#define READ_MAX   ((size_t)64 << 10) /* in one dispatch: what a pipe holds by default */

int exec_stream_open(ExecStream *stream, bool output)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    stream->fd = ends[output ? 0 : 1];
    /* Only our end: the child's must be an ordinary one. */
    (void)fcntl(stream->fd, F_SETFL, O_NONBLOCK);
    return ends[output ? 1 : 0];
}

void exec_stream_close(ExecStream *stream)
{
    if (stream->source) {
        g_source_destroy(stream->source);
        g_clear_pointer(&stream->source, g_source_unref);
    }
    if (stream->fd >= 0)
        close(stream->fd);
    stream->fd = -1;
    if (stream->input)
        explicit_bzero(stream->input, stream->input_length); /* it may be a password */
    g_clear_pointer(&stream->input, g_free);
}

void exec_stream_forget(ExecStream *stream)
{
    stream->budget->kept -= stream->output.length;
    g_free(stream->output.bytes);
    stream->output = (ExecOutput){.truncated = true};
    stream->size = 0;
}

static void over(ExecStream *stream)
{
    exec_stream_close(stream);
    stream->closed(stream->user_data);
}

/* How much more may be kept; the buffer has room for it. */
static size_t room(ExecStream *stream)
{
    ExecOutput *output = &stream->output;
    size_t left = stream->budget->max - MIN(stream->budget->kept, stream->budget->max);

    left = output->truncated ? 0 : MIN(left, EXEC_OUTPUT_MAX - output->length);
    left = MIN(left, READ_MAX);
    if (left > 0 && output->length == stream->size) {
        stream->size = MIN(MAX(stream->size * 2, FIRST_SIZE), EXEC_OUTPUT_MAX);
        output->bytes = g_realloc(output->bytes, stream->size);
    }
    return MIN(left, stream->size - output->length);
}

/* Bytes read, 0 at the end, or a negative errno. */
static ssize_t read_some(ExecStream *stream)
{
    ExecOutput *output = &stream->output;
    size_t keep = room(stream);
    uint8_t thrown_away[16 << 10];
    ssize_t count = 0;

    do {
        count = keep > 0 ? read(stream->fd, output->bytes + output->length, keep)
                         : read(stream->fd, thrown_away, sizeof(thrown_away));
    } while (count < 0 && errno == EINTR);
    if (count > 0 && keep > 0) {
        output->length += (size_t)count;
        stream->budget->kept += (size_t)count;
    } else if (count > 0) {
        output->truncated = true;
    }
    return count < 0 ? -errno : count;
}

static gboolean readable(gint fd, GIOCondition condition, gpointer user_data)
{
    ExecStream *stream = user_data;
    size_t total = 0;

    (void)fd;
    (void)condition;
    while (total < READ_MAX) {
        ssize_t count = read_some(stream);

        if (count == -EAGAIN)
            return G_SOURCE_CONTINUE;
        if (count <= 0) {
            over(stream);
            return G_SOURCE_REMOVE;
        }
        total += (size_t)count;
    }
    return G_SOURCE_CONTINUE;
}

static gboolean writable(gint fd, GIOCondition condition, gpointer user_data)
{
    ExecStream *stream = user_data;
    ssize_t count = 0;

    (void)condition;
    if (stream->input_done < stream->input_length)
        count = write(fd, stream->input + stream->input_done,
                      MIN(stream->input_length - stream->input_done, READ_MAX));
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return G_SOURCE_CONTINUE;
    stream->input_done += count > 0 ? (size_t)count : 0;
    if (count >= 0 && stream->input_done < stream->input_length)
        return G_SOURCE_CONTINUE;
    over(stream); /* all written, or nobody reads it: the child's own business */
    return G_SOURCE_REMOVE;
}

void exec_stream_watch(ExecStream *stream)
{
    bool input = stream->input != NULL;

    if (stream->fd < 0)
        return;
    stream->source =
        g_unix_fd_source_new(stream->fd, input ? G_IO_OUT | G_IO_ERR : G_IO_IN | G_IO_HUP);
    /* Below everything else: who writes without end must not hold up an answer to the host. */
    g_source_set_priority(stream->source, G_PRIORITY_DEFAULT_IDLE);
    g_source_set_callback(stream->source, G_SOURCE_FUNC(input ? writable : readable), stream, NULL);
    g_source_attach(stream->source, NULL);
}
