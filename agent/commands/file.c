/*
 * file: guest-file-open, -close, -read, -write, -seek, -flush.
 *
 * Each file has a thread of its own, so none holds up another, nor anybody else. A call that the
 * kernel does not finish gets its error at the deadline; the file stays busy until it does.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "base/base64.h"
#include "commands/families.h"
#include "commands/file_table.h"
#include "commands/payload.h"
#include "sys/hostfile.h"

#include <string.h>
#include <unistd.h>

#define READ_DEFAULT (INT64_C(4) << 10)
#define READ_MAX     (INT64_C(48) << 20) /* as base64 it is as large as messages may be */
#define SHORT_US     (10 * USEC_PER_SEC) /* open, seek, close */
#define TRANSFER_US  (30 * USEC_PER_SEC) /* up to 48 MiB on a slow disk */

/* What a thread function returns: an error, or what its command answers. */
typedef struct {
    GError *error;
    Payload *payload;
    int64_t number;
} Result;

typedef enum { KEEP, DROP_ON_FAILURE, DROP } Fate;

/* One call of a file's thread, and who waits for it. */
typedef struct {
    Call *call;
    HostFile *file;
    int64_t wait_us;
    Fate fate; /* of the file, when it is over */
    void (*succeeded)(Call *call, HostFile *file, Result *result);
} Job;

static void result_free(gpointer data)
{
    Result *result = data;

    if (!result)
        return;
    g_clear_error(&result->error);
    payload_free(result->payload);
    g_free(result);
}

static FileTable *table_of(const Call *call)
{
    return commands_files(call_commands(call));
}

static void fail_job(const Job *job, const Result *result, bool timed_out)
{
    if (result)
        call_fail(job->call, PROTO_GENERIC_ERROR, "%s", result->error->message);
    else if (timed_out)
        call_fail(
            job->call, PROTO_GENERIC_ERROR,
            "%s: not finished within %d s: a disk or server does not answer; what comes later "
            "is lost",
            call_command(job->call)->name, (int)(job->wait_us / USEC_PER_SEC));
    else
        call_fail(job->call, PROTO_GENERIC_ERROR, "%s: no thread could be had, try again",
                  call_command(job->call)->name);
}

static void job_done(gpointer data, bool timed_out, gpointer user_data)
{
    g_autofree Job *job = user_data;
    FileTable *table = table_of(job->call);
    Result *result = data;
    bool good = result && !result->error;

    job->file->job = NULL;
    if (good)
        job->succeeded(job->call, job->file, result);
    else
        fail_job(job, result, timed_out);
    result_free(result);
    if (job->fate == DROP || (job->fate == DROP_ON_FAILURE && !good))
        file_table_remove(table, job->file);
}

static void job_cancelled(gpointer data)
{
    g_autofree Job *job = data;

    call_fail(job->call, PROTO_GENERIC_ERROR, "the agent is ending");
}

static void run_job(const Job *job, StrandFunc func, gpointer input, GDestroyNotify input_free)
{
    Job *kept = g_new(Job, 1);
    StrandCall call = {func, input, input_free, result_free, job->fate == DROP};

    *kept = *job;
    job->file->job = kept;
    job->file->job_cancelled = job_cancelled;
    strand_run(job->file->strand, &call, deadline_in(job->wait_us), job_done, kept);
}

/* The file of the argument `handle`, which nobody is at; else the call has failed. */
static HostFile *free_file(Call *call)
{
    int64_t handle = call_integer(call, "handle", 0);
    HostFile *file = file_table_find(table_of(call), handle);

    if (!file)
        call_fail(call, PROTO_GENERIC_ERROR, "handle '%" G_GINT64_FORMAT "' has not been found",
                  handle);
    else if (strand_is_busy(file->strand))
        call_fail(call, PROTO_GENERIC_ERROR,
                  "handle '%" G_GINT64_FORMAT
                  "' is busy: a request before this one is not finished",
                  handle);
    else
        return file;
    return NULL;
}

static void succeed_empty(Call *call, HostFile *file, Result *result)
{
    (void)file;
    (void)result;
    call_return(call, NULL);
}

/* --- open and close -----------------------------------------------------------------------------
 */

static gpointer open_in_thread(int *fd, gpointer data)
{
    char **path_and_mode = data;
    Result *result = g_new0(Result, 1);

    (void)hostfile_open(fd, path_and_mode[0], path_and_mode[1], &result->error);
    return result;
}

static void opened(Call *call, HostFile *file, Result *result)
{
    g_autoptr(GError) error = NULL;
    int64_t handle = file_table_opened(table_of(call), file, &error);

    (void)result;
    if (handle != 0) {
        call_return(call, json_integer(handle));
        return;
    }
    file_table_remove(table_of(call), file);
    call_fail(call, PROTO_GENERIC_ERROR, "%s", error->message);
}

static void run_open(Call *call)
{
    const char *path = call_string(call, "path");
    const char *mode = call_has(call, "mode") ? call_string(call, "mode") : "r";
    const char *const path_and_mode[] = {path, mode, NULL};
    g_autoptr(GError) error = NULL;
    HostFile *file = NULL;

    if (!hostfile_mode_is_valid(mode)) {
        call_fail(call, PROTO_GENERIC_ERROR, "invalid file open mode '%s'", mode);
        return;
    }
    file = file_table_add(table_of(call), &error);
    if (!file) {
        call_fail(call, PROTO_GENERIC_ERROR, "%s", error->message);
        return;
    }
    log_info(commands_context(call_commands(call))->log,
             "Channel %s: guest-file-open of %s (mode: %s)", call_channel(call), path, mode);
    run_job(&(Job){call, file, SHORT_US, DROP_ON_FAILURE, opened}, open_in_thread,
            g_strdupv((char **)path_and_mode), (GDestroyNotify)g_strfreev);
}

static gpointer close_in_thread(int *fd, gpointer data)
{
    Result *result = g_new0(Result, 1);

    (void)data;
    (void)hostfile_close(fd, &result->error);
    return result;
}

static void run_close(Call *call)
{
    HostFile *file = file_table_find(table_of(call), call_integer(call, "handle", 0));

    /* Nobody waits any more for what it hangs in: its thread closes it when it can. */
    if (file && !file->job && strand_is_busy(file->strand)) {
        file_table_remove(table_of(call), file);
        call_return(call, NULL);
        return;
    }
    file = free_file(call);
    if (file)
        run_job(&(Job){call, file, SHORT_US, DROP, succeed_empty}, close_in_thread, NULL, NULL);
}

/* --- read and write -----------------------------------------------------------------------------
 */

static void add_piece(const void *bytes, size_t count, gpointer user_data)
{
    payload_base64(user_data, bytes, count);
}

static gpointer read_in_thread(int *fd, gpointer data)
{
    const size_t *count = data;
    Result *result = g_new0(Result, 1);
    size_t done = 0;
    bool eof = false;

    result->payload = payload_new(hostfile_expect(*fd, *count));
    payload_add(result->payload, "{\"buf-b64\": \"");
    if (!hostfile_read(*fd, *count, add_piece, result->payload, &done, &eof, &result->error))
        return result;
    payload_base64_end(result->payload);
    payload_add(result->payload, "\", \"count\": %zu, \"eof\": %s}", done, eof ? "true" : "false");
    return result;
}

static void was_read(Call *call, HostFile *file, Result *result)
{
    size_t length = 0;
    char *bytes = payload_steal(result->payload, &length);

    (void)file;
    if (bytes)
        call_return_begun(call, bytes, length);
    else
        call_fail(call, PROTO_GENERIC_ERROR, "no memory for so much; ask for less at once");
}

static void run_read(Call *call)
{
    int64_t count = call_integer(call, "count", READ_DEFAULT);
    HostFile *file = free_file(call);
    size_t *input = NULL;

    if (!file)
        return;
    if (count < 0 || count > READ_MAX) {
        call_fail(call, PROTO_GENERIC_ERROR,
                  "value '%" G_GINT64_FORMAT "' is invalid for argument count", count);
        return;
    }
    input = g_new(size_t, 1);
    *input = (size_t)count;
    run_job(&(Job){call, file, TRANSFER_US, KEEP, was_read}, read_in_thread, input, g_free);
}

typedef struct {
    json_t *text;
    int64_t count; /* -1: all of it */
} Write;

static void write_free(gpointer data)
{
    Write *input = data;

    json_decref(input->text);
    g_free(input);
}

static gpointer write_in_thread(int *fd, gpointer data)
{
    const Write *input = data;
    const char *text = json_string_value(input->text);
    size_t length = json_string_length(input->text), bytes = 0, done = 0;
    Result *result = g_new0(Result, 1);

    if (!base64_measure(text, length, &bytes, &result->error))
        return result;
    if (input->count > (int64_t)bytes) {
        g_set_error(&result->error, AGENT_ERROR, AGENT_ERROR_FAILED,
                    "value '%" G_GINT64_FORMAT "' is invalid for argument count", input->count);
        return result;
    }
    (void)hostfile_write(*fd, text, length, input->count < 0 ? bytes : (size_t)input->count, &done,
                         &result->error);
    result->number = (int64_t)done;
    return result;
}

static void was_written(Call *call, HostFile *file, Result *result)
{
    (void)file;
    call_return(call, json_pack("{s:I, s:b}", "count", (json_int_t)result->number, "eof", 0));
}

static void run_write(Call *call)
{
    int64_t count = call_integer(call, "count", -1);
    HostFile *file = free_file(call);
    Write *input = NULL;

    if (!file)
        return;
    if (call_has(call, "count") && count < 0) {
        call_fail(call, PROTO_GENERIC_ERROR,
                  "value '%" G_GINT64_FORMAT "' is invalid for argument count", count);
        return;
    }
    input = g_new(Write, 1);
    *input = (Write){call_take(call, "buf-b64"), count};
    run_job(&(Job){call, file, TRANSFER_US, KEEP, was_written}, write_in_thread, input, write_free);
}

/* --- seek and flush -----------------------------------------------------------------------------
 */

typedef struct {
    int64_t offset;
    int whence;
} Seek;

static gpointer seek_in_thread(int *fd, gpointer data)
{
    const Seek *input = data;
    Result *result = g_new0(Result, 1);

    (void)hostfile_seek(*fd, input->offset, input->whence, &result->number, &result->error);
    return result;
}

static void was_sought(Call *call, HostFile *file, Result *result)
{
    (void)file;
    call_return(call, json_pack("{s:I, s:b}", "position", (json_int_t)result->number, "eof", 0));
}

/* The protocol's own numbers, or names. */
static bool parse_whence(Call *call, int *ret_whence)
{
    static const struct {
        const char *name;
        int whence;
    } CODES[] = {{"set", SEEK_SET}, {"cur", SEEK_CUR}, {"end", SEEK_END}};
    const json_t *value = call_value(call, "whence");
    const char *name = json_string_value(value);

    for (unsigned i = 0; i < G_N_ELEMENTS(CODES); i++) {
        if (name ? strcmp(name, CODES[i].name) == 0
                 : json_is_integer(value) && json_integer_value(value) == i) {
            *ret_whence = CODES[i].whence;
            return true;
        }
    }
    if (!value)
        call_fail(call, PROTO_GENERIC_ERROR, "Parameter 'whence' is missing");
    else if (name)
        call_fail(call, PROTO_GENERIC_ERROR, "Parameter 'whence' does not accept value '%s'", name);
    else if (json_is_integer(value))
        call_fail(call, PROTO_GENERIC_ERROR, "invalid whence code %" JSON_INTEGER_FORMAT,
                  json_integer_value(value));
    else
        call_fail(call, PROTO_GENERIC_ERROR,
                  "Invalid parameter type for 'whence', expected: GuestFileWhence");
    return false;
}

static void run_seek(Call *call)
{
    HostFile *file = free_file(call);
    Seek *input = NULL;
    int whence = 0;

    if (!file || !parse_whence(call, &whence))
        return;
    input = g_new(Seek, 1);
    *input = (Seek){call_integer(call, "offset", 0), whence};
    run_job(&(Job){call, file, SHORT_US, KEEP, was_sought}, seek_in_thread, input, g_free);
}

/* Nothing is kept back that could be flushed: what was written is the kernel's. */
static void run_flush(Call *call)
{
    if (free_file(call))
        call_return(call, NULL);
}

static const ArgSpec OPEN_ARGUMENTS[] = {{"path", ARG_STRING, true}, {"mode", ARG_STRING, false}};
static const ArgSpec HANDLE_ARGUMENTS[] = {{"handle", ARG_INTEGER, true}};
static const ArgSpec READ_ARGUMENTS[] = {{"handle", ARG_INTEGER, true},
                                         {"count", ARG_INTEGER, false}};
static const ArgSpec WRITE_ARGUMENTS[] = {
    {"handle", ARG_INTEGER, true}, {"buf-b64", ARG_STRING, true}, {"count", ARG_INTEGER, false}};
static const ArgSpec SEEK_ARGUMENTS[] = {
    {"handle", ARG_INTEGER, true}, {"offset", ARG_INTEGER, true}, {"whence", ARG_ANY, true}};

/* Reading a file is none of an observer's business either. */
#define FILE_COMMAND(title, table, function)                                                       \
    {                                                                                              \
        .name = (title), .arguments = (table), .n_arguments = G_N_ELEMENTS(table),                 \
        .changes = true, .run = (function)                                                         \
    }

const Command FILE_COMMANDS[] = {
    FILE_COMMAND("guest-file-open", OPEN_ARGUMENTS, run_open),
    FILE_COMMAND("guest-file-close", HANDLE_ARGUMENTS, run_close),
    FILE_COMMAND("guest-file-read", READ_ARGUMENTS, run_read),
    FILE_COMMAND("guest-file-write", WRITE_ARGUMENTS, run_write),
    FILE_COMMAND("guest-file-seek", SEEK_ARGUMENTS, run_seek),
    FILE_COMMAND("guest-file-flush", HANDLE_ARGUMENTS, run_flush),
};
const unsigned FILE_COMMANDS_COUNT = G_N_ELEMENTS(FILE_COMMANDS);
