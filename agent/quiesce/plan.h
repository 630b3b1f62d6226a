/*
 * plan: what a freeze would do now: a survey, then what is likely to hurt, then JSON.
 *
 * Used by guest-quiesce-plan and by the bus. Directories and tables are read in threads; refused
 * while filesystems are frozen.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "quiesce/coordinator.h"
#include <jansson.h>

#define PLAN_MOUNTPOINTS_MAX 1024u /* that one request names; ARG_NAMES_MAX on a channel */

/* Exactly once: `plan`, to be taken over, or NULL and why there is none. Possibly from within
 * plan_run(). */
typedef void (*PlanDone)(json_t *plan, const char *error, gpointer user_data);

/* `mountpoints` NULL: all; copied. */
void plan_run(Coordinator *coordinator, const char *const *mountpoints, PlanDone done,
              gpointer user_data);
