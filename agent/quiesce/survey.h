/*
 * survey: what there is to quiesce: hook scripts and filesystems, with their order.
 *
 * Reads directories and kernel tables in an offload thread, because /etc may lie on a slow disk and
 * a node may have ten thousand mounts in hundreds of namespaces. Used by a freeze, before any
 * participant is called, and by guest-quiesce-plan.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/config.h"
#include "sys/hookdir.h"
#include "sys/mounts.h"
#include "sys/offload.h"

#define SURVEY_TIMEOUT_US                                                                          \
    (10 * USEC_PER_SEC) /* a survey takes milliseconds; a dead disk for ever */

typedef struct {
    const char *mountinfo, *sysfs, *procfs;
    uid_t hook_owner;
    const char *run_as; /* quiesced-run-as */
    const char *state;  /* the folder the agent writes to while frozen */
} SurveyPaths;

typedef struct {
    GPtrArray *hooks;  /* Hook *, owned; NULL on error */
    GPtrArray *mounts; /* Mount *, owned; NULL on error */
    char *unseen;      /* mounts that could not be looked at, and why; NULL: none */
    GError *error;
} Survey;

typedef void (*SurveyDone)(Survey *survey, gpointer user_data); /* owned by the callee */

/* NULL: no thread could be started, `error` set. */
Offload *survey_run(const SurveyPaths *paths, const Config *config, SurveyDone done,
                    gpointer user_data, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void survey_cancel(Offload *surveying); /* `done` will not be called */
void survey_free(Survey *survey);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Survey, survey_free)
