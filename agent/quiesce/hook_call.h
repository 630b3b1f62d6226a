/*
 * hook_call: what a hook's script is given, its processes, and what their end means; shared by
 * hook.c and session_hook.c.
 *
 * Runs on the main loop; the one file it writes is on tmpfs.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "quiesce/hook_participant.h"
#include "sys/process.h"

typedef struct {
    GPtrArray *list;  /* char *, ends with NULL */
    char **variables; /* of `list`: what the process gets */
    char *list_file;  /* QUIESCE_MOUNTPOINTS_FILE; removed by hook_environment_clear() */
} HookEnvironment;

/* NULL: fine; else why not, allocated. `argument` is the verb as the script gets it. */
char *hook_environment_make(HookEnvironment *environment, const Hook *hook, const char *runtime_dir,
                            const char *argument, const VerbContext *context, Deadline deadline);
/* One more variable, "NAME=value". */
void hook_environment_add(HookEnvironment *environment, const char *format, ...)
    G_GNUC_PRINTF(2, 3);
void hook_environment_clear(HookEnvironment *environment);

/* A call under way: answered once, from the main loop, never from within the call. */
typedef struct {
    Participant *participant;
    HookEnvironment environment;
    bool running;
    GSource *later; /* answers `early` from the main loop, without a process */
    StepOutcome early;
    ParticipantAnswered answered;
    gpointer user_data;
} HookCall;

void hook_call_begin(HookCall *call, Participant *participant, ParticipantAnswered answered,
                     gpointer user_data);
/* The owner may free the participant in its callback: nothing may be touched after it. */
void hook_call_answer(HookCall *call, const StepOutcome *outcome);
void hook_call_answer_later(HookCall *call, StepResult result, const char *reason);
void hook_call_clear(HookCall *call); /* without an answer */

/* What a participant of a hook started. */
typedef struct {
    Process *running;
    GPtrArray *corpses; /* Process *: being killed, their calls were answered */
} HookProcesses;
void hook_processes_init(HookProcesses *processes);
void hook_processes_done(HookProcesses *processes, ProcessEnd end); /* `running` is */
void hook_processes_gone(HookProcesses *processes, Process *corpse, Participant *participant);
void hook_processes_clear(HookProcesses *processes); /* they are killed */
/* Tells the owner, unless `participant` is busy. */
void hook_tell_settled(Participant *participant);

/* The fields that every participant of a hook has, from a copy of it. */
void hook_participant_init(Participant *participant, const ParticipantOps *ops, const Hook *hook);

/* The command line with the verb as `argument`; `by_shell`: the script has no interpreter line.
 * Ends with NULL, strings are borrowed. */
#define HOOK_ARGV_SIZE 5
void hook_argv(const char *argv[HOOK_ARGV_SIZE], const Hook *hook, const char *run_as,
               const char *argument, bool by_shell);

/* `duration_us` is what "timed out after" counts. */
StepOutcome hook_outcome(const ProcessResult *result, int64_t duration_us, bool report_output);
void hook_set_reason(StepOutcome *outcome, const char *format, ...) G_GNUC_PRINTF(2, 3);
