/*
 * hook: a participant that runs a script, one process a verb. Contract: quiesced-hooks(7).
 *
 * A call is answered when its process ends, or at its deadline. A process that is being killed
 * stays among the corpses until it is gone (busy): the owner waits for that, so that `abort` does
 * not meet a `freeze` of the same script; it may call all the same when the corpse does not go (D
 * state). Runs on the main loop; the one file it writes is on tmpfs.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/hook_call.h"

#include <errno.h>

typedef struct {
    Participant participant; /* first: the owner has a pointer to it */
    Hook *hook;
    char *runtime_dir;
    bool report_output;
    const char *run_as;
    HookProcesses processes;
    HookCall call;
    Verb verb;
    Deadline deadline;
} HookParticipant;

static void start_process(HookParticipant *self, bool by_shell);

/* What the script is told to do; NULL: nothing. Stock scripts know two verbs. */
static const char *script_verb(const HookParticipant *self)
{
    if (self->hook->kind != HOOK_STOCK)
        return verb_name(self->verb);
    if (self->verb == VERB_FREEZE)
        return "freeze";
    return self->verb == VERB_THAW || self->verb == VERB_ABORT ? "thaw" : NULL;
}

static void process_done(Process *process, const ProcessResult *result, gpointer user_data)
{
    HookParticipant *self = user_data;
    StepOutcome outcome = hook_outcome(result, result->duration_us, self->report_output);

    (void)process;
    hook_processes_done(&self->processes, result->end);
    /* The stock dispatcher is a shell, and a shell runs a script without "#!" by itself. */
    if (result->end == PROCESS_FAILED && result->code == ENOEXEC &&
        self->hook->kind == HOOK_STOCK) {
        start_process(self, true);
        return;
    }
    hook_call_answer(&self->call, &outcome);
}

/* Only for corpses; the others were abandoned. */
static void process_gone(Process *process, gpointer user_data)
{
    HookParticipant *self = user_data;

    hook_processes_gone(&self->processes, process, &self->participant);
}

static void start_process(HookParticipant *self, bool by_shell)
{
    static const ProcessEvents EVENTS = {.done = process_done, .gone = process_gone};
    const char *argv[HOOK_ARGV_SIZE];
    ProcessSpec spec = {
        .argv = argv,
        .envp = (const char *const *)self->call.environment.variables,
        .output_max = HOOK_OUTPUT_MAX,
    };

    hook_argv(argv, self->hook, self->run_as, script_verb(self), by_shell);
    spec.path = argv[0];
    self->processes.running = process_start(&spec, self->deadline, &EVENTS, self);
}

static void hook_call(Participant *participant, Verb verb, const VerbContext *context,
                      Deadline deadline, ParticipantAnswered answered, gpointer user_data)
{
    HookParticipant *self = (HookParticipant *)participant;
    g_autofree char *trouble = NULL;

    g_return_if_fail(!self->call.running);
    hook_call_begin(&self->call, participant, answered, user_data);
    self->verb = verb;
    self->deadline = deadline;
    if (participant->refused) {
        hook_call_answer_later(&self->call, STEP_REFUSED, participant->refused);
        return;
    }
    if (!script_verb(self)) {
        hook_call_answer_later(&self->call, STEP_SKIPPED,
                               "stock scripts know freeze and thaw only");
        return;
    }
    trouble = hook_environment_make(&self->call.environment, self->hook, self->runtime_dir,
                                    script_verb(self), context, deadline);
    if (trouble) {
        hook_call_answer_later(&self->call, STEP_FAILED, trouble);
        return;
    }
    if (verb == VERB_COMPLETE)
        hook_environment_add(&self->call.environment, "QUIESCE_SUCCESS=%d",
                             context->success ? 1 : 0);
    start_process(self, false);
}

static void hook_cancel(Participant *participant)
{
    HookParticipant *self = (HookParticipant *)participant;

    if (self->processes.running)
        process_cancel(self->processes.running);
}

static bool hook_busy(const Participant *participant)
{
    const HookParticipant *self = (const HookParticipant *)participant;

    return self->processes.corpses->len > 0;
}

static void hook_participant_free(Participant *participant)
{
    HookParticipant *self = (HookParticipant *)participant;

    hook_processes_clear(&self->processes);
    hook_call_clear(&self->call);
    hook_free(self->hook);
    g_free(self->runtime_dir);
    g_free(self);
}

Participant *hook_participant_new(const Hook *hook, const HookOptions *options)
{
    static const ParticipantOps OPS = {
        .call = hook_call,
        .cancel = hook_cancel,
        .busy = hook_busy,
        .free = hook_participant_free,
    };
    HookParticipant *self;

    if (hook->kind == HOOK_SESSION)
        return session_hook_new(hook, options);
    self = g_new0(HookParticipant, 1);
    self->hook = hook_copy(hook);
    hook_processes_init(&self->processes);
    self->runtime_dir = g_strdup(options->runtime_dir);
    self->report_output = options->report_output;
    self->run_as = options->run_as;
    hook_participant_init(&self->participant, &OPS, hook);
    return &self->participant;
}
