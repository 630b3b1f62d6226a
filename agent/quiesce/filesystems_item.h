/*
 * filesystems_item: one filesystem of a stage, and the states that a stage goes through.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "quiesce/filesystems.h"
#include "sys/offload.h"

typedef enum {
    FS_OPENING,
    FS_ARMING,
    FS_READY,
    FS_SYNCING,
    FS_FREEZING,
    FS_HELD,
    FS_THAWING,
    FS_OVER,
} FsState;

typedef struct {
    FsStage *stage;
    const Mount *mount;
    ReportFilesystem *entry;
    OffloadOpen *open;
    int fd;         /* -1: not open */
    bool to_freeze; /* false: only synced */
    bool frozen, was_frozen, thawed, foreign_thaw;
    int64_t frozen_at_us;
} FsItem;
