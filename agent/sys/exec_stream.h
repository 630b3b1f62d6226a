/*
 * exec_stream: one pipe of a child run for the host; internal to exec.c.
 *
 * An output pipe is read as it fills, below everything else in the main loop, and its first bytes
 * are kept; what comes after the limit is read and thrown away, so that the child is not stopped.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "sys/exec.h"

typedef struct {
    int fd; /* our end; -1: none, or over */
    GSource *source;
    ExecOutput output;
    ExecBudget *budget;
    uint8_t *input; /* what is still to be written; g_free */
    size_t input_length, input_done;
    void (*closed)(gpointer user_data); /* at the end of the pipe */
    gpointer user_data;
    size_t size; /* of output.bytes */
} ExecStream;

/* Opens the pipe; the child's end, or -1 with errno. The rest of `stream` is set by the caller. */
int exec_stream_open(ExecStream *stream, bool output);
void exec_stream_watch(ExecStream *stream);  /* once the child runs */
void exec_stream_close(ExecStream *stream);  /* what was kept stays */
void exec_stream_forget(ExecStream *stream); /* what was kept; later bytes are thrown away */
