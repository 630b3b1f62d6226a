/*
 * warnings: what is likely to hurt at a freeze, found beforehand: for guest-quiesce-plan and
 * whoever else shows a plan.
 *
 * Reads procfs, sysfs and debugfs in an offload thread; touches no path of a filesystem. What takes
 * too long is left out, and the result says that it is not complete.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "quiesce/survey.h"

#define WARNINGS_LOOK_US    (3 * USEC_PER_SEC) /* a large node's /proc takes about 0.5 s */
#define WARNINGS_TIMEOUT_US (4 * USEC_PER_SEC)
/* A flush as long as this makes a freeze late whatever the host allows; half of what it allows is
 * much, too. */
#define WARNINGS_FLUSH_US (10 * USEC_PER_SEC)

typedef struct {
    SurveyPaths paths;
    GPtrArray *mounts;              /* Mount *, of a survey; a reference is taken */
    const char *const *mountpoints; /* to be frozen; NULL: all that can be */
    bool log_in_journal;
    int64_t reply_budget_us, limit_us; /* the limit as configured */
} WarningsSpec;

typedef struct {
    const char *code; /* as in guest-quiesce-plan; static */
    char *text, *subject;
} Warning;

typedef struct {
    GPtrArray *list; /* Warning * */
    bool complete;
    int64_t flush_us; /* until what is dirty now is on disk; -1: not known */
} Warnings;

typedef void (*WarningsDone)(Warnings *warnings, gpointer user_data); /* owned by the callee */

/* All of `spec` is copied. NULL: no thread could be started, `error` set. */
Offload *warnings_run(const WarningsSpec *spec, WarningsDone done, gpointer user_data,
                      GError **error) G_GNUC_WARN_UNUSED_RESULT;
void warnings_free(Warnings *warnings);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Warnings, warnings_free)
