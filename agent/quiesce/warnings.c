/*
 * warnings: see warnings.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/warnings.h"

#include "sys/hungtask.h"
#include "sys/mountinfo.h"
#include "sys/suspects.h"
#include "sys/writeback.h"

#include <string.h>

/* What the thread works on, copied: it may outlive everything else. */
typedef struct {
    WarningsSpec spec;
    char *mountinfo, *sysfs, *procfs;
    GPtrArray *frozen; /* const Mount *: those of spec.mounts to be frozen */
    Deadline deadline;
} Input;

typedef struct {
    WarningsDone done;
    gpointer user_data;
} RunningCall;

static void warning_free(gpointer data)
{
    Warning *warning = data;

    g_free(warning->text);
    g_free(warning->subject);
    g_free(warning);
}

static Warnings *warnings_new(void)
{
    Warnings *warnings = g_new0(Warnings, 1);

    warnings->list = g_ptr_array_new_with_free_func(warning_free);
    warnings->flush_us = -1;
    return warnings;
}

void warnings_free(Warnings *warnings)
{
    if (!warnings)
        return;
    g_ptr_array_unref(warnings->list);
    g_free(warnings);
}

/* Takes `text`. */
static void add(Warnings *warnings, const char *code, const char *subject, char *text)
{
    Warning *warning = g_new0(Warning, 1);

    *warning = (Warning){.code = code, .text = text, .subject = g_strdup(subject)};
    g_ptr_array_add(warnings->list, warning);
}

/* The filesystem to be frozen that `path` lies on; NULL: none. */
static const Mount *frozen_below(const Input *input, const char *path)
{
    unsigned major = 0, minor = 0;

    if (!mountinfo_of_path(input->mountinfo, path, &major, &minor))
        return NULL;
    for (unsigned i = 0; i < input->frozen->len; i++) {
        const Mount *mount = g_ptr_array_index(input->frozen, i);

        if (mount->major == major && mount->minor == minor)
            return mount;
    }
    return NULL;
}

/* --- one kind after the other ------------------------------------------------------------------
 */

static char *listener_text(const Suspect *suspect)
{
    static const char *const HAS[] = {
        [SUSPECT_FILE_NONE] = "",
        [SUSPECT_FILE_FOLDER] = "works in a folder",
        [SUSPECT_FILE_PROGRAM] = "runs a program",
        [SUSPECT_FILE_OPEN] = "has files open",
        [SUSPECT_FILE_WRITTEN] = "has files open for writing",
    };

    return g_strdup_printf("%s (pid %d) answers fanotify permission events and %s here; if it "
                           "needs them for an answer, opens hang while this is frozen",
                           suspect->name, suspect->pid, HAS[suspect->file]);
}

static void warn_of_processes(const Input *input, Warnings *warnings)
{
    unsigned kinds = SUSPECTS_PLANNED;
    SuspectsInput *request = NULL;
    Suspects *found = NULL;

    if (!input->spec.log_in_journal)
        kinds &= ~(1u << SUSPECT_JOURNAL);
    request = suspects_input_new(input->procfs, input->sysfs, kinds, input->deadline);
    for (unsigned i = 0; i < input->frozen->len; i++) {
        const Mount *mount = g_ptr_array_index(input->frozen, i);

        suspects_input_add(request, mount->major, mount->minor, false);
    }
    found = suspects_find(request);
    for (unsigned i = 0; i < found->list->len; i++) {
        const Suspect *suspect = &g_array_index(found->list, Suspect, i);
        const Mount *mount = g_ptr_array_index(input->frozen, suspect->filesystem);

        if (suspect->kind == SUSPECT_JOURNAL)
            add(warnings, "log-on-filesystem", mount->mountpoint,
                g_strdup("the journal is written here: what the agent logs while this is frozen "
                         "is kept in memory until the thaw"));
        else if (suspect->file != SUSPECT_FILE_NONE)
            add(warnings, "fanotify-listener", mount->mountpoint, listener_text(suspect));
    }
    warnings->complete &= found->complete;
    suspects_free(found);
    suspects_input_free(request);
}

/* The agent's log, where standard error is a file. */
static void warn_of_log(const Input *input, Warnings *warnings)
{
    g_autofree char *link = g_build_filename(input->procfs, "self", "fd", "2", NULL);
    g_autofree char *path = g_file_read_link(link, NULL);
    const Mount *mount = NULL;

    if (!path || path[0] != '/' || g_str_has_prefix(path, "/dev/"))
        return;
    mount = frozen_below(input, path);
    if (mount)
        add(warnings, "log-on-filesystem", mount->mountpoint,
            g_strdup_printf("the agent's own log, %s, lies here and cannot be written while this "
                            "is frozen; log to the journal or to a tmpfs such as /run",
                            path));
}

static void warn_of_dirty_data(const Input *input, Warnings *warnings)
{
    int64_t limit_us = MIN(WARNINGS_FLUSH_US, input->spec.reply_budget_us / 2);
    WritebackLoad load;

    if (!writeback_load(input->procfs, &load, NULL))
        return;
    warnings->flush_us = writeback_flush_us(input->sysfs, &load);
    if (warnings->flush_us > limit_us)
        add(warnings, "large-dirty-set", NULL,
            g_strdup_printf("%.0f MiB wait to be written to disk, which takes about %.1f s; the "
                            "freeze is late by that",
                            (double)(load.dirty_bytes + load.writeback_bytes) / (1 << 20),
                            (double)warnings->flush_us / USEC_PER_SEC));
}

static void warn_of_limit(const Input *input, Warnings *warnings)
{
    int64_t timeout_us = 0, limit_us = hungtask_limit(input->procfs, &timeout_us);

    if (limit_us < input->spec.limit_us)
        add(warnings, "frozen-limit-capped", NULL,
            g_strdup_printf("the frozen limit is %.1f s instead of %.1f s: the kernel panics "
                            "(kernel.hung_task_panic) when a process hangs for %.0f s "
                            "(kernel.hung_task_timeout_secs)",
                            (double)limit_us / USEC_PER_SEC,
                            (double)input->spec.limit_us / USEC_PER_SEC,
                            (double)timeout_us / USEC_PER_SEC));
}

/* --- the thread --------------------------------------------------------------------------------
 */

static gpointer warnings_thread(gpointer data)
{
    const Input *input = data;
    Warnings *warnings = warnings_new();

    warnings->complete = true;
    warn_of_dirty_data(input, warnings);
    warn_of_limit(input, warnings);
    warn_of_log(input, warnings);
    warn_of_processes(input, warnings);
    return warnings;
}

static void input_free(gpointer data)
{
    Input *input = data;

    g_ptr_array_unref(input->frozen);
    g_ptr_array_unref(input->spec.mounts);
    g_free(input->mountinfo);
    g_free(input->sysfs);
    g_free(input->procfs);
    g_free(input);
}

static bool to_be_frozen(const Mount *mount, const char *const *mountpoints)
{
    bool named = mountpoints == NULL;

    for (unsigned i = 0; mountpoints && mountpoints[i] && !named; i++)
        named = mount_has_mountpoint(mount, mountpoints[i]);
    return named && mount->action == MOUNT_FREEZE;
}

static Input *input_new(const WarningsSpec *spec)
{
    Input *input = g_new0(Input, 1);

    input->spec = *spec;
    input->spec.mounts = g_ptr_array_ref(spec->mounts);
    input->spec.mountpoints = NULL;
    input->spec.paths = (SurveyPaths){0};
    input->mountinfo = g_strdup(spec->paths.mountinfo);
    input->sysfs = g_strdup(spec->paths.sysfs);
    input->procfs = g_strdup(spec->paths.procfs);
    input->frozen = g_ptr_array_new();
    for (unsigned i = 0; i < spec->mounts->len; i++)
        if (to_be_frozen(g_ptr_array_index(spec->mounts, i), spec->mountpoints))
            g_ptr_array_add(input->frozen, g_ptr_array_index(spec->mounts, i));
    input->deadline = deadline_in(WARNINGS_LOOK_US);
    return input;
}

static void result_free(gpointer warnings)
{
    warnings_free(warnings);
}

static void warnings_arrived(gpointer result, bool timed_out, gpointer user_data)
{
    g_autofree RunningCall *call = user_data;

    (void)timed_out;
    call->done(result ? result : warnings_new(), call->user_data);
}

Offload *warnings_run(const WarningsSpec *spec, WarningsDone done, gpointer user_data,
                      GError **error)
{
    RunningCall *call = g_new0(RunningCall, 1);
    Offload *offload = NULL;

    *call = (RunningCall){done, user_data};
    offload = offload_run("warnings", warnings_thread, input_new(spec), input_free, result_free,
                          deadline_in(WARNINGS_TIMEOUT_US), warnings_arrived, call, error);
    if (!offload)
        g_free(call);
    return offload;
}
