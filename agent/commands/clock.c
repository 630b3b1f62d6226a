/*
 * clock: guest-set-time. By system calls, never by a program: it is answered while filesystems are
 * frozen.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "commands/act.h"
#include "commands/families.h"
#include "sys/machine_ops.h"

#include <errno.h>

#define CLOCK_US     (5 * USEC_PER_SEC) /* hardware clocks answer within a second */
#define NSEC_PER_SEC INT64_C(1000000000)

static json_t *set_given(const int64_t *nanoseconds, GError **error)
{
    const struct timespec time = {*nanoseconds / NSEC_PER_SEC, *nanoseconds % NSEC_PER_SEC};
    int failed = machine_set_clock(&time);

    if (failed) {
        agent_error_errno(error, AGENT_ERROR_FAILED, failed, "Failed to set time to guest");
        return NULL;
    }
    failed = machine_write_rtc(time.tv_sec);
    /* A machine without such a clock has nothing to be written. */
    if (failed && failed != ENOENT && failed != ENXIO && failed != ENODEV)
        agent_error_errno(error, AGENT_ERROR_FAILED, failed,
                          "the time is set, but the hardware clock could not be");
    return NULL;
}

static json_t *set_from_rtc(GError **error)
{
    struct timespec time = {0};
    int failed = machine_read_rtc(&time.tv_sec);

    if (failed) {
        agent_error_errno(error, AGENT_ERROR_FAILED, failed,
                          "the hardware clock could not be read; give a time");
        return NULL;
    }
    failed = machine_set_clock(&time);
    if (failed)
        agent_error_errno(error, AGENT_ERROR_FAILED, failed, "Failed to set time to guest");
    return NULL;
}

static json_t *set_time(const AskPaths *paths, gpointer input, GError **error)
{
    (void)paths;
    return input ? set_given(input, error) : set_from_rtc(error);
}

static void run_set_time(Call *call)
{
    int64_t *time = NULL;

    if (call_has(call, "time")) {
        time = g_new(int64_t, 1);
        *time = call_integer(call, "time", 0);
        if (*time < 0) {
            g_free(time);
            call_fail(call, PROTO_GENERIC_ERROR, "Failed to set time to guest: Invalid argument");
            return;
        }
    }
    log_info(commands_context(call_commands(call))->log, "Channel %s: guest-set-time",
             call_channel(call));
    act(call, set_time, time, g_free, CLOCK_US);
}

static const ArgSpec TIME_ARGUMENTS[] = {{"time", ARG_INTEGER, false}};

const Command CLOCK_COMMANDS[] = {
    {.name = "guest-set-time",
     .arguments = TIME_ARGUMENTS,
     .n_arguments = G_N_ELEMENTS(TIME_ARGUMENTS),
     .while_frozen = true,
     .changes = true,
     .run = run_set_time},
};
const unsigned CLOCK_COMMANDS_COUNT = G_N_ELEMENTS(CLOCK_COMMANDS);
