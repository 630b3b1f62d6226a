/*
 * exec: a program that the host runs, with its output kept for the host to fetch.
 *
 * Unlike a Process it has no deadline and outlives the agent: the host asked for it, and says when
 * it is enough. It gets a process group of its own, default signals and no fd but its three. It is
 * over when it has ended and its pipes are at their end, or EXEC_GRACE_US after it ended: a service
 * that it started, and that kept stdout, does not hold up the answer. What such a service writes is
 * read and thrown away for as long as the Exec is kept.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/deadline.h"
#include "base/error.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define EXEC_OUTPUT_MAX ((size_t)16 << 20) /* of one stream, as in the stock agent */
#define EXEC_GRACE_US   (1 * USEC_PER_SEC) /* for what is still in a pipe when the program ended */

/* Shared by several: how much of their output is kept in all. */
typedef struct {
    size_t kept, max;
} ExecBudget;

typedef struct {
    uint8_t *bytes; /* g_free */
    size_t length;
    bool truncated;
} ExecOutput;

typedef struct Exec Exec;

typedef struct {
    const char *path;
    const char *const *argv;
    const char *const *envp;
    const char *search; /* see spawner.h */
    uint8_t *input;     /* taken over, g_free; NULL: stdin is /dev/null */
    size_t input_length;
    bool keep_stdout, keep_stderr;
    bool merge; /* stderr goes where stdout goes */
    ExecBudget *budget;
} ExecSpec;

typedef struct {
    /* Once, from the main loop. `error` is an errno: nothing runs, and `over` does not come. */
    void (*started)(Exec *exec, int error, gpointer user_data);
    void (*over)(Exec *exec, gpointer user_data);    /* its status and output are complete */
    void (*drained)(Exec *exec, gpointer user_data); /* after `over`: nothing is left to be read */
} ExecEvents;

Exec *exec_start(const ExecSpec *spec, const ExecEvents *events, gpointer user_data);
/* Lets go of it, in every state; no callback follows. A program that runs goes on running. */
void exec_free(Exec *exec);

pid_t exec_pid(const Exec *exec); /* 0 until started */
bool exec_is_over(const Exec *exec);
bool exec_is_drained(const Exec *exec); /* over, and nobody holds its pipes */
/* The exit status, or a signal's number in `*ret_signal` (else 0). */
int exec_status(const Exec *exec, int *ret_signal);
ExecOutput exec_take_stdout(Exec *exec); /* once it is over; later bytes are thrown away */
ExecOutput exec_take_stderr(Exec *exec);
