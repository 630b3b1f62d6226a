/*
 * hook: a participant that runs a script, one process a verb. Contract: quiesced-hooks(7).
 *
 * A call is answered when its process ends, or at its deadline. A process that is being killed
 * stays among `corpses` until it is gone (busy): the owner waits for that, so that `abort` does not
 * meet a `freeze` of the same script; it may call all the same when the corpse does not go (D
 * state). Runs on the main loop; the one file it writes is on tmpfs.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/participant.h"

#include "base/text.h"
#include "sys/process.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HOOK_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
/* One language for everyone who reads a reason, and UTF-8 kept as it is. */
#define HOOK_LANG "LANG=C.UTF-8"

typedef struct {
    Participant participant; /* first: the owner has a pointer to it */
    Hook *hook;
    char *runtime_dir;
    bool report_output;
    Process *process;   /* of the call that runs */
    GPtrArray *corpses; /* Process *: being killed, their calls were answered */
    bool running;       /* a call is not answered yet */
    Verb verb;
    Deadline deadline;
    char **envp;
    char *list_file;       /* QUIESCE_MOUNTPOINTS_FILE */
    GSource *answer_later; /* answers `early` from the main loop, without a process */
    StepOutcome early;
    ParticipantAnswered answered;
    gpointer user_data;
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

static void end_call(HookParticipant *self)
{
    self->running = false;
    g_clear_pointer(&self->envp, g_strfreev);
    deadline_source_clear(&self->answer_later);
    if (self->list_file)
        (void)unlink(self->list_file);
    g_clear_pointer(&self->list_file, g_free);
}

/* The owner may free the participant in its callback: nothing is touched after it. */
static void answer(HookParticipant *self, const StepOutcome *outcome)
{
    end_call(self);
    self->answered(&self->participant, outcome, self->user_data);
}

static gboolean answer_early(gpointer user_data)
{
    HookParticipant *self = user_data;
    StepOutcome outcome = self->early;

    answer(self, &outcome);
    return G_SOURCE_REMOVE;
}

static void answer_without_process(HookParticipant *self, StepResult result, const char *reason)
{
    self->early = (StepOutcome){.result = result, .exit_code = -1};
    text_line(self->early.reason, sizeof self->early.reason, reason, (size_t)-1);
    self->answer_later = deadline_source_new(deadline_in(0), answer_early, self);
}

G_GNUC_PRINTF(2, 3)
static void set_reason(StepOutcome *outcome, const char *format, ...)
{
    va_list args;
    g_autofree char *text = NULL;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    text_line(outcome->reason, sizeof outcome->reason, text, (size_t)-1);
}

static void exited(const HookParticipant *self, const ProcessResult *result, StepOutcome *outcome)
{
    outcome->exit_code = result->code;
    outcome->result = result->code == 0 ? STEP_OK : STEP_FAILED;
    if (result->code == 0)
        return;
    if (self->report_output)
        text_last_line(outcome->reason, sizeof outcome->reason, result->output,
                       result->output_length);
    if (!*outcome->reason)
        set_reason(outcome, "exit status %d", result->code);
}

static const char *start_advice(int error)
{
    if (error == ENOEXEC)
        return "; its first line must name an interpreter, like #!/bin/sh";
    if (error == ENOENT)
        return "; the script or the interpreter that its first line names is missing";
    return "";
}

static StepOutcome outcome_of(const HookParticipant *self, const ProcessResult *result)
{
    StepOutcome outcome = {.result = STEP_FAILED, .exit_code = -1};
    int64_t tenths = (result->duration_us + 50 * USEC_PER_MSEC) / (100 * USEC_PER_MSEC);
    const char *description;

    switch (result->end) {
    case PROCESS_EXITED:
        exited(self, result, &outcome);
        break;
    case PROCESS_SIGNALED:
        outcome.signal = result->code;
        description = sigdescr_np(result->code);
        set_reason(&outcome, "killed by signal %d%s%s%s", result->code, description ? " (" : "",
                   description ? description : "", description ? ")" : "");
        break;
    case PROCESS_TIMED_OUT:
        outcome.result = STEP_TIMED_OUT;
        set_reason(&outcome, "timed out after %" G_GINT64_FORMAT ".%d s", tenths / 10,
                   (int)(tenths % 10));
        break;
    case PROCESS_CANCELLED:
        outcome.result = STEP_CANCELLED;
        set_reason(&outcome, "cancelled");
        break;
    case PROCESS_FAILED:
        set_reason(&outcome, "cannot be started: %s%s", g_strerror(result->code),
                   start_advice(result->code));
        break;
    }
    return outcome;
}

static void process_done(Process *process, const ProcessResult *result, gpointer user_data)
{
    HookParticipant *self = user_data;
    StepOutcome outcome = outcome_of(self, result);

    self->process = NULL;
    if (result->end == PROCESS_TIMED_OUT || result->end == PROCESS_CANCELLED)
        g_ptr_array_add(self->corpses, process);
    else
        process_abandon(process); /* is reaped: not busy any more when the owner hears of it */
    /* The stock dispatcher is a shell, and a shell runs a script without "#!" by itself. */
    if (result->end == PROCESS_FAILED && result->code == ENOEXEC &&
        self->hook->kind == HOOK_STOCK) {
        start_process(self, true);
        return;
    }
    answer(self, &outcome);
}

/* Only for corpses; the others were abandoned. */
static void process_gone(Process *process, gpointer user_data)
{
    HookParticipant *self = user_data;

    g_ptr_array_remove_fast(self->corpses, process);
    if (self->corpses->len == 0 && self->participant.settled)
        self->participant.settled(&self->participant, self->participant.settled_data);
}

static void start_process(HookParticipant *self, bool by_shell)
{
    static const ProcessEvents EVENTS = {.done = process_done, .gone = process_gone};
    const char *direct[] = {self->hook->path, script_verb(self), NULL};
    const char *shell[] = {"/bin/sh", self->hook->path, script_verb(self), NULL};
    const ProcessSpec spec = {
        .path = by_shell ? shell[0] : direct[0],
        .argv = by_shell ? shell : direct,
        .envp = (const char *const *)self->envp,
        .output_max = HOOK_OUTPUT_MAX,
    };

    self->process = process_start(&spec, self->deadline, &EVENTS, self);
}

/* Newline separated; a newline in a mount point is written as in /proc/self/mountinfo. */
static GString *join_mountpoints(const char *const *mountpoints)
{
    GString *list = g_string_new(NULL);

    for (; mountpoints && *mountpoints; mountpoints++) {
        g_auto(GStrv) parts = g_strsplit(*mountpoints, "\n", -1);
        g_autofree char *line = g_strjoinv("\\012", parts);

        if (list->len > 0)
            g_string_append_c(list, '\n');
        g_string_append(list, line);
    }
    return list;
}

static bool write_all(int fd, const char *bytes, size_t count)
{
    while (count > 0) {
        ssize_t written = write(fd, bytes, count);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return false;
        bytes += written;
        count -= (size_t)written;
    }
    return true;
}

/* False with errno. */
static bool write_list_file(HookParticipant *self, GString *list)
{
    g_autofree char *path = g_strdup_printf("%s/mountpoints-XXXXXX", self->runtime_dir);
    int fd = mkostemp(path, O_CLOEXEC);
    bool fine;
    int error;

    if (fd < 0)
        return false;
    self->list_file = g_steal_pointer(&path);
    g_string_append_c(list, '\n');
    fine = write_all(fd, list->str, list->len);
    error = errno;
    close(fd);
    errno = error;
    return fine;
}

G_GNUC_PRINTF(2, 3)
static void add_variable(GPtrArray *variables, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_ptr_array_add(variables, g_strdup_vprintf(format, args));
    va_end(args);
}

/* errno of writing the list of mount points, 0: fine. */
static int make_environment(HookParticipant *self, const VerbContext *context)
{
    GPtrArray *variables = g_ptr_array_new();
    GString *list = join_mountpoints(context->mountpoints);
    int error = 0;

    add_variable(variables, HOOK_PATH);
    add_variable(variables, HOOK_LANG);
    add_variable(variables, "QUIESCE_VERB=%s", script_verb(self));
    add_variable(variables, "QUIESCE_OPERATION=%s", context->operation ? context->operation : "");
    add_variable(variables, "QUIESCE_DEADLINE_MS=%" G_GINT64_FORMAT,
                 deadline_left(self->deadline) / USEC_PER_MSEC);
    if (self->verb == VERB_COMPLETE)
        add_variable(variables, "QUIESCE_SUCCESS=%d", context->success ? 1 : 0);
    if (list->len <= HOOK_MOUNTPOINTS_ENV_MAX) {
        add_variable(variables, "QUIESCE_MOUNTPOINTS=%s", list->str);
    } else {
        error = write_list_file(self, list) ? 0 : errno;
        add_variable(variables, "QUIESCE_MOUNTPOINTS_FILE=%s",
                     self->list_file ? self->list_file : "");
    }
    g_ptr_array_add(variables, NULL);
    self->envp = (char **)g_ptr_array_free(variables, FALSE);
    g_string_free(list, TRUE);
    return error;
}

static void hook_call(Participant *participant, Verb verb, const VerbContext *context,
                      Deadline deadline, ParticipantAnswered answered, gpointer user_data)
{
    HookParticipant *self = (HookParticipant *)participant;
    int error;

    g_return_if_fail(!self->running);
    self->running = true;
    self->verb = verb;
    self->deadline = deadline;
    self->answered = answered;
    self->user_data = user_data;
    if (participant->refused) {
        answer_without_process(self, STEP_REFUSED, participant->refused);
        return;
    }
    if (!script_verb(self)) {
        answer_without_process(self, STEP_SKIPPED, "stock scripts know freeze and thaw only");
        return;
    }
    error = make_environment(self, context);
    if (error != 0) {
        g_autofree char *reason = g_strdup_printf("cannot write the list of mount points to %s: %s",
                                                  self->runtime_dir, g_strerror(error));
        answer_without_process(self, STEP_FAILED, reason);
        return;
    }
    start_process(self, false);
}

static void hook_cancel(Participant *participant)
{
    HookParticipant *self = (HookParticipant *)participant;

    if (self->process)
        process_cancel(self->process);
}

static bool hook_busy(const Participant *participant)
{
    const HookParticipant *self = (const HookParticipant *)participant;

    return self->corpses->len > 0;
}

static void hook_participant_free(Participant *participant)
{
    HookParticipant *self = (HookParticipant *)participant;

    if (self->process)
        process_abandon(self->process);
    for (unsigned i = 0; i < self->corpses->len; i++)
        process_abandon(g_ptr_array_index(self->corpses, i));
    g_ptr_array_free(self->corpses, TRUE);
    end_call(self);
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
    HookParticipant *self = g_new0(HookParticipant, 1);

    self->hook = hook_copy(hook);
    self->corpses = g_ptr_array_new();
    self->runtime_dir = g_strdup(options->runtime_dir);
    self->report_output = options->report_output;
    self->participant = (Participant){
        .ops = &OPS,
        .name = g_strdup(hook->name),
        .source = g_strdup(hook->path),
        .kind = hook->kind == HOOK_STOCK ? PARTICIPANT_STOCK_HOOK : PARTICIPANT_HOOK,
        .order = hook->order,
        .verbs = hook->verbs,
        .timeout_us = hook->timeout_us,
        .on_failure = hook->on_failure,
        .mountpoints = g_strdupv(hook->mountpoints),
        .refused = g_strdup(hook->refused),
    };
    return &self->participant;
}
