/*
 * hook_participant: a participant that runs a script.
 *
 * hook.c has the plain contract, a process a verb; session_hook.c the one whose process holds from
 * freeze to thaw.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "quiesce/participant.h"

#define HOOK_MOUNTPOINTS_ENV_MAX ((size_t)64 << 10)
#define HOOK_OUTPUT_MAX          ((size_t)8 << 10)

typedef struct {
    const char *runtime_dir;
    bool report_output; /* put the last output line into the reason */
    const char *run_as; /* quiesced-run-as, for User=; borrowed, outlives the participant */
    /* Type=session: what a predecessor started, whose end abort waits for; 0: nothing. */
    pid_t holder;
    int64_t holder_started_us;
} HookOptions;

/* Of any kind. `hook` is copied. `runtime_dir` takes the QUIESCE_MOUNTPOINTS_FILE when the list is
 * over HOOK_MOUNTPOINTS_ENV_MAX bytes. */
Participant *hook_participant_new(const Hook *hook, const HookOptions *options);
/* The same for Type=session; hook_participant_new() makes it. */
Participant *session_hook_new(const Hook *hook, const HookOptions *options);
