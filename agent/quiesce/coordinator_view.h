/*
 * coordinator_view: what can be seen of the coordinator, its operations and what it would do.
 *
 * Nothing here changes the state.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "quiesce/coordinator.h"
#include "quiesce/machine.h"
#include "quiesce/report.h"
#include "quiesce/warnings.h"

MachineState coordinator_state(const Coordinator *coordinator);
const char *coordinator_fsfreeze_status(const Coordinator *coordinator); /* "frozen", "thawed" */
bool coordinator_verdict_pending(const Coordinator *coordinator);
bool coordinator_ready(const Coordinator *coordinator, const char **ret_reason);
/* Of the operation under way; NULL: none. */
const Report *coordinator_report(const Coordinator *coordinator);
int64_t coordinator_frozen_us(const Coordinator *coordinator); /* since when; 0: not */
History *coordinator_history(Coordinator *coordinator);
bool coordinator_commands_limited(const Coordinator *coordinator); /* disks must not be touched */
int64_t coordinator_reply_budget(const Coordinator *coordinator);
int64_t coordinator_frozen_limit(const Coordinator *coordinator); /* of the operation under way */
/* The limit a freeze gets that asks for `wanted_us` (0: nothing): see hungtask.h. */
int64_t coordinator_limit(const Coordinator *coordinator, int64_t wanted_us);
char *coordinator_metrics_text(const Coordinator *coordinator); /* OpenMetrics */

GPtrArray *coordinator_participants(const Coordinator *coordinator); /* Participant *, new ones */
/* A survey for guest-quiesce-plan, by the coordinator's paths and configuration. */
bool coordinator_survey(Coordinator *coordinator, SurveyDone done, gpointer user_data,
                        GError **error);
/* What is likely to hurt when `mountpoints` (NULL: all) of the survey's mounts are frozen. */
bool coordinator_warnings(Coordinator *coordinator, GPtrArray *mounts,
                          const char *const *mountpoints, WarningsDone done, gpointer user_data,
                          GError **error);
