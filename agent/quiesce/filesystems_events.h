/*
 * filesystems_events: what the filesystems of an operation tell the coordinator.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "quiesce/report.h"

typedef struct FsStage FsStage;

typedef struct {
    void (*opened)(FsStage *stage, gpointer user_data); /* opened and armed */
    /* Synced, and the fds are with the service manager: it can be frozen. */
    void (*synced)(FsStage *stage, gpointer user_data);
    void (*frozen)(FsStage *stage, gpointer user_data); /* everything that must be is frozen */
    /* A step failed; fs_stage_failure() says why. The coordinator rolls back. */
    void (*failed)(FsStage *stage, gpointer user_data);
    /* All thawed, or FS_THAW_WAIT_US passed; fs_stage_pending() are still in the kernel. */
    void (*thawed)(FsStage *stage, gpointer user_data);
    /* After `thawed` with pending ones: now all are. */
    void (*settled)(FsStage *stage, gpointer user_data);
    /* Without the keeper, and something cannot be thawed for UNFREEZE_PATIENT_US. */
    void (*hopeless)(FsStage *stage, gpointer user_data);
    /* The freeze ended by itself: limit, silence, the keeper's death. Thawing has begun. */
    void (*lost)(FsStage *stage, ReportEndedBy ended_by, const char *reason, gpointer user_data);
} FsStageEvents;
