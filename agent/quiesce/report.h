/*
 * report: what happened in one operation, and the last REPORT_HISTORY of them.
 *
 * The coordinator writes facts while they happen (memory only); the host and local tools read them
 * as JSON (json.h). What is in one is in report_record.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "quiesce/report_record.h"
#include "sys/mounts.h"
#include <stdbool.h>
#include <stdint.h>

#define REPORT_HISTORY 100u

Report *report_new(const char *operation, bool local, const char *channel);
Report *report_new_stored(const char *operation, const char *json, bool verdict_delivered);
Report *report_ref(Report *report);
void report_unref(Report *report);

int64_t report_offset(const Report *report, int64_t monotonic_us);
ReportParticipant *report_add_participant(Report *report, const Participant *participant);
ReportFilesystem *report_add_filesystem(Report *report, const Mount *mount);
/* Adds a step that begins now and returns its index; the answer is filled in when it comes. */
unsigned report_step_begin(Report *report, ReportParticipant *participant, Verb verb);
void report_step_end(Report *report, ReportParticipant *participant, unsigned step,
                     const StepOutcome *outcome);
void report_fs_reason(ReportFilesystem *filesystem, ReportFsResult result, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
/* Lowers the level; the first reason for the lowest level stays. */
void report_lower(Report *report, Level level, const char *format, ...) G_GNUC_PRINTF(3, 4);

/* Newest first; owns references. */
typedef struct History History;
History *history_new(void);
void history_free(History *history);
void history_add(History *history, Report *report);
void history_replace(History *history, Report *old, Report *report); /* takes the reference over */
void history_add_oldest(History *history, Report *report);           /* takes the reference over */
Report *history_find(History *history, const char *operation);       /* borrowed; NULL: none */
Report *history_nth(History *history, unsigned index);               /* 0: newest; borrowed */
