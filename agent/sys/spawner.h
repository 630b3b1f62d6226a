/*
 * spawner: posix_spawn away from the main loop; internal to process.c and command.c.
 *
 * posix_spawn waits until the child has executed its program, which may touch a slow or dead disk.
 * A few threads of a shared pool do that waiting. The answer is delivered once, on the default main
 * context; until then the owner keeps the job. A thread whose child is stuck in exec past its
 * deadline is not counted any more, so that it does not keep others from being started.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>
#include <sys/types.h>

#define SPAWNER_THREADS     4  /* more do not start shells faster on small guests */
#define SPAWNER_THREADS_MAX 64 /* with those stuck in exec; beyond it starts wait their turn */

typedef struct SpawnJob SpawnJob;

typedef struct {
    int error; /* errno; 0: running. ECANCELED: given up before the child existed */
    pid_t pid; /* also its process group */
    int pidfd; /* owned by the callee */
} SpawnResult;

/* Once, from the main loop, never from within spawner_start(). Frees the job afterwards. */
typedef void (*SpawnDone)(const SpawnResult *result, gpointer user_data);

#define SPAWN_NULL   (-1) /* /dev/null */
#define SPAWN_OUTPUT (-2) /* stderr: where stdout goes */

typedef struct {
    const char *path;
    const char *const *argv;
    const char *const *envp;
    /* Directories in which `path` is looked for if it has no slash, as in $PATH; and a file without
     * magic bytes is given to /bin/sh, as execvp() does. NULL: `path` is the program. */
    const char *search;
    int input, output, error; /* fds taken over: closed when the child has them, or on failure */
} SpawnSpec;

/* Main loop only. Strings are copied. */
SpawnJob *spawner_start(const SpawnSpec *spec, SpawnDone done, gpointer user_data);
/* Nobody wants the child any more: it is not started, or killed (SIGKILL, the whole group) as soon
 * as its pid is known. `done` still comes. */
void spawner_give_up(SpawnJob *job);
