/*
 * power: guest-shutdown, guest-suspend-disk, -ram, -hybrid. Answered only when they fail.
 *
 * A shutdown while frozen thaws first: what is frozen could not be unmounted. The programs are
 * those of the system, so that services are told; where there is none, the kernel is asked to
 * suspend.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "commands/act.h"
#include "commands/families.h"
#include "sys/helper.h"
#include "sys/procfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define ATTEMPT_US (60 * USEC_PER_SEC) /* of the guest's own time: asleep, none passes */

/* Programs to try one after another: the next when one is not there. */
typedef struct {
    Call *call;
    const char *const *const *programs; /* argv of each, NULL after the last */
    unsigned at;
    const char *verb; /* for the kernel, when no program helps; or NULL */
    void (*failed)(Call *call, const char *program, const HelperResult *result);
} Attempt;

static void try_next(Attempt *attempt);

/* --- suspend by the kernel ----------------------------------------------------------------------
 */

static bool supports(const AskPaths *paths, const char *verb)
{
    char states[64];

    return procfile_text(paths->sysfs, "power/state", states, sizeof(states), NULL) &&
           strstr(states, verb);
}

static json_t *suspend_by_kernel(const AskPaths *paths, gpointer input, GError **error)
{
    const char *verb = input;
    g_autofree char *path = g_build_filename(paths->sysfs, "power", "state", NULL);
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0 || write(fd, verb, strlen(verb)) < 0)
        agent_error_errno(error, AGENT_ERROR_FAILED, errno, "suspend: cannot write to '%s'", path);
    if (fd >= 0)
        (void)close(fd);
    return NULL;
}

static void fail_suspend(Call *call, const char *program, const HelperResult *result)
{
    if (!program)
        call_fail(call, PROTO_GENERIC_ERROR,
                  "the requested suspend mode is not supported by the guest");
    else if (result->timed_out)
        call_fail(call, PROTO_GENERIC_ERROR, "the helper program '%s' did not end in time",
                  program);
    else
        call_fail(call, PROTO_GENERIC_ERROR,
                  "the helper program '%s' returned an unexpected exit status code (%d): %s",
                  program, result->signal ? result->signal : result->status, result->words);
}

/* --- trying -------------------------------------------------------------------------------------
 */

static void tried(const HelperResult *result, gpointer user_data)
{
    Attempt *attempt = user_data;

    if (result->error != 0) {
        attempt->at++;
        try_next(attempt);
        return;
    }
    if (result->timed_out || result->status != 0 || result->signal != 0) {
        g_autofree char *program =
            g_strjoinv(" ", (char **)(gpointer)attempt->programs[attempt->at]);

        attempt->failed(attempt->call, program, result);
    } else {
        call_return(attempt->call, NULL);
    }
    g_free(attempt);
}

static void try_next(Attempt *attempt)
{
    const CommandsContext *context = commands_context(call_commands(attempt->call));
    const char *const *argv = attempt->programs[attempt->at];

    if (argv) {
        helper_run(&(HelperSpec){argv, context->programs, NULL}, deadline_in(ATTEMPT_US), tried,
                   attempt);
        return;
    }
    if (attempt->verb)
        act(attempt->call, suspend_by_kernel, g_strdup(attempt->verb), g_free, ATTEMPT_US);
    else
        attempt->failed(attempt->call, NULL, NULL);
    g_free(attempt);
}

static void suspend(Call *call, const char *needs, const char *const *const *programs,
                    const char *verb)
{
    const CommandsContext *context = commands_context(call_commands(call));
    Attempt *attempt = NULL;

    if (!supports(&context->paths, needs)) {
        fail_suspend(call, NULL, NULL);
        return;
    }
    log_info(context->log, "Channel %s: %s", call_channel(call), call_command(call)->name);
    attempt = g_new(Attempt, 1);
    *attempt = (Attempt){call, programs, 0, verb, fail_suspend};
    try_next(attempt);
}

static void run_suspend_disk(Call *call)
{
    static const char *const SYSTEMD[] = {"systemctl", "hibernate", NULL};
    static const char *const PM[] = {"pm-hibernate", NULL};
    static const char *const *const PROGRAMS[] = {SYSTEMD, PM, NULL};

    suspend(call, "disk", PROGRAMS, "disk");
}

static void run_suspend_ram(Call *call)
{
    static const char *const SYSTEMD[] = {"systemctl", "suspend", NULL};
    static const char *const PM[] = {"pm-suspend", NULL};
    static const char *const *const PROGRAMS[] = {SYSTEMD, PM, NULL};

    suspend(call, "mem", PROGRAMS, "mem");
}

static void run_suspend_hybrid(Call *call)
{
    static const char *const SYSTEMD[] = {"systemctl", "hybrid-sleep", NULL};
    static const char *const PM[] = {"pm-suspend-hybrid", NULL};
    static const char *const *const PROGRAMS[] = {SYSTEMD, PM, NULL};

    suspend(call, "disk", PROGRAMS, NULL);
}

/* --- shutdown -----------------------------------------------------------------------------------
 */

static void fail_shutdown(Call *call, const char *program, const HelperResult *result)
{
    if (!program)
        call_fail(call, PROTO_GENERIC_ERROR, "no program to shut down with has been found");
    else if (result->timed_out)
        call_fail(call, PROTO_GENERIC_ERROR, "child process has not ended in time: %s", program);
    else if (result->signal)
        call_fail(call, PROTO_GENERIC_ERROR, "child process has terminated abnormally");
    else
        call_fail(call, PROTO_GENERIC_ERROR, "child process has failed to shutdown: %s: %s",
                  program, result->words);
}

static void thawed(gpointer user_data)
{
    try_next(user_data);
}

static const char *const *const *shutdown_programs(const char *mode)
{
    static const char MESSAGE[] = "hypervisor initiated shutdown";
    static const char *const POWEROFF[] = {"poweroff", NULL};
    static const char *const HALT[] = {"halt", NULL};
    static const char *const REBOOT[] = {"reboot", NULL};
    static const char *const OLD_POWEROFF[] = {"shutdown", "-h", "-P", "+0", MESSAGE, NULL};
    static const char *const OLD_HALT[] = {"shutdown", "-h", "-H", "+0", MESSAGE, NULL};
    static const char *const OLD_REBOOT[] = {"shutdown", "-h", "-r", "+0", MESSAGE, NULL};
    static const char *const *const POWERDOWN_PROGRAMS[] = {POWEROFF, OLD_POWEROFF, NULL};
    static const char *const *const HALT_PROGRAMS[] = {HALT, OLD_HALT, NULL};
    static const char *const *const REBOOT_PROGRAMS[] = {REBOOT, OLD_REBOOT, NULL};

    if (strcmp(mode, "powerdown") == 0)
        return POWERDOWN_PROGRAMS;
    if (strcmp(mode, "halt") == 0)
        return HALT_PROGRAMS;
    return strcmp(mode, "reboot") == 0 ? REBOOT_PROGRAMS : NULL;
}

static void run_shutdown(Call *call)
{
    const CommandsContext *context = commands_context(call_commands(call));
    const char *mode = call_has(call, "mode") ? call_string(call, "mode") : "powerdown";
    const char *const *const *programs = shutdown_programs(mode);
    Attempt *attempt = NULL;

    if (!programs) {
        /* The bracket that is missing in the stock agent's text is missing here: hosts match it. */
        call_fail(call, PROTO_GENERIC_ERROR,
                  "mode is invalid (valid values are: halt|powerdown|reboot");
        return;
    }
    log_info(context->log, "Channel %s: guest-shutdown, mode %s", call_channel(call), mode);
    attempt = g_new(Attempt, 1);
    *attempt = (Attempt){call, programs, 0, NULL, fail_shutdown};
    coordinator_stop(context->coordinator, ENDED_BY_SHUTDOWN, "the host shuts the machine down",
                     thawed, attempt);
}

static const ArgSpec SHUTDOWN_ARGUMENTS[] = {{"mode", ARG_STRING, false}};

const Command POWER_COMMANDS[] = {
    {.name = "guest-shutdown",
     .arguments = SHUTDOWN_ARGUMENTS,
     .n_arguments = G_N_ELEMENTS(SHUTDOWN_ARGUMENTS),
     .silent = true,
     .while_frozen = true,
     .changes = true,
     .run = run_shutdown},
    {.name = "guest-suspend-disk", .silent = true, .changes = true, .run = run_suspend_disk},
    {.name = "guest-suspend-ram", .silent = true, .changes = true, .run = run_suspend_ram},
    {.name = "guest-suspend-hybrid", .silent = true, .changes = true, .run = run_suspend_hybrid},
};
const unsigned POWER_COMMANDS_COUNT = G_N_ELEMENTS(POWER_COMMANDS);
