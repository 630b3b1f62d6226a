/*
 * session_rig: see session_rig.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "session_rig.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

void set_up(Fixture *f, gconstpointer data)
{
    (void)data;
    f->directory = g_dir_make_tmp("session-XXXXXX", NULL);
    f->script = g_build_filename(f->directory, "app", NULL);
    f->log = g_build_filename(f->directory, "log", NULL);
    f->runtime = g_build_filename(f->directory, "run", NULL);
    g_assert_cmpint(g_mkdir(f->runtime, 0755), ==, 0);
    f->options = (HookOptions){.runtime_dir = f->runtime, .report_output = true};
    f->hook = (Hook){.name = (char *)"app",
                     .path = f->script,
                     .kind = HOOK_SESSION,
                     .order = 30,
                     .verbs = HOOK_VERBS_SESSION};
}

void tear_down(Fixture *f, gconstpointer data)
{
    (void)data;
    participant_free(f->participant);
    (void)g_unlink(f->script);
    (void)g_unlink(f->log);
    g_assert_cmpint(g_rmdir(f->runtime), ==, 0); /* no socket was left in it */
    g_assert_cmpint(g_rmdir(f->directory), ==, 0);
    g_free(f->directory);
    g_free(f->script);
    g_free(f->runtime);
    g_free(f->log);
}

static void answered(Participant *participant, const StepOutcome *outcome, gpointer user_data)
{
    Fixture *f = user_data;

    g_assert_false(f->in_call);
    f->outcome = *outcome;
    f->answered = true;
    f->answers++;
    f->busy_when_answered = participant->ops->busy(participant);
}

static void lost(Participant *participant, const StepOutcome *outcome, gpointer user_data)
{
    Fixture *f = user_data;

    g_assert_true(participant == f->participant);
    f->loss = *outcome;
    f->losses++;
    f->lost = true;
}

static void settled(Participant *participant, gpointer user_data)
{
    Fixture *f = user_data;

    g_assert_false(participant->ops->busy(participant));
    f->settled = true;
}

void make(Fixture *f, const char *body)
{
    g_autofree char *text = g_strdup_printf("#!/bin/sh\nlog=%s\nsay=%s\necho \"$1\" >>$log\n%s\n",
                                            f->log, g_getenv("QUIESCED_SAY"), body);

    script_write(f->script, text, 0755);
    participant_free(f->participant);
    f->participant = hook_participant_new(&f->hook, &f->options);
    f->participant->settled = settled;
    f->participant->settled_data = f;
    f->participant->lost = lost;
    f->participant->lost_data = f;
}

void begin(Fixture *f, Verb verb, int64_t timeout_us)
{
    const VerbContext context = {.operation = "1f3a", .success = 1};

    f->answered = false;
    f->in_call = true;
    f->participant->ops->call(f->participant, verb, &context, deadline_in(timeout_us), answered, f);
    f->in_call = false;
}

void call(Fixture *f, Verb verb, int64_t timeout_us)
{
    unsigned before = f->answers;

    begin(f, verb, timeout_us);
    g_assert_true(run_until(&f->answered, timeout_us + MSEC(8000)));
    g_assert_cmpuint(f->answers, ==, before + 1);
}

void assert_reason(const Fixture *f, StepResult result, const char *reason)
{
    g_assert_cmpstr(f->outcome.reason, ==, reason);
    g_assert_cmpint(f->outcome.result, ==, result);
}

void assert_log(const Fixture *f, const char *expected)
{
    g_autofree char *text = NULL;

    g_assert_true(g_file_get_contents(f->log, &text, NULL, NULL));
    g_strdelimit(g_strchomp(text), "\n", ' ');
    g_assert_cmpstr(text, ==, expected);
}

bool logged(const Fixture *f, const char *text)
{
    g_autofree char *all = NULL;

    g_assert_true(g_file_get_contents(f->log, &all, NULL, NULL));
    return strstr(all, text) != NULL;
}

void hold(Fixture *f, const char *body)
{
    make(f, body);
    call(f, VERB_FREEZE, LONG);
    assert_reason(f, STEP_OK, "");
}
