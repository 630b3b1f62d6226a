/*
 * log: structured records to the journal or to standard error, never waiting for either.
 *
 * The journal socket is non-blocking in every state; what it does not take at once goes to a ring
 * of LOG_RING_RECORDS records, oldest dropped and counted. While held (log_hold, from the first
 * FIFREEZE to the last FITHAW) everything goes to the ring: journald may sit on a frozen
 * filesystem, and a few thousand lines block its socket for good. log_release() writes the ring.
 * Standard error is written only when poll() says that it takes a line without waiting.
 *
 * One thread (the main loop's) uses a Log. Leaf code does not log: who decides, logs once.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#define LOG_RING_RECORDS 256u  /* a long freeze writes some tens; the rest is reserve */
#define LOG_RECORD_MAX   1024u /* bytes of one message; longer ones are cut */
#define LOG_FIELD_MAX    256u  /* bytes of one field's value; the same */

typedef enum { LOG_ERROR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG } LogLevel;

typedef struct Log Log;

/* `identifier` is SYSLOG_IDENTIFIER. Uses the journal when standard error is connected to it
 * (JOURNAL_STREAM) or `journal_path` is given (tests), else standard error. Never fails. */
Log *log_new(const char *identifier, LogLevel level, const char *journal_path);
void log_free(Log *log); /* releases first; NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Log, log_free)

bool log_level_parse(const char *name, LogLevel *ret_level); /* error … debug */
const char *log_level_name(LogLevel level);
void log_set_level(Log *log, LogLevel level);

/* `message_id`: 32 hex digits for events an operator may look for, or NULL. `log` may be NULL. */
void log_write(Log *log, LogLevel level, const char *message_id, const char *format, ...)
    G_GNUC_PRINTF(4, 5);
/* The same with fields of the journal: pairs of name and value (NULL: left out), ended by NULL. */
void log_event(Log *log, LogLevel level, const char *message_id, const char *const *fields,
               const char *format, ...) G_GNUC_PRINTF(5, 6);
#define log_error(log, ...)   log_write(log, LOG_ERROR, NULL, __VA_ARGS__)
#define log_warning(log, ...) log_write(log, LOG_WARNING, NULL, __VA_ARGS__)
#define log_notice(log, ...)  log_write(log, LOG_NOTICE, NULL, __VA_ARGS__)
#define log_info(log, ...)    log_write(log, LOG_INFO, NULL, __VA_ARGS__)
#define log_debug(log, ...)   log_write(log, LOG_DEBUG, NULL, __VA_ARGS__)

bool log_to_journal(const Log *log); /* not to standard error */

void log_hold(Log *log);
void log_release(Log *log); /* writes what the ring holds, as far as it goes without waiting */
