/*
 * session: see session.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "commands/session.h"

#include "commands/call.h"
#include "commands/heavy.h"
#include "proto/framer.h"
#include "proto/reply.h"

/* One request in line, or the error that takes its place. */
typedef struct {
    Session *session;
    Request request;
    Offload *parsing; /* in a thread; what comes behind it waits */
    bool failed;
    ProtoError error;
    size_t size;
} Entry;

struct Session {
    Commands *commands;
    SessionSpec spec;
    char *channel;
    Framer *framer;
    GQueue queue; /* Entry * */
    size_t queued_bytes;
    Call *running;
    const Command *running_command;
    uint64_t reads;         /* deliveries of bytes so far */
    uint64_t running_since; /* `reads` when the running call began */
    bool serving;           /* in serve(): answers given at once do not recurse */
    bool eof;
    GSource *silence, *turn;
};

static void serve(Session *session);

static void entry_free(Entry *entry)
{
    if (entry->parsing)
        offload_cancel(entry->parsing);
    heavy_clear(&entry->request);
    g_free(entry);
}

Session *session_new(Commands *commands, const SessionSpec *spec)
{
    Session *session = g_new0(Session, 1);

    session->commands = commands;
    session->spec = *spec;
    session->channel = g_strdup(spec->channel);
    session->framer = framer_new(FRAMER_SIZE_MAX, FRAMER_DEPTH_MAX);
    g_queue_init(&session->queue);
    return session;
}

void session_free(Session *session)
{
    if (!session)
        return;
    deadline_source_clear(&session->silence);
    deadline_source_clear(&session->turn);
    if (session->running)
        call_orphan(session->running);
    g_queue_clear_full(&session->queue, (GDestroyNotify)entry_free);
    framer_free(session->framer);
    g_free(session->channel);
    g_free(session);
}

static void send_error(Session *session, const ProtoError *error, json_t *id)
{
    size_t length = 0;
    char *bytes = reply_error(error, id, &length);

    if (bytes)
        session->spec.send(bytes, length, session->spec.user_data);
}

static void call_answered(Call *call, char *bytes, size_t length, gpointer user_data)
{
    Session *session = user_data;

    (void)call;
    session->running = NULL;
    if (bytes)
        session->spec.send(bytes, length, session->spec.user_data);
    serve(session);
}

static void begin_call(Session *session, Entry *entry)
{
    const Command *command = commands_find(entry->request.command);
    ProtoError error;

    if (!command) {
        proto_error_set(&error, PROTO_COMMAND_NOT_FOUND, "The command %s has not been found",
                        entry->request.command);
        send_error(session, &error, entry->request.id);
        return;
    }
    if (!commands_permit(session->commands, command, session->channel, session->spec.observe,
                         &error)) {
        send_error(session, &error, entry->request.id);
        return;
    }
    session->running = call_new(session->commands, command, &entry->request, session->channel,
                                call_answered, session);
    session->running_command = command;
    session->running_since = session->reads;
    call_run(session->running);
}

static gboolean next_turn(gpointer user_data)
{
    Session *session = user_data;

    deadline_source_clear(&session->turn);
    serve(session);
    return G_SOURCE_REMOVE;
}

/* The other channels' turn. */
static void yield_turn(Session *session)
{
    if (!session->turn)
        session->turn = deadline_source_new(deadline_in(0), next_turn, session);
}

/* Serves what waits in line until a call does not answer at once, or its time is over. */
static void serve(Session *session)
{
    Deadline end = deadline_in(SESSION_TURN_US);
    bool first = true;
    Entry *entry = NULL;

    if (session->serving)
        return;
    session->serving = true;
    while (!session->running && (entry = g_queue_peek_head(&session->queue)) && !entry->parsing) {
        if (!first && deadline_passed(end)) {
            yield_turn(session);
            break;
        }
        first = false;
        (void)g_queue_pop_head(&session->queue);
        session->queued_bytes -= entry->size;
        if (entry->failed)
            send_error(session, &entry->error, entry->request.id);
        else
            begin_call(session, entry);
        entry_free(entry);
    }
    session->serving = false;
    if (session->eof && !session->running && g_queue_is_empty(&session->queue) &&
        session->spec.finished)
        session->spec.finished(session->spec.user_data);
}

/* The host gave up on the freeze that runs here if this request came after it began. */
static void maybe_cancel(Session *session, const Entry *entry)
{
    bool known = !entry->failed && !entry->parsing;
    const Command *command = known ? commands_find(entry->request.command) : NULL;

    if (!command || !command->cancels || !session->running)
        return;
    if (session->running_command->waits && !session->running_command->cancels &&
        session->reads > session->running_since)
        call_cancel(session->running);
}

static bool is_full(const Session *session, size_t size)
{
    return session->queue.length >= SESSION_QUEUE_REQUESTS ||
           session->queued_bytes + size > SESSION_QUEUE_BYTES;
}

static void fail_full(Session *session, Entry *entry)
{
    json_t *id = g_steal_pointer(&entry->request.id);

    heavy_clear(&entry->request);
    entry->request.id = id;
    entry->failed = true;
    entry->size = 0;
    proto_error_set(&entry->error, PROTO_GENERIC_ERROR,
                    "too many requests are waiting on channel %s (limit %u, %zu MiB)",
                    session->channel, SESSION_QUEUE_REQUESTS, SESSION_QUEUE_BYTES >> 20);
}

static void enqueue(Session *session, Entry *entry)
{
    /* A request too many keeps its place in line, as an error; beyond twice the limit it is
     * dropped, nobody can be waiting for that answer. */
    if (is_full(session, entry->size) && !entry->failed)
        fail_full(session, entry);
    if (session->queue.length >= 2 * SESSION_QUEUE_REQUESTS) {
        entry_free(entry);
        return;
    }
    session->queued_bytes += entry->size;
    g_queue_push_tail(&session->queue, entry);
    maybe_cancel(session, entry);
}

static void parsed(HeavyResult *result, gpointer user_data)
{
    Entry *entry = user_data;

    entry->parsing = NULL;
    entry->request = result->request;
    entry->failed = result->failed;
    entry->error = result->error;
    result->request = (Request){0};
    heavy_result_free(result);
    maybe_cancel(entry->session, entry);
    serve(entry->session);
}

static void parse_elsewhere(Session *session, Entry *entry, size_t length)
{
    entry->parsing = heavy_parse(framer_take(session->framer), length, parsed, entry);
    if (entry->parsing)
        return;
    entry->failed = true;
    proto_error_set(&entry->error, PROTO_GENERIC_ERROR,
                    "the request cannot be read now: too many threads hang in the kernel");
}

static void take_frame(Session *session, const FramerResult *result)
{
    Entry *entry = g_new0(Entry, 1);

    entry->session = session;
    /* Alone it is served at once, whatever its size. */
    if (session->running || !g_queue_is_empty(&session->queue))
        entry->size = result->length;
    if (result->event == FRAMER_ERROR) {
        entry->failed = true;
        entry->size = 0;
        proto_error_set(&entry->error, PROTO_GENERIC_ERROR, "%s", result->data);
    } else if (result->length > HEAVY_BYTES && is_full(session, entry->size)) {
        fail_full(session, entry); /* not even its id is looked for */
    } else if (result->length > HEAVY_BYTES) {
        parse_elsewhere(session, entry, result->length);
    } else if (!request_parse(result->data, result->length, &entry->request, &entry->error)) {
        entry->failed = true;
    }
    enqueue(session, entry);
}

static gboolean silence_over(gpointer user_data)
{
    Session *session = user_data;
    Entry *entry = g_new0(Entry, 1);

    deadline_source_clear(&session->silence);
    framer_reset(session->framer);
    entry->failed = true;
    proto_error_set(&entry->error, PROTO_GENERIC_ERROR,
                    "JSON parse error, the request was not finished within %.0f s and is dropped",
                    (double)SESSION_SILENCE_US / USEC_PER_SEC);
    enqueue(session, entry);
    serve(session);
    return G_SOURCE_REMOVE;
}

void session_data(Session *session, const uint8_t *bytes, size_t count)
{
    FramerResult result;

    session->reads++;
    while (count > 0) {
        size_t used = framer_push(session->framer, bytes, count, &result);

        bytes += used;
        count -= used;
        if (result.event != FRAMER_MORE)
            take_frame(session, &result);
    }
    (void)framer_push(session->framer, NULL, 0, &result); /* gives a large buffer back */
    deadline_source_clear(&session->silence);
    if (framer_in_frame(session->framer))
        session->silence =
            deadline_source_new(deadline_in(SESSION_SILENCE_US), silence_over, session);
    serve(session);
}

bool session_is_idle(const Session *session)
{
    return !session->running && session->queue.length == 0 && !framer_in_frame(session->framer);
}

bool session_parted(Session *session)
{
    framer_reset(session->framer);
    deadline_source_clear(&session->silence);
    return session->running || session->queue.length > 0;
}

void session_eof(Session *session)
{
    session->eof = true;
    serve(session);
}
