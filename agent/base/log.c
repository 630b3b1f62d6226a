/*
 * log: see log.h. The order of records, the hold and the retries; where they go is log_sink.c.
 *
 * A record is written at once or joins the ring; while the ring holds anything, later ones queue
 * behind it. A one-shot timer tries again, less and less often while nothing goes through: a
 * journal that is away for good costs no wake-ups to speak of.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "base/deadline.h"
#include "base/log_sink.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define RETRY_FIRST_US (200 * USEC_PER_MSEC)
#define RETRY_LAST_US  (30 * USEC_PER_SEC)

struct Log {
    LogSink *sink;
    LogRing *ring;
    LogLevel level;
    bool held;
    GSource *retry; /* only while the ring holds something and is not held */
    int64_t retry_us;
};

static const char *const LEVEL_NAMES[] = {"error", "warning", "notice", "info", "debug"};

Log *log_new(const char *identifier, LogLevel level, const char *journal_path)
{
    Log *log = g_new0(Log, 1);

    log->sink = log_sink_new(identifier, journal_path);
    log->ring = log_ring_new();
    log->level = level;
    log->retry_us = RETRY_FIRST_US;
    return log;
}

void log_free(Log *log)
{
    if (!log)
        return;
    log_release(log);
    deadline_source_clear(&log->retry);
    log_ring_free(log->ring);
    log_sink_free(log->sink);
    g_free(log);
}

bool log_level_parse(const char *name, LogLevel *ret_level)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(LEVEL_NAMES); i++) {
        if (strcmp(LEVEL_NAMES[i], name) != 0)
            continue;
        *ret_level = (LogLevel)i;
        return true;
    }
    return false;
}

const char *log_level_name(LogLevel level)
{
    return LEVEL_NAMES[level];
}

void log_set_level(Log *log, LogLevel level)
{
    if (log)
        log->level = level;
}

/* Dropped records are older than all that the ring holds, so the word about them goes first. */
static bool flush_dropped(Log *log)
{
    unsigned dropped = log_ring_dropped(log->ring);
    g_autofree char *message = NULL;
    LogRecord record = {.at_us = deadline_now(), .level = LOG_WARNING};

    if (dropped == 0)
        return true;
    message = g_strdup_printf("%u %s dropped while the log was held or could not be written",
                              dropped, dropped == 1 ? "message was" : "messages were");
    record.message = message;
    if (log_sink_write(log->sink, &record, 0) == LOG_SINK_BUSY)
        return false;
    log_ring_reset_dropped(log->ring);
    return true;
}

/* True: the ring is empty now. */
static bool flush(Log *log)
{
    const LogRecord *record = NULL;

    if (!flush_dropped(log))
        return false;
    while ((record = log_ring_first(log->ring))) {
        int64_t held_us = MAX(deadline_now() - record->at_us, 1);

        if (log_sink_write(log->sink, record, held_us) == LOG_SINK_BUSY)
            return false;
        log_ring_pop(log->ring);
        log->retry_us = RETRY_FIRST_US;
    }
    return true;
}

static gboolean on_retry(gpointer user_data);

static void schedule_retry(Log *log)
{
    if (log->retry || log->held || !log_ring_first(log->ring))
        return;
    log->retry = deadline_source_new(deadline_in(log->retry_us), on_retry, log);
    log->retry_us = MIN(log->retry_us * 2, RETRY_LAST_US);
}

static gboolean on_retry(gpointer user_data)
{
    Log *log = user_data;

    deadline_source_clear(&log->retry);
    if (!log->held && !flush(log))
        schedule_retry(log);
    return G_SOURCE_REMOVE;
}

static void write_record(Log *log, const LogRecord *record)
{
    if (!log->held && flush(log)) {
        deadline_source_clear(&log->retry);
        if (log_sink_write(log->sink, record, 0) != LOG_SINK_BUSY)
            return;
    }
    log_ring_push(log->ring, record);
    schedule_retry(log);
}

/* Cuts a message that did not fit before the character that was cut through. */
static void cut_at_character(char *message)
{
    const char *end = NULL;

    if (!g_utf8_validate(message, -1, &end) && strlen(end) < 4)
        message[end - message] = '\0';
}

G_GNUC_PRINTF(3, 0)
static void write_format(Log *log, LogRecord *record, const char *format, va_list args)
{
    char message[LOG_RECORD_MAX + 1];

    if (vsnprintf(message, sizeof message, format, args) >= (int)sizeof message)
        cut_at_character(message);
    record->at_us = deadline_now();
    record->message = message;
    write_record(log, record);
}

void log_write(Log *log, LogLevel level, const char *message_id, const char *format, ...)
{
    LogRecord record = {.level = level};
    int saved_errno = errno;
    va_list args;

    if (!log || level > log->level)
        return;
    if (message_id)
        g_strlcpy(record.message_id, message_id, sizeof record.message_id);
    va_start(args, format);
    write_format(log, &record, format, args);
    va_end(args);
    errno = saved_errno;
}

void log_event(Log *log, LogLevel level, const char *message_id, const char *const *fields,
               const char *format, ...)
{
    LogRecord record = {.level = level};
    g_autoptr(GString) text = NULL;
    int saved_errno = errno;
    va_list args;

    if (!log || level > log->level)
        return;
    text = g_string_new(NULL);
    for (; fields && fields[0]; fields += 2) {
        char value[LOG_FIELD_MAX + 1];

        if (!fields[1])
            continue;
        text_line(value, sizeof value, fields[1], (size_t)-1);
        g_string_append_printf(text, "%s=%s\n", fields[0], value);
    }
    record.fields = text->str;
    g_strlcpy(record.message_id, message_id, sizeof record.message_id);
    va_start(args, format);
    write_format(log, &record, format, args);
    va_end(args);
    errno = saved_errno;
}

bool log_to_journal(const Log *log)
{
    return log && log_sink_is_journal(log->sink);
}

void log_hold(Log *log)
{
    if (!log)
        return;
    log->held = true;
    deadline_source_clear(&log->retry);
}

void log_release(Log *log)
{
    if (!log)
        return;
    log->held = false;
    log->retry_us = RETRY_FIRST_US;
    if (!flush(log))
        schedule_retry(log);
}
