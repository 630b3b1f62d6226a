/*
 * log_ring: records that wait for their writer, oldest first; when full the oldest makes room and
 * is counted.
 *
 * Memory is taken per record and given back when it leaves: an idle service holds a few words.
 * Not thread-safe. Never blocks.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/log.h"
#include <stdint.h>

#define LOG_ID_LENGTH 32u /* hex digits of a MESSAGE_ID */

typedef struct {
    int64_t at_us; /* monotonic, when it was logged */
    LogLevel level;
    char message_id[LOG_ID_LENGTH + 1]; /* "": none */
    const char *message;
    const char *fields; /* "NAME=value\n"…, for the journal; NULL: none */
} LogRecord;

typedef struct LogRing LogRing;

LogRing *log_ring_new(void);
void log_ring_free(LogRing *ring);
void log_ring_push(LogRing *ring, const LogRecord *record); /* copies */
const LogRecord *log_ring_first(const LogRing *ring);       /* NULL: empty */
void log_ring_pop(LogRing *ring);
unsigned log_ring_length(const LogRing *ring);
unsigned log_ring_dropped(const LogRing *ring); /* since the last reset */
void log_ring_reset_dropped(LogRing *ring);
