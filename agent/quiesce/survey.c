/*
 * survey: see survey.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/survey.h"

#include "sys/graph.h"

/* Everything the thread needs, copied: it may outlive the operation and the configuration. */
typedef struct {
    char *mountinfo, *sysfs, *procfs, *state, *run_as;
    bool all_namespaces;
    uid_t owner;
    char **include, **exclude, **directories;
    char *stock_directory, *stock_hook;
} SurveyInput;

typedef struct {
    SurveyDone done;
    gpointer user_data;
} SurveyCall;

static void survey_input_free(gpointer data)
{
    SurveyInput *input = data;

    g_free(input->mountinfo);
    g_free(input->sysfs);
    g_free(input->procfs);
    g_free(input->state);
    g_free(input->run_as);
    g_strfreev(input->include);
    g_strfreev(input->exclude);
    g_strfreev(input->directories);
    g_free(input->stock_directory);
    g_free(input->stock_hook);
    g_free(input);
}

void survey_free(Survey *survey)
{
    if (!survey)
        return;
    g_clear_pointer(&survey->hooks, g_ptr_array_unref);
    g_clear_pointer(&survey->mounts, g_ptr_array_unref);
    g_free(survey->unseen);
    g_clear_error(&survey->error);
    g_free(survey);
}

static void survey_mounts(const SurveyInput *input, Survey *survey)
{
    g_auto(GStrv) swaps = graph_swap_files(input->procfs);
    MountsOptions options = {
        .mountinfo = input->mountinfo,
        .include = (const char *const *)input->include,
        .exclude = (const char *const *)input->exclude,
        .procfs = input->all_namespaces ? input->procfs : NULL,
        .overlays = graph_has_loops(input->sysfs),
    };
    GraphOptions graph = {
        .sysfs = input->sysfs,
        .loop = graph_loop_device,
        .swap_files = (const char *const *)swaps,
        .state = input->state,
    };

    survey->mounts = mounts_list(&options, &survey->unseen, &survey->error);
    if (survey->mounts)
        graph_rank(survey->mounts, &graph);
}

static gpointer survey_thread(gpointer data)
{
    const SurveyInput *input = data;
    Survey *survey = g_new0(Survey, 1);
    HookdirOptions hooks = {
        .directories = (const char *const *)input->directories,
        .stock_directory = input->stock_directory,
        .stock_hook = input->stock_hook,
        .owner = input->owner,
        .run_as = input->run_as,
    };

    survey->hooks = hookdir_scan(&hooks, &survey->error);
    if (survey->hooks)
        survey_mounts(input, survey);
    return survey;
}

static void survey_arrived(gpointer result, bool timed_out, gpointer user_data)
{
    g_autofree SurveyCall *call = user_data;
    Survey *survey = result;

    if (timed_out || !survey) {
        survey = g_new0(Survey, 1);
        g_set_error(&survey->error, AGENT_ERROR, AGENT_ERROR_TIMED_OUT,
                    "reading hooks and mounts took longer than %.0f s; is the disk that holds "
                    "/etc there?",
                    (double)SURVEY_TIMEOUT_US / USEC_PER_SEC);
    }
    call->done(survey, call->user_data);
}

Offload *survey_run(const SurveyPaths *paths, const Config *config, SurveyDone done,
                    gpointer user_data, GError **error)
{
    SurveyInput *input = g_new0(SurveyInput, 1);
    SurveyCall *call = g_new0(SurveyCall, 1);
    Offload *offload = NULL;

    input->mountinfo = g_strdup(paths->mountinfo);
    input->sysfs = g_strdup(paths->sysfs);
    input->procfs = g_strdup(paths->procfs);
    input->state = g_strdup(paths->state);
    input->run_as = g_strdup(paths->run_as);
    input->all_namespaces = config->filesystems.all_namespaces;
    input->owner = paths->hook_owner;
    input->include = g_strdupv(config->filesystems.include);
    input->exclude = g_strdupv(config->filesystems.exclude);
    input->directories = g_strdupv(config->hooks.directories);
    input->stock_directory = g_strdup(config->hooks.stock_directory);
    input->stock_hook = g_strdup(config->hooks.stock_hook);
    *call = (SurveyCall){done, user_data};
    offload =
        offload_run("survey", survey_thread, input, survey_input_free, (GDestroyNotify)survey_free,
                    deadline_in(SURVEY_TIMEOUT_US), survey_arrived, call, error);
    if (!offload)
        g_free(call);
    return offload;
}

void survey_cancel(Offload *surveying)
{
    g_free(offload_user_data(surveying));
    offload_cancel(surveying);
}
