/*
 * coordinator_rig_files: the files of a rig, and what must hold; see coordinator_rig.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "coordinator_rig_files.h"
#include "coordinator_rig_requests.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

/* --- files -------------------------------------------------------------------------------------
 */

char *rig_path(const Rig *rig, const char *path)
{
    return g_build_filename(rig->root, path, NULL);
}

char *rig_text(const Rig *rig, const char *path)
{
    g_autofree char *full = rig_path(rig, path);
    char *text = NULL;

    return g_file_get_contents(full, &text, NULL, NULL) ? text : g_strdup("");
}

void rig_write(const Rig *rig, const char *path, const char *text)
{
    g_autofree char *full = rig_path(rig, path);
    g_autofree char *directory = g_path_get_dirname(full);
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(g_mkdir_with_parents(directory, 0755), ==, 0);
    (void)g_file_set_contents(full, text, -1, &error);
    g_assert_no_error(error);
}

bool rig_exists(const Rig *rig, const char *path)
{
    g_autofree char *full = rig_path(rig, path);

    return g_access(full, F_OK) == 0;
}

void rig_write_program(const Rig *rig, const char *path, const char *text)
{
    g_autofree char *full = rig_path(rig, path);

    rig_write(rig, path, text);
    g_assert_cmpint(g_chmod(full, 0755), ==, 0);
}

void rig_hook(const Rig *rig, const char *name, const char *body)
{
    g_autofree char *path = g_build_filename("hooks", name, NULL);
    g_autofree char *text = g_strdup_printf("#!/bin/sh\ncd '%s'\necho \"%s $1\" >>hook.log\n%s\n",
                                            rig->root, name, body);

    rig_write_program(rig, path, text);
}

void rig_hook_conf(const Rig *rig, const char *name, const char *conf)
{
    g_autofree char *path = g_strdup_printf("hooks/%s.conf", name);
    g_autofree char *text = g_strdup_printf("[Hook]\n%s\n", conf);

    rig_write(rig, path, text);
}

char *rig_hooks(const Rig *rig)
{
    g_autofree char *text = rig_text(rig, "hook.log");
    g_auto(GStrv) lines = g_strsplit(g_strchomp(text), "\n", -1);

    return g_strjoinv(", ", lines);
}

bool rig_called(const Rig *rig, const char *call)
{
    g_autofree char *text = rig_text(rig, "hook.log");
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    return g_strv_contains((const char *const *)lines, call);
}

char *rig_calls(const Rig *rig, const char *filesystem)
{
    g_autofree char *path = g_strdup_printf("fs/%s/.calls", filesystem);
    g_autofree char *text = rig_text(rig, path);
    g_auto(GStrv) lines = g_strsplit(g_strchomp(text), "\n", -1);

    for (char **line = lines; *line; line++)
        (*line)[strcspn(*line, " ")] = '\0';
    return g_strjoinv(" ", lines);
}

bool rig_frozen(const Rig *rig)
{
    bool frozen = false;

    for (unsigned i = 0; i < rig->filesystems->len; i++) {
        g_autofree char *path =
            g_strdup_printf("fs/%s/.frozen", (char *)g_ptr_array_index(rig->filesystems, i));

        frozen = frozen || rig_exists(rig, path);
    }
    return frozen;
}

/* --- what must hold ----------------------------------------------------------------------------
 */

void assert_ok(const Reply *reply, unsigned count)
{
    g_assert_cmpuint(reply->calls, ==, 1);
    g_assert_cmpstr(reply->text, ==, "");
    g_assert_cmpint(reply->kind, ==, ANSWER_OK);
    g_assert_cmpuint(reply->count, ==, count);
}

void assert_failed(const Reply *reply, const char *text)
{
    g_assert_cmpuint(reply->calls, ==, 1);
    g_assert_cmpint(reply->kind, ==, ANSWER_ERROR);
    g_assert_cmpstr(reply->text, ==, text);
}

void assert_failed_like(const Reply *reply, const char *pattern)
{
    g_autofree char *whole = g_strdup_printf("^%s$", pattern);

    g_assert_cmpuint(reply->calls, ==, 1);
    g_assert_cmpint(reply->kind, ==, ANSWER_ERROR);
    if (!g_regex_match_simple(whole, reply->text, 0, 0))
        g_error("'%s' is not like '%s'", reply->text, pattern);
}

void assert_hooks(const Rig *rig, const char *expected)
{
    g_autofree char *called = rig_hooks(rig);

    g_assert_cmpstr(called, ==, expected);
}
