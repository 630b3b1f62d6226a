/*
 * plan: see plan.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/plan.h"

#include "quiesce/json.h"

typedef struct {
    Coordinator *coordinator;
    char **mountpoints;
    Survey *survey;
    PlanDone done;
    gpointer user_data;
} Planning;

static void end(Planning *planning, json_t *plan, const char *error)
{
    planning->done(plan, error, planning->user_data);
    g_strfreev(planning->mountpoints);
    survey_free(planning->survey);
    g_free(planning);
}

static void warned(Warnings *warnings, gpointer user_data)
{
    Planning *planning = user_data;
    g_autoptr(Warnings) owned = warnings;

    end(planning,
        quiesce_plan_json(planning->coordinator, planning->survey, owned,
                          (const char *const *)planning->mountpoints),
        NULL);
}

static void surveyed(Survey *survey, gpointer user_data)
{
    Planning *planning = user_data;
    const char *const *mountpoints = (const char *const *)planning->mountpoints;
    g_autofree char *unknown = NULL;
    g_autoptr(GError) error = NULL;

    planning->survey = survey;
    if (survey->error) {
        end(planning, NULL, survey->error->message);
        return;
    }
    if (mountpoints && !mounts_find_unknown(survey->mounts, mountpoints, &unknown)) {
        g_autofree char *text = g_strdup_printf("no filesystem is mounted at %s", unknown);

        end(planning, NULL, text);
        return;
    }
    if (!coordinator_warnings(planning->coordinator, survey->mounts, mountpoints, warned, planning,
                              &error))
        end(planning, NULL, error->message);
}

void plan_run(Coordinator *coordinator, const char *const *mountpoints, PlanDone done,
              gpointer user_data)
{
    Planning *planning = g_new0(Planning, 1);
    g_autoptr(GError) error = NULL;

    *planning = (Planning){
        .coordinator = coordinator,
        .mountpoints = g_strdupv((char **)mountpoints),
        .done = done,
        .user_data = user_data,
    };
    if (coordinator_commands_limited(coordinator))
        end(planning, NULL, "filesystems are frozen: a plan would read from them; thaw first");
    else if (!coordinator_survey(coordinator, surveyed, planning, &error))
        end(planning, NULL, error->message);
}
