/*
 * participant: one application in a quiesce, whatever its kind.
 *
 * The coordinator knows only this: a name, an order, a policy, and verbs that are called with a
 * deadline and answered once. Kinds (hook scripts here, D-Bus later) fill ParticipantOps.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/deadline.h"
#include "sys/hookdir.h"
#include <stdbool.h>

#define PARTICIPANT_REASON_MAX                                                                     \
    512u /* text of one step's reason with its NUL; cut at a character                             \
          */

typedef enum {
    PARTICIPANT_HOOK,
    PARTICIPANT_SESSION_HOOK,
    PARTICIPANT_STOCK_HOOK,
    PARTICIPANT_DBUS,
} ParticipantKind;
const char *participant_kind_name(ParticipantKind kind); /* "hook", "session-hook", … */

typedef enum { VERB_PREPARE, VERB_FREEZE, VERB_THAW, VERB_ABORT, VERB_COMPLETE, VERB_COUNT } Verb;
const char *verb_name(Verb verb); /* "prepare", … */
ParticipantKind participant_kind_of(HookKind kind);
/* As in reports: the freeze of a session hook is its "hold". */
const char *participant_step_name(ParticipantKind kind, Verb verb);

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

typedef struct Participant Participant;
typedef void (*ParticipantAnswered)(Participant *participant, const StepOutcome *outcome,
                                    gpointer user_data);

typedef struct {
    /* Calls `verb`; `answered` exactly once from the main loop, at the deadline at the latest,
     * never from within call(). Only one call at a time; while busy() only if what is left of
     * the earlier one does not go (D state). */
    void (*call)(Participant *participant, Verb verb, const VerbContext *context, Deadline deadline,
                 ParticipantAnswered answered, gpointer user_data);
    void (*cancel)(Participant *participant); /* the running call is answered STEP_CANCELLED */
    /* Something of an answered call still exists (a process being killed). */
    bool (*busy)(const Participant *participant);
    /* Optional: looks now, without waiting, whether what a freeze holds is still held; if not,
     * Participant.lost is called from within. The host's thaw asks before it lets go. */
    void (*verify)(Participant *participant);
    void (*free)(Participant *participant);
} ParticipantOps;

struct Participant {
    const ParticipantOps *ops;
    char *name;
    char *source; /* path of the script, or bus name */
    ParticipantKind kind;
    unsigned order;
    unsigned verbs;     /* HOOK_VERB_ bits: which verbs it wants */
    int64_t timeout_us; /* 0: default */
    OnFailure on_failure;
    char **mountpoints; /* run only when one of these is being frozen; NULL: always */
    char *refused;      /* reason; such a participant is never called */
    char *user;         /* whom its scripts run as; NULL: the service's own */
    /* The process that holds, while a freeze was answered STEP_OK; 0: none. */
    pid_t holder;
    int64_t holder_started_us; /* CLOCK_BOOTTIME */
    /* Told when busy() went from true to false; set by the owner. */
    void (*settled)(Participant *participant, gpointer user_data);
    gpointer settled_data;
    /* Told once when what prepare or freeze holds (both were answered STEP_OK) is lost before thaw
     * or abort was called: a session that ended, a bus name that is gone. Never from within call();
     * set by the owner, NULL: nobody asks. thaw or abort is called all the same. */
    ParticipantAnswered lost;
    gpointer lost_data;
};

/* Frees the common fields, then calls ops->free for the rest and the memory. NULL is fine. A call
 * that runs is not answered any more; its process is killed. */
void participant_free(Participant *participant);
bool participant_wants(const Participant *participant, Verb verb);
/* Whether one of its mountpoints is among those being frozen; true when it named none, and when
 * `mountpoints` is NULL. */
bool participant_concerned(const Participant *participant, const char *const *mountpoints);
int64_t participant_timeout(const Participant *participant, const VerbContext *context);

/* Who else takes part, besides the scripts: adds a new Participant for each, for one operation. */
typedef struct {
    void (*join)(GPtrArray *participants, gpointer user_data); /* NULL: nobody */
    gpointer user_data;
} ParticipantSource;

/* quiesce/hook.c: a participant that runs a script. `hook` is copied. `runtime_dir` takes the
 * QUIESCE_MOUNTPOINTS_FILE when the list is over HOOK_MOUNTPOINTS_ENV_MAX bytes. */
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
Participant *hook_participant_new(const Hook *hook, const HookOptions *options);
/* quiesce/session_hook.c: the same for Type=session; hook_participant_new() makes it. */
Participant *session_hook_new(const Hook *hook, const HookOptions *options);
