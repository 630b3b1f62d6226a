/*
 * report_outcome: how an operation, and how each of its filesystems, ended; and the names of that.
 *
 * Names are those of the JSON that hosts and local tools read.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

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

typedef enum { FS_PENDING, FS_FROZEN, FS_SKIPPED, FS_FAILED, FS_BUSY } ReportFsResult;
const char *report_fs_result_name(ReportFsResult result);
