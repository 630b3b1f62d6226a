/*
 * archive: the history and the counters on disk, so that they outlive the service.
 *
 * One file, DIRECTORY/history: a line of JSON with the counters, then a line a report, newest
 * first. Read once at start and written whole to a new file that replaces the old one, both in an
 * offload thread and never while anything is frozen. What goes wrong costs the history of earlier
 * starts, never a freeze: it is said once, and an unreadable file is replaced by the next one
 * written.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/log.h"
#include "quiesce/metrics.h"

#define ARCHIVE_BYTES_MAX  ((size_t)1 << 20)   /* the file; older reports are left out */
#define ARCHIVE_REPORT_MAX ((size_t)64 << 10)  /* one report; its lists are cut */
#define ARCHIVE_WAIT_US    (30 * USEC_PER_SEC) /* a slow disk; then the thread is given up */
#define ARCHIVE_FLUSH_US   (2 * USEC_PER_SEC)  /* a stop of the service waits so long for it */

typedef struct Archive Archive;

/* `directory` NULL: nothing is kept. The others are borrowed. */
Archive *archive_new(const char *directory, Log *log, History *history, Metrics *metrics);
void archive_free(Archive *archive);
void archive_load(Archive *archive);  /* what is there joins history and counters, when read */
void archive_touch(Archive *archive); /* something is to be written, when it may be */
/* Whether nothing is frozen and nothing under way; writes what is to be written. */
void archive_permit(Archive *archive, bool permitted);
/* Writes now if need be, `permitted` or not; `done` once, at the latest after ARCHIVE_FLUSH_US. */
void archive_flush(Archive *archive, void (*done)(gpointer user_data), gpointer user_data);
