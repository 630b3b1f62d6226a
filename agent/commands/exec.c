/*
 * exec: guest-exec, guest-exec-status.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "base/base64.h"
#include "commands/exec_table.h"
#include "commands/families.h"
#include "commands/heavy.h"
#include "commands/payload.h"

#include <string.h>

#define DECODE_US (30 * USEC_PER_SEC) /* on a machine that barely runs */

/* What the service manager tells this process, which is no business of the programs it starts. */
static const char *const SERVICE_VARIABLES[] = {
    "NOTIFY_SOCKET",  "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID",
    "LISTEN_FDNAMES", "FDSTORE",       "MAINPID",      "MANAGERPID", "SYSTEMD_EXEC_PID",
};

typedef enum { CAPTURE_NONE, CAPTURE_STDOUT, CAPTURE_STDERR, CAPTURE_BOTH, CAPTURE_MERGED } Capture;

static bool parse_capture(Call *call, Capture *ret_capture)
{
    static const char *const NAMES[] = {"none", "stdout", "stderr", "separated", "merged"};
    const json_t *value = call_value(call, "capture-output");

    *ret_capture = json_is_true(value) ? CAPTURE_BOTH : CAPTURE_NONE;
    if (!value || json_is_boolean(value))
        return true;
    if (!json_is_string(value)) {
        call_fail(call, PROTO_GENERIC_ERROR,
                  "Invalid parameter type for 'capture-output', expected: GuestExecCaptureOutput");
        return false;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(NAMES); i++) {
        if (strcmp(NAMES[i], json_string_value(value)) == 0) {
            *ret_capture = (Capture)i;
            return true;
        }
    }
    call_fail(call, PROTO_GENERIC_ERROR, "Parameter 'capture-output' does not accept value '%s'",
              json_string_value(value));
    return false;
}

/* --- input-data ---------------------------------------------------------------------------------
 */

typedef struct {
    json_t *text;
    uint8_t *bytes;
    size_t length;
    GError *error;
} Input;

static void input_free(gpointer data)
{
    Input *input = data;

    if (!input)
        return;
    json_decref(input->text);
    g_free(input->bytes);
    g_clear_error(&input->error);
    g_free(input);
}

static gpointer decode(gpointer data)
{
    json_t **text = data;
    Input *input = g_new0(Input, 1);
    const char *string = json_string_value(*text);
    size_t length = json_string_length(*text);
    Base64Decoder decoder = {0};

    if (!base64_measure(string, length, &input->length, &input->error))
        return input;
    input->bytes = g_malloc(input->length + 3);
    (void)base64_decode(&decoder, string, length, input->bytes);
    return input;
}

static void text_free(gpointer data)
{
    json_t **text = data;

    json_decref(*text);
    g_free(text);
}

/* --- guest-exec ---------------------------------------------------------------------------------
 */

static void started(pid_t pid, int error, gpointer user_data)
{
    Call *call = user_data;
    json_t *object = NULL;

    if (error != 0) {
        call_fail(
            call, PROTO_GENERIC_ERROR,
            "Guest agent command failed, error was 'Failed to execute child process “%s” (%s)'",
            call_string(call, "path"), g_strerror(error));
        return;
    }
    object = json_object();
    (void)json_object_set_new(object, "pid", json_integer(pid));
    call_return(call, object);
}

static char **environment_of(const Call *call)
{
    char **environment = call_strings(call, "env");

    if (environment)
        return environment;
    environment = g_get_environ();
    for (unsigned i = 0; i < G_N_ELEMENTS(SERVICE_VARIABLES); i++)
        environment = g_environ_unsetenv(environment, SERVICE_VARIABLES[i]);
    return environment;
}

static const char *search_path(char **environment)
{
    const char *path = g_environ_getenv(environment, "PATH");

    if (!path)
        path = g_getenv("PATH");
    return path ? path : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

static char **arguments_of(const Call *call)
{
    g_auto(GStrv) more = call_strings(call, "arg");
    unsigned count = more ? g_strv_length(more) : 0;
    char **argv = g_new0(char *, count + 2);

    argv[0] = g_strdup(call_string(call, "path"));
    for (unsigned i = 0; i < count; i++)
        argv[i + 1] = g_steal_pointer(&more[i]);
    return argv;
}

/* `input` may be NULL. */
static void start(Call *call, Input *input)
{
    g_auto(GStrv) argv = arguments_of(call);
    g_auto(GStrv) environment = environment_of(call);
    g_autoptr(GError) error = NULL;
    Capture capture = CAPTURE_NONE;
    ExecSpec spec = {
        .path = argv[0],
        .argv = (const char *const *)argv,
        .envp = (const char *const *)environment,
        .search = search_path(environment),
    };

    if (!parse_capture(call, &capture))
        return;
    spec.keep_stdout = capture != CAPTURE_NONE && capture != CAPTURE_STDERR;
    spec.keep_stderr = capture == CAPTURE_STDERR || capture == CAPTURE_BOTH;
    spec.merge = capture == CAPTURE_MERGED;
    if (input) {
        spec.input = g_steal_pointer(&input->bytes);
        spec.input_length = input->length;
    }
    log_info(commands_context(call_commands(call))->log, "Channel %s: guest-exec of %s",
             call_channel(call), argv[0]);
    if (!exec_table_start(commands_execs(call_commands(call)), &spec, started, call, &error))
        call_fail(call, PROTO_GENERIC_ERROR, "%s", error->message);
}

static void decoded(gpointer result, bool timed_out, gpointer user_data)
{
    Call *call = user_data;
    Input *input = result;

    (void)timed_out;
    if (!input)
        call_fail(call, PROTO_GENERIC_ERROR, "input-data could not be decoded in time; try again");
    else if (input->error)
        call_fail(call, PROTO_GENERIC_ERROR, "%s", input->error->message);
    else
        start(call, input);
    input_free(input);
}

static void run_exec(Call *call)
{
    const json_t *given = call_value(call, "input-data");
    Capture capture = CAPTURE_NONE;
    json_t **text = NULL;
    g_autoptr(GError) error = NULL;

    if (!parse_capture(call, &capture))
        return;
    if (!given) {
        start(call, NULL);
        return;
    }
    text = g_new(json_t *, 1);
    *text = call_take(call, "input-data");
    if (json_string_length(*text) <= HEAVY_BYTES) {
        decoded(decode(text), false, call);
        text_free(text);
    } else if (!offload_run("decode", decode, text, text_free, input_free, deadline_in(DECODE_US),
                            decoded, call, &error)) {
        call_fail(call, PROTO_GENERIC_ERROR, "%s", error->message);
    }
}

/* --- guest-exec-status --------------------------------------------------------------------------
 */

typedef struct {
    int status, signal;
    ExecOutput out, err;
} Ended;

static void ended_free(gpointer data)
{
    Ended *ended = data;

    g_free(ended->out.bytes);
    g_free(ended->err.bytes);
    g_free(ended);
}

static void add_output(Payload *payload, const char *name, const ExecOutput *output)
{
    if (output->length > 0) {
        payload_add(payload, ", \"%s-data\": \"", name);
        payload_base64(payload, output->bytes, output->length);
        payload_base64_end(payload);
        payload_add(payload, "\"");
    }
    if (output->truncated)
        payload_add(payload, ", \"%s-truncated\": true", name);
}

static gpointer encode(gpointer data)
{
    const Ended *ended = data;
    Payload *payload = payload_new(ended->out.length + ended->err.length);

    payload_add(payload, "{\"exited\": true, \"%s\": %d", ended->signal ? "signal" : "exitcode",
                ended->signal ? ended->signal : ended->status);
    add_output(payload, "out", &ended->out);
    add_output(payload, "err", &ended->err);
    payload_add(payload, "}");
    return payload;
}

static void encoded(gpointer result, bool timed_out, gpointer user_data)
{
    Call *call = user_data;
    g_autoptr(Payload) payload = result;
    size_t length = 0;
    char *bytes = payload ? payload_steal(payload, &length) : NULL;

    (void)timed_out;
    if (bytes)
        call_return_begun(call, bytes, length);
    else
        call_fail(call, PROTO_GENERIC_ERROR,
                  "the output could not be encoded: no memory, or not in time");
}

static void run_status(Call *call)
{
    ExecTable *table = commands_execs(call_commands(call));
    int64_t pid = call_integer(call, "pid", 0);
    Exec *exec = exec_table_find(table, pid);
    Ended *ended = NULL;
    g_autoptr(GError) error = NULL;

    if (!exec) {
        call_fail(call, PROTO_GENERIC_ERROR, "PID %" G_GINT64_FORMAT " does not exist", pid);
        return;
    }
    if (!exec_is_over(exec)) {
        call_return(call, json_pack("{s:b}", "exited", 0));
        return;
    }
    ended = g_new0(Ended, 1);
    ended->status = exec_status(exec, &ended->signal);
    ended->out = exec_take_stdout(exec);
    ended->err = exec_take_stderr(exec);
    exec_table_read(table, exec);
    if (ended->out.length + ended->err.length <= HEAVY_BYTES) {
        encoded(encode(ended), false, call);
        ended_free(ended);
    } else if (!offload_run("encode", encode, ended, ended_free, (GDestroyNotify)payload_free,
                            deadline_in(DECODE_US), encoded, call, &error)) {
        call_fail(call, PROTO_GENERIC_ERROR, "%s", error->message);
    }
}

static const ArgSpec EXEC_ARGUMENTS[] = {
    {"path", ARG_STRING, true},         {"arg", ARG_STRING_ARRAY, false},
    {"env", ARG_STRING_ARRAY, false},   {"input-data", ARG_STRING, false},
    {"capture-output", ARG_ANY, false},
};
static const ArgSpec STATUS_ARGUMENTS[] = {{"pid", ARG_INTEGER, true}};

const Command EXEC_COMMANDS[] = {
    {.name = "guest-exec",
     .arguments = EXEC_ARGUMENTS,
     .n_arguments = G_N_ELEMENTS(EXEC_ARGUMENTS),
     .changes = true,
     .run = run_exec},
    {.name = "guest-exec-status",
     .arguments = STATUS_ARGUMENTS,
     .n_arguments = G_N_ELEMENTS(STATUS_ARGUMENTS),
     .changes = true, /* reading the end forgets it */
     .run = run_status},
};
const unsigned EXEC_COMMANDS_COUNT = G_N_ELEMENTS(EXEC_COMMANDS);
