/*
 * verb: what participants are called with, and how each call ends.
 *
 * A step is one call of one participant, from the call to its one answer.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define PARTICIPANT_REASON_MAX                                                                     \
    512u /* text of one step's reason with its NUL; cut at a character                             \
          */

typedef enum { VERB_PREPARE, VERB_FREEZE, VERB_THAW, VERB_ABORT, VERB_COMPLETE, VERB_COUNT } Verb;
const char *verb_name(Verb verb); /* "prepare", … */

typedef enum {
    STEP_OK,
    STEP_FAILED,
    STEP_TIMED_OUT,
    STEP_REFUSED,
    STEP_LOST,
    STEP_LATE,
    STEP_SKIPPED,
    STEP_CANCELLED,
} StepResult;
const char *step_result_name(StepResult result); /* "ok", "failed", "timed-out", … */

typedef struct {
    const char *operation;          /* UUID */
    const char *const *mountpoints; /* being frozen */
    int success;                    /* VERB_COMPLETE: 0 or 1 */
    bool rehearsal;                 /* no filesystem will be frozen */
    int64_t timeout_default_us;     /* participant-timeout */
} VerbContext;

typedef struct {
    StepResult result;
    int exit_code;                       /* -1: none */
    int signal;                          /* 0: none */
    char reason[PARTICIPANT_REASON_MAX]; /* one clean line; "" when ok */
} StepOutcome;
