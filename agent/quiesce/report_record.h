/*
 * report_record: the facts that a report is made of.
 *
 * Offsets are microseconds from the start of the operation; -1: did not happen. Strings are owned
 * by the report.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "quiesce/participant.h"
#include "quiesce/report_outcome.h"
#include <glib.h>

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
