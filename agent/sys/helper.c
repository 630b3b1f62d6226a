/*
 * helper: see helper.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/helper.h"

#include "base/text.h"

#include <signal.h>
#include <string.h>

typedef struct {
    Exec *exec;
    ExecBudget budget;
    GSource *timer;
    HelperDone done;
    gpointer user_data;
    bool timed_out;
} Helper;

static gboolean helper_free(gpointer data)
{
    Helper *helper = data;

    exec_free(helper->exec);
    g_free(helper);
    return G_SOURCE_REMOVE;
}

/* The Exec is in the middle of telling us: it goes a moment later. */
static void finish(Helper *helper, const HelperResult *result)
{
    deadline_source_clear(&helper->timer);
    helper->done(result, helper->user_data);
    (void)g_idle_add(helper_free, helper);
}

static gboolean late(gpointer user_data)
{
    Helper *helper = user_data;

    deadline_source_clear(&helper->timer);
    helper->timed_out = true;
    if (exec_pid(helper->exec) > 0)
        (void)kill(-exec_pid(helper->exec), SIGKILL);
    helper->done(&(HelperResult){.timed_out = true, .words = ""}, helper->user_data);
    /* Not yet started, or being killed: it is let go when it is over. */
    return G_SOURCE_REMOVE;
}

static void started(Exec *exec, int error, gpointer user_data)
{
    Helper *helper = user_data;

    if (helper->timed_out && error == 0)
        (void)kill(-exec_pid(exec), SIGKILL);
    else if (helper->timed_out)
        (void)g_idle_add(helper_free, helper);
    else if (error != 0)
        finish(helper, &(HelperResult){.error = error, .words = ""});
}

static void over(Exec *exec, gpointer user_data)
{
    Helper *helper = user_data;
    ExecOutput output = exec_take_stdout(exec);
    char words[TEXT_LINE_MAX + 1] = "";
    HelperResult result = {.words = words};

    result.status = exec_status(exec, &result.signal);
    if (output.length > 0) {
        g_autofree char *text = g_strndup((const char *)output.bytes, output.length);

        (void)text_last_line(words, sizeof(words), text, strlen(text));
    }
    g_free(output.bytes);
    if (helper->timed_out)
        (void)g_idle_add(helper_free, helper);
    else
        finish(helper, &result);
}

static void drained(Exec *exec, gpointer user_data)
{
    (void)exec;
    (void)user_data;
}

void helper_run(const HelperSpec *spec, Deadline deadline, HelperDone done, gpointer user_data)
{
    static const ExecEvents EVENTS = {started, over, drained};
    static const char *const ENVIRONMENT[] = {
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", NULL};
    Helper *helper = g_new0(Helper, 1);
    ExecSpec exec = {
        .path = spec->argv[0],
        .argv = spec->argv,
        .envp = ENVIRONMENT,
        .search = spec->search,
        .input = (uint8_t *)g_strdup(spec->input),
        .input_length = spec->input ? strlen(spec->input) : 0,
        .keep_stdout = true,
        .merge = true,
        .budget = &helper->budget,
    };

    helper->budget.max = (size_t)8 << 10;
    helper->done = done;
    helper->user_data = user_data;
    helper->timer = deadline_source_new(deadline, late, helper);
    helper->exec = exec_start(&exec, &EVENTS, helper);
}
