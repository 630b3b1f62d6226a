/*
 * filesystems_progress: how far the filesystems of an operation are, and what is in their way.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "quiesce/filesystems.h"

unsigned fs_stage_frozen(const FsStage *stage); /* frozen right now */
unsigned fs_stage_held(const FsStage *stage);   /* how many were frozen by this operation */
unsigned fs_stage_thawed_count(const FsStage *stage);
unsigned fs_stage_pending(const FsStage *stage);  /* calls stuck in the kernel */
const char *fs_stage_stuck(const FsStage *stage); /* a mount point not thawed yet, for texts */
/* Why the keeper thawed by itself, as `cause` says (KeeperCause; -1: none); NULL: it did not. */
const char *fs_stage_cause(int cause, ReportEndedBy *ret_ended_by);
/* Why the freeze ended although a thaw was asked for at the same moment; NULL: it did not. */
const char *fs_stage_ended(const FsStage *stage, ReportEndedBy *ret_ended_by);
bool fs_stage_foreign_thaw(const FsStage *stage, const char **ret_mountpoint);
/* A FITHAW is under way that has not failed: a little patience may be all it takes. */
bool fs_stage_thaws(const FsStage *stage);
/* What is frozen although a thaw was asked for: NULL, or a mount point, why, and how many more. */
const char *fs_stage_unthawed(const FsStage *stage, const char **ret_reason, unsigned *ret_more);
/* First failure: name (mount point) and reason, and how many more there are. */
const char *fs_stage_failure(const FsStage *stage, const char **ret_name, unsigned *ret_more);
