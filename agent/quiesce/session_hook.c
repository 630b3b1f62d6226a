/*
 * session_hook: a participant whose lock lives as long as one process. Contract: quiesced-hooks(7).
 *
 * freeze starts the script with "hold" and is answered when it says READY=1 on a notify socket of
 * its own; thaw and abort close its stdin and are answered when it ended. Ended in between: the
 * lock is lost, and the owner is told. The pipe is what makes the thaw certain: when the agent dies
 * the kernel closes its end, and the script sees the same end of file.
 *
 *   IDLE ──freeze──► STARTING ──READY=1──► HELD ──thaw, abort──► ENDING ──► IDLE
 *                       └── ended, time run out: failed   └── ended: lost ──► IDLE
 *
 * What else the hook wants (prepare, abort, complete) are ordinary calls, by an ordinary hook
 * inside. Runs on the main loop.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/hook_call.h"
#include "sys/orphan.h"
#include "sys/ready_socket.h"
#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

typedef enum { IDLE, STARTING, HELD, ENDING } Phase;

typedef struct {
    Participant participant; /* first: the owner has a pointer to it */
    Hook *hook;
    char *runtime_dir;
    bool report_output;
    const char *run_as;
    Participant *inner; /* a process a verb */
    bool inner_calls;
    Phase phase;
    HookProcesses processes;
    ReadySocket *ready;
    pid_t left_behind; /* by a predecessor; abort waits for its end */
    int64_t left_behind_since_us;
    Orphan *orphan;          /* the same while abort runs */
    int input;               /* our end of its stdin; -1: closed */
    bool given_up, flooding; /* STARTING: is being killed; because of its messages */
    HookCall call;
    Verb verb;
    VerbContext context; /* borrowed strings: the caller's while a call runs */
    Deadline deadline;
    int64_t called_us;
} SessionHook;

static void close_input(SessionHook *self)
{
    if (self->input >= 0)
        close(self->input);
    self->input = -1;
}

/* --- calls of the hook inside -------------------------------------------------------------------
 */

static void inner_answered(Participant *inner, const StepOutcome *outcome, gpointer user_data)
{
    SessionHook *self = user_data;

    (void)inner;
    self->inner_calls = false;
    hook_call_answer(&self->call, outcome);
}

static void call_inner(SessionHook *self)
{
    self->inner_calls = true;
    self->inner->ops->call(self->inner, self->verb, &self->context, self->deadline, inner_answered,
                           self);
}

static void inner_settled(Participant *inner, gpointer user_data)
{
    SessionHook *self = user_data;

    (void)inner;
    hook_tell_settled(&self->participant);
}

/* --- the end of the session ---------------------------------------------------------------------
 */

static void failed_to_hold(SessionHook *self, StepOutcome *outcome)
{
    if (self->flooding) {
        outcome->result = STEP_FAILED;
        hook_set_reason(outcome, "sent %u messages to its notify socket, none of them READY=1",
                        READY_SOCKET_MESSAGES_MAX);
    } else if (outcome->result == STEP_OK) {
        outcome->result = STEP_FAILED;
        hook_set_reason(outcome, "ended before it said READY=1 (exit status 0)");
    } else if (outcome->result == STEP_TIMED_OUT) {
        g_autofree char *text = g_strdup_printf("%s without READY=1", outcome->reason);

        hook_set_reason(outcome, "%s", text);
    }
    hook_call_answer(&self->call, outcome);
}

static void lost(SessionHook *self, StepOutcome *outcome)
{
    if (outcome->result == STEP_OK)
        hook_set_reason(outcome, "it ended by itself (exit status 0)");
    outcome->result = STEP_LOST;
    if (self->participant.lost)
        self->participant.lost(&self->participant, outcome, self->participant.lost_data);
}

static void ended(SessionHook *self, const StepOutcome *outcome)
{
    if (self->verb == VERB_ABORT && outcome->result == STEP_OK &&
        (self->hook->verbs & HOOK_VERB_SESSION_ABORT))
        call_inner(self);
    else
        hook_call_answer(&self->call, outcome);
}

static void hold_done(Process *process, const ProcessResult *result, gpointer user_data)
{
    SessionHook *self = user_data;
    StepOutcome outcome =
        hook_outcome(result, deadline_now() - self->called_us, self->report_output);
    Phase phase = self->phase;

    (void)process;
    self->participant.holder = 0;
    self->phase = IDLE;
    close_input(self);
    g_clear_pointer(&self->ready, ready_socket_free);
    hook_processes_done(&self->processes, result->end);
    if (phase == STARTING)
        failed_to_hold(self, &outcome);
    else if (phase == HELD)
        lost(self, &outcome);
    else
        ended(self, &outcome);
}

/* Only for corpses; the others were abandoned. */
static void hold_gone(Process *process, gpointer user_data)
{
    SessionHook *self = user_data;

    hook_processes_gone(&self->processes, process, &self->participant);
}

static void left_behind_gone(bool killed, gpointer user_data)
{
    SessionHook *self = user_data;
    StepOutcome outcome = {.result = killed ? STEP_TIMED_OUT : STEP_OK, .exit_code = -1};

    g_clear_pointer(&self->orphan, orphan_free);
    if (killed)
        hook_set_reason(&outcome, "did not end when the agent had died; killed");
    ended(self, &outcome);
}

/* False: there is nothing. It has seen the end of file already. */
static bool end_left_behind(SessionHook *self)
{
    pid_t pid = self->left_behind;

    self->left_behind = 0;
    self->orphan =
        orphan_watch(pid, self->left_behind_since_us, self->deadline, left_behind_gone, self);
    return self->orphan != NULL;
}

/* --- its begin ----------------------------------------------------------------------------------
 */

static void give_up(SessionHook *self)
{
    self->given_up = true;
    process_cancel(self->processes.running);
}

static void heard(bool ready, gpointer user_data)
{
    SessionHook *self = user_data;
    StepOutcome outcome = {.result = STEP_OK, .exit_code = -1};

    if (self->phase != STARTING || self->given_up)
        return;
    if (!ready) {
        self->flooding = true;
        give_up(self);
        return;
    }
    self->phase = HELD;
    process_set_deadline(self->processes.running, DEADLINE_NEVER); /* the frozen limit ends it */
    hook_call_answer(&self->call, &outcome);
}

static void hold_started(Process *process, gpointer user_data)
{
    SessionHook *self = user_data;
    struct timespec now;

    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    self->participant.holder = process_pid(process);
    self->participant.holder_started_us = (int64_t)now.tv_sec * USEC_PER_SEC + now.tv_nsec / 1000;
    ready_socket_listen(self->ready, process_pid(process), heard, self);
}

/* Returns the reading end of its stdin; -1 with errno. */
static int open_input(SessionHook *self)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    self->input = ends[1];
    return ends[0];
}

/* NULL: it is being started; else why not. */
static char *start(SessionHook *self)
{
    static const ProcessEvents EVENTS = {
        .started = hold_started, .done = hold_done, .gone = hold_gone};
    const char *argv[HOOK_ARGV_SIZE];
    ProcessSpec spec = {.argv = argv, .output_max = HOOK_OUTPUT_MAX, .whole_group = true};
    HookEnvironment *environment = &self->call.environment;
    g_autoptr(GError) error = NULL;
    char *trouble = hook_environment_make(environment, self->hook, self->runtime_dir, "hold",
                                          &self->context, self->deadline);

    if (trouble)
        return trouble;
    self->ready = ready_socket_new(self->runtime_dir, self->hook->user != NULL, &error);
    if (!self->ready)
        return g_strdup(error->message);
    spec.input = open_input(self);
    if (spec.input < 0)
        return g_strdup_printf("cannot make a pipe: %s", g_strerror(errno));
    hook_environment_add(environment, "NOTIFY_SOCKET=%s", ready_socket_path(self->ready));
    hook_argv(argv, self->hook, self->run_as, "hold", false);
    spec.path = argv[0];
    spec.envp = (const char *const *)environment->variables;
    self->phase = STARTING;
    self->given_up = self->flooding = false;
    self->processes.running = process_start(&spec, self->deadline, &EVENTS, self);
    return NULL;
}

/* --- a participant ------------------------------------------------------------------------------
 */

static void begin_hold(SessionHook *self)
{
    g_autofree char *trouble = start(self);

    if (!trouble)
        return;
    g_clear_pointer(&self->ready, ready_socket_free);
    hook_call_answer_later(&self->call, STEP_FAILED, trouble);
}

static void end_hold(SessionHook *self)
{
    if (self->phase == HELD) {
        self->phase = ENDING;
        close_input(self);
        process_set_deadline(self->processes.running, self->deadline);
    } else if (end_left_behind(self)) {
        return;
    } else if (self->verb == VERB_ABORT && (self->hook->verbs & HOOK_VERB_SESSION_ABORT)) {
        call_inner(self);
    } else {
        hook_call_answer_later(&self->call, STEP_OK, ""); /* never held, or lost */
    }
}

static void session_call(Participant *participant, Verb verb, const VerbContext *context,
                         Deadline deadline, ParticipantAnswered answered, gpointer user_data)
{
    SessionHook *self = (SessionHook *)participant;

    g_return_if_fail(!self->call.running);
    hook_call_begin(&self->call, participant, answered, user_data);
    self->verb = verb;
    self->context = *context;
    self->deadline = deadline;
    self->called_us = deadline_now();
    if (participant->refused)
        hook_call_answer_later(&self->call, STEP_REFUSED, participant->refused);
    else if (verb == VERB_FREEZE)
        begin_hold(self);
    else if (verb == VERB_THAW || verb == VERB_ABORT)
        end_hold(self);
    else
        call_inner(self);
}

static void session_cancel(Participant *participant)
{
    SessionHook *self = (SessionHook *)participant;

    if (self->inner_calls)
        self->inner->ops->cancel(self->inner);
    else if (self->processes.running && self->call.running)
        give_up(self);
}

static bool session_busy(const Participant *participant)
{
    const SessionHook *self = (const SessionHook *)participant;

    return self->processes.corpses->len > 0 || self->inner->ops->busy(self->inner);
}

static void session_verify(Participant *participant)
{
    SessionHook *self = (SessionHook *)participant;

    if (self->phase == HELD)
        process_check(self->processes.running);
}

static void session_free(Participant *participant)
{
    SessionHook *self = (SessionHook *)participant;

    hook_processes_clear(&self->processes);
    close_input(self);
    ready_socket_free(self->ready);
    orphan_free(self->orphan);
    hook_call_clear(&self->call);
    participant_free(self->inner);
    hook_free(self->hook);
    g_free(self->runtime_dir);
    g_free(self);
}

Participant *session_hook_new(const Hook *hook, const HookOptions *options)
{
    static const ParticipantOps OPS = {
        .call = session_call,
        .cancel = session_cancel,
        .busy = session_busy,
        .verify = session_verify,
        .free = session_free,
    };
    SessionHook *self = g_new0(SessionHook, 1);
    Hook inner = *hook;

    inner.kind = HOOK_PLAIN;
    self->hook = hook_copy(hook);
    self->runtime_dir = g_strdup(options->runtime_dir);
    self->report_output = options->report_output;
    self->run_as = options->run_as;
    self->inner = hook_participant_new(&inner, options);
    self->inner->settled = inner_settled;
    self->inner->settled_data = self;
    hook_processes_init(&self->processes);
    self->input = -1;
    self->left_behind = options->holder;
    self->left_behind_since_us = options->holder_started_us;
    hook_participant_init(&self->participant, &OPS, hook);
    return &self->participant;
}
