/*
 * log_sink: one record to the journal's socket or to standard error, now or not at all.
 *
 * The sink keeps nothing back; LOG_SINK_BUSY means "again later". Never blocks.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/log_ring.h"

typedef struct LogSink LogSink;

typedef enum {
    LOG_SINK_WRITTEN,
    LOG_SINK_BUSY, /* nothing was written; later it may be */
    LOG_SINK_GONE, /* nobody reads any more, or this record can never be taken */
} LogSinkResult;

/* As log_new(). */
LogSink *log_sink_new(const char *identifier, const char *journal_path);
void log_sink_free(LogSink *sink);
bool log_sink_is_journal(const LogSink *sink);
/* `held_us`: how long the record waited in the ring; 0: not at all. */
LogSinkResult log_sink_write(LogSink *sink, const LogRecord *record, int64_t held_us);
