/*
 * report: what happened in one operation, and the last REPORT_HISTORY of them.
 *
 * The coordinator writes facts while they happen (memory only); the host and local tools read them
 * as JSON (report_json.h). Offsets are microseconds from the start of the operation; -1: did not
 * happen. Strings are owned by the report.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "quiesce/participant.h"
#include "sys/mounts.h"
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define REPORT_HISTORY 100u

typedef enum { LEVEL_CRASH, LEVEL_FILESYSTEM, LEVEL_APPLICATION } Level;
const char *level_name(Level level);

typedef enum {
    REPORT_RUNNING,
    REPORT_OK,
    REPORT_FAILED,
    REPORT_CANCELLED,
    REPORT_LOST
} ReportResult;
const char *report_result_name(ReportResult result);

typedef enum {
    ENDED_BY_NOTHING,
    ENDED_BY_HOST_THAW,
    ENDED_BY_ROLLBACK,
    ENDED_BY_LIMIT,
    ENDED_BY_SERVICE_DEATH,
    ENDED_BY_KEEPER_DEATH,
    ENDED_BY_LOCAL_THAW,
    ENDED_BY_STOP,
    ENDED_BY_SUSPEND,
    ENDED_BY_SHUTDOWN,
    ENDED_BY_PARTICIPANT_LOST,
    ENDED_BY_COUNT,
} ReportEndedBy;
const char *report_ended_by_name(ReportEndedBy ended_by); /* NULL for NOTHING */

typedef struct {
    Verb verb;
    StepResult result;
    int64_t start_us, duration_us;
    int exit_code, signal; /* -1, 0: none */
    char *reason;          /* NULL: none */
} ReportStep;

typedef struct {
    char *name;
    ParticipantKind kind;
    unsigned order;
    OnFailure on_failure;
    StepResult result;
    GArray *steps; /* ReportStep */
} ReportParticipant;

typedef enum { FS_PENDING, FS_FROZEN, FS_SKIPPED, FS_FAILED, FS_BUSY } ReportFsResult;
const char *report_fs_result_name(ReportFsResult result);

typedef struct {
    char *mountpoint, *device, *type;
    unsigned major, minor;
    ReportFsResult result;
    int64_t start_us, presync_us, freeze_us, frozen_us, thaw_us; /* -1: not */
    char *reason;
} ReportFilesystem;

typedef struct {
    char operation[40];
    bool local; /* origin */
    bool rehearsal;
    char *channel;
    int64_t started_unix_ms, started_us; /* wall clock; CLOCK_MONOTONIC */
    ReportResult result;
    char *error;
    ReportEndedBy ended_by;
    Level level;
    char *level_reason; /* NULL for application */
    bool verdict_delivered;
    int host_verdict; /* -1: none, 0 failure, 1 success */
    int64_t prepare_us, freeze_us, frozen_us, thaw_us, paused_us;
    int64_t dirty_before_bytes, dirty_after_bytes; /* -1: not measured */
    GPtrArray *participants;                       /* ReportParticipant */
    GPtrArray *filesystems;                        /* ReportFilesystem */
    bool sketch;  /* made of the ledger: a stored one of the same operation says more */
    char *stored; /* of an earlier start: its JSON; besides only `operation` and
                   * `verdict_delivered` are set, and the latter is the truth */
} Report;

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
