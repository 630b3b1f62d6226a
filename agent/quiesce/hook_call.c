/*
 * hook_call: see hook_call.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/hook_call.h"

#include "base/text.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOOK_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
/* One language for everyone who reads a reason, and UTF-8 kept as it is. Not LANG=: that makes
 * every program that a hook runs read a dozen files of a locale that differs from C in nothing
 * else. */
#define HOOK_LANG "LC_CTYPE=C.UTF-8"

/* --- the call -----------------------------------------------------------------------------------
 */

void hook_call_begin(HookCall *call, Participant *participant, ParticipantAnswered answered,
                     gpointer user_data)
{
    call->participant = participant;
    call->running = true;
    call->answered = answered;
    call->user_data = user_data;
}

void hook_call_clear(HookCall *call)
{
    call->running = false;
    hook_environment_clear(&call->environment);
    deadline_source_clear(&call->later);
}

void hook_call_answer(HookCall *call, const StepOutcome *outcome)
{
    hook_call_clear(call);
    call->answered(call->participant, outcome, call->user_data);
}

static gboolean answer_early(gpointer user_data)
{
    HookCall *call = user_data;
    StepOutcome outcome = call->early;

    hook_call_answer(call, &outcome);
    return G_SOURCE_REMOVE;
}

void hook_call_answer_later(HookCall *call, StepResult result, const char *reason)
{
    call->early = (StepOutcome){.result = result, .exit_code = -1};
    text_line(call->early.reason, sizeof call->early.reason, reason, (size_t)-1);
    call->later = deadline_source_new(deadline_in(0), answer_early, call);
}

void hook_participant_init(Participant *participant, const ParticipantOps *ops, const Hook *hook)
{
    *participant = (Participant){
        .ops = ops,
        .name = g_strdup(hook->name),
        .source = g_strdup(hook->path),
        .kind = participant_kind_of(hook->kind),
        .order = hook->order,
        .verbs = hook->verbs,
        .timeout_us = hook->timeout_us,
        .on_failure = hook->on_failure,
        .mountpoints = g_strdupv(hook->mountpoints),
        .refused = g_strdup(hook->refused),
        .user = g_strdup(hook->user),
    };
}

void hook_argv(const char *argv[HOOK_ARGV_SIZE], const Hook *hook, const char *run_as,
               const char *argument, bool by_shell)
{
    unsigned count = 0;

    if (hook->user) {
        argv[count++] = run_as;
        argv[count++] = hook->user;
    } else if (by_shell) {
        argv[count++] = "/bin/sh";
    }
    argv[count++] = hook->path;
    argv[count++] = argument;
    argv[count] = NULL;
}

/* --- the processes ------------------------------------------------------------------------------
 */

void hook_processes_init(HookProcesses *processes)
{
    *processes = (HookProcesses){.corpses = g_ptr_array_new()};
}

void hook_processes_done(HookProcesses *processes, ProcessEnd end)
{
    Process *process = g_steal_pointer(&processes->running);

    if (end == PROCESS_TIMED_OUT || end == PROCESS_CANCELLED)
        g_ptr_array_add(processes->corpses, process);
    else
        process_abandon(process); /* is reaped: not busy any more when the owner hears of it */
}

void hook_tell_settled(Participant *participant)
{
    if (!participant->ops->busy(participant) && participant->settled)
        participant->settled(participant, participant->settled_data);
}

void hook_processes_gone(HookProcesses *processes, Process *corpse, Participant *participant)
{
    g_ptr_array_remove_fast(processes->corpses, corpse);
    hook_tell_settled(participant);
}

void hook_processes_clear(HookProcesses *processes)
{
    if (processes->running)
        process_abandon(processes->running);
    for (unsigned i = 0; i < processes->corpses->len; i++)
        process_abandon(g_ptr_array_index(processes->corpses, i));
    g_ptr_array_free(processes->corpses, TRUE);
}

/* --- the end ------------------------------------------------------------------------------------
 */

void hook_set_reason(StepOutcome *outcome, const char *format, ...)
{
    va_list args;
    g_autofree char *text = NULL;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    text_line(outcome->reason, sizeof outcome->reason, text, (size_t)-1);
}

static void exited(const ProcessResult *result, bool report_output, StepOutcome *outcome)
{
    outcome->exit_code = result->code;
    outcome->result = result->code == 0 ? STEP_OK : STEP_FAILED;
    if (result->code == 0)
        return;
    if (report_output)
        text_last_line(outcome->reason, sizeof outcome->reason, result->output,
                       result->output_length);
    if (!*outcome->reason)
        hook_set_reason(outcome, "exit status %d", result->code);
}

static const char *start_advice(int error)
{
    if (error == ENOEXEC)
        return "; its first line must name an interpreter, like #!/bin/sh";
    if (error == ENOENT)
        return "; the script or the interpreter that its first line names is missing";
    return "";
}

StepOutcome hook_outcome(const ProcessResult *result, int64_t duration_us, bool report_output)
{
    StepOutcome outcome = {.result = STEP_FAILED, .exit_code = -1};
    int64_t tenths = (duration_us + 50 * USEC_PER_MSEC) / (100 * USEC_PER_MSEC);
    const char *description;

    switch (result->end) {
    case PROCESS_EXITED:
        exited(result, report_output, &outcome);
        break;
    case PROCESS_SIGNALED:
        outcome.signal = result->code;
        description = sigdescr_np(result->code);
        hook_set_reason(&outcome, "killed by signal %d%s%s%s", result->code,
                        description ? " (" : "", description ? description : "",
                        description ? ")" : "");
        break;
    case PROCESS_TIMED_OUT:
        outcome.result = STEP_TIMED_OUT;
        hook_set_reason(&outcome, "timed out after %" G_GINT64_FORMAT ".%d s", tenths / 10,
                        (int)(tenths % 10));
        break;
    case PROCESS_CANCELLED:
        outcome.result = STEP_CANCELLED;
        hook_set_reason(&outcome, "cancelled");
        break;
    case PROCESS_FAILED:
        hook_set_reason(&outcome, "cannot be started: %s%s", g_strerror(result->code),
                        start_advice(result->code));
        break;
    }
    return outcome;
}

/* --- the environment ----------------------------------------------------------------------------
 */

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

/* errno, 0: fine. */
static int write_list_file(HookEnvironment *environment, const char *runtime_dir, bool readable,
                           GString *list)
{
    g_autofree char *path = g_strdup_printf("%s/mountpoints-XXXXXX", runtime_dir);
    int fd = mkostemp(path, O_CLOEXEC);
    int error = 0;

    if (fd < 0)
        return errno;
    if (readable)
        (void)fchmod(fd, 0644);
    environment->list_file = g_steal_pointer(&path);
    g_string_append_c(list, '\n');
    if (!write_all(fd, list->str, list->len))
        error = errno;
    close(fd);
    return error;
}

static void put(HookEnvironment *environment, char *variable)
{
    g_ptr_array_insert(environment->list, (int)environment->list->len - 1, variable);
    environment->variables = (char **)environment->list->pdata;
}

void hook_environment_add(HookEnvironment *environment, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    put(environment, g_strdup_vprintf(format, args));
    va_end(args);
}

char *hook_environment_make(HookEnvironment *environment, const Hook *hook, const char *runtime_dir,
                            const char *argument, const VerbContext *context, Deadline deadline)
{
    GString *list = join_mountpoints(context->mountpoints);
    int error = 0;

    environment->list = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(environment->list, NULL);
    hook_environment_add(environment, HOOK_PATH);
    hook_environment_add(environment, HOOK_LANG);
    hook_environment_add(environment, "QUIESCE_VERB=%s", argument);
    hook_environment_add(environment, "QUIESCE_OPERATION=%s",
                         context->operation ? context->operation : "");
    hook_environment_add(environment, "QUIESCE_DEADLINE_MS=%" G_GINT64_FORMAT,
                         deadline_left(deadline) / USEC_PER_MSEC);
    if (list->len <= HOOK_MOUNTPOINTS_ENV_MAX) {
        hook_environment_add(environment, "QUIESCE_MOUNTPOINTS=%s", list->str);
    } else {
        error = write_list_file(environment, runtime_dir, hook->user != NULL, list);
        hook_environment_add(environment, "QUIESCE_MOUNTPOINTS_FILE=%s",
                             environment->list_file ? environment->list_file : "");
    }
    g_string_free(list, TRUE);
    if (error == 0)
        return NULL;
    return g_strdup_printf("cannot write the list of mount points to %s: %s", runtime_dir,
                           g_strerror(error));
}

void hook_environment_clear(HookEnvironment *environment)
{
    g_clear_pointer(&environment->list, g_ptr_array_unref);
    environment->variables = NULL;
    if (environment->list_file)
        (void)unlink(environment->list_file);
    g_clear_pointer(&environment->list_file, g_free);
}
