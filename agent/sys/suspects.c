/*
 * suspects: processes one by one, and what was found; see suspects.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/suspects_internal.h"

#include "base/text.h"
#include "sys/graph_device.h"
#include "sys/procfile.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOP_DEPTH_MAX 32u /* devices stacked on each other */
#define STAT_SIZE      512u
#define KTHREADD       2

SuspectsInput *suspects_input_new(const char *procfs, const char *sysfs, unsigned kinds,
                                  Deadline deadline)
{
    SuspectsInput *input = g_new0(SuspectsInput, 1);

    input->procfs = g_strdup(procfs);
    input->sysfs = g_strdup(sysfs);
    input->kinds = kinds;
    input->deadline = deadline;
    input->filesystems = g_array_new(FALSE, FALSE, sizeof(SuspectsFilesystem));
    return input;
}

void suspects_input_add(SuspectsInput *input, unsigned major, unsigned minor, bool frozen)
{
    SuspectsFilesystem filesystem = {major, minor, frozen};

    g_array_append_val(input->filesystems, filesystem);
}

void suspects_input_free(SuspectsInput *input)
{
    if (!input)
        return;
    g_free(input->procfs);
    g_free(input->sysfs);
    g_array_unref(input->filesystems);
    g_free(input);
}

void suspects_free(Suspects *suspects)
{
    if (!suspects)
        return;
    g_array_unref(suspects->list);
    g_free(suspects);
}

/* --- what the parts use ------------------------------------------------------------------------
 */

char *suspects_path(const SuspectsScan *scan, const char *process, const char *name)
{
    return g_build_filename(scan->input->procfs, process, name, NULL);
}

char *suspects_link(const SuspectsScan *scan, const char *process, const char *name)
{
    g_autofree char *path = suspects_path(scan, process, name);
    char target[PATH_MAX];
    ssize_t length = readlink(path, target, sizeof(target) - 1);

    return length > 0 ? g_strndup(target, (size_t)length) : NULL;
}

bool suspects_over(SuspectsScan *scan)
{
    if (!deadline_passed(scan->input->deadline))
        return false;
    scan->result->complete = false;
    return true;
}

void suspects_name(const SuspectsScan *scan, const char *process, char *name, size_t size)
{
    g_autofree char *path = suspects_path(scan, process, "comm");
    char text[SUSPECTS_COMM_SIZE];

    if (!procfile_read(path, text, sizeof(text)) || text_line(name, size, text, (size_t)-1) == 0)
        (void)g_strlcpy(name, "?", size);
}

bool suspects_wanted(const SuspectsScan *scan, SuspectKind kind)
{
    return scan->input->kinds & (1u << kind);
}

void suspects_add(SuspectsScan *scan, const char *process, Suspect suspect)
{
    GArray *list = scan->result->list;

    suspect.pid = process ? atoi(process) : 0;
    for (unsigned i = 0; i < list->len; i++) {
        const Suspect *other = &g_array_index(list, Suspect, i);

        if (other->pid == suspect.pid && other->kind == suspect.kind &&
            other->filesystem == suspect.filesystem)
            return;
    }
    if (list->len >= SUSPECTS_FOUND_MAX) {
        scan->result->complete = false;
        return;
    }
    if (process)
        suspects_name(scan, process, suspect.name, sizeof(suspect.name));
    g_array_append_val(list, suspect);
}

/* --- loop files --------------------------------------------------------------------------------
 */

/* The frozen filesystem that a loop file below the device lies on, -1: none. */
static int frozen_carrier(SuspectsScan *scan, GraphDevices *devices, const char *name,
                          unsigned depth)
{
    const GraphDevice *device = graph_device(devices, name);
    int carrier = device->backing_file ? suspects_of_path(scan, "self", device->backing_file) : -1;

    if (carrier >= 0 && g_array_index(scan->input->filesystems, SuspectsFilesystem, carrier).frozen)
        return carrier;
    for (unsigned i = 0; depth < LOOP_DEPTH_MAX && i < device->below->len; i++) {
        carrier = frozen_carrier(scan, devices, g_ptr_array_index(device->below, i), depth + 1);
        if (carrier >= 0)
            return carrier;
    }
    return -1;
}

static void look_for_loops(SuspectsScan *scan)
{
    GraphDevices *devices = graph_devices_new(scan->input->sysfs);

    for (unsigned i = 0; i < scan->input->filesystems->len && !suspects_over(scan); i++) {
        const SuspectsFilesystem *one =
            &g_array_index(scan->input->filesystems, SuspectsFilesystem, i);
        g_autofree char *name = g_strdup_printf("%u:%u", one->major, one->minor);
        int carrier = one->frozen ? -1 : frozen_carrier(scan, devices, name, 0);

        if (carrier >= 0)
            suspects_add(
                scan, NULL,
                (Suspect){.kind = SUSPECT_LOOP, .filesystem = i, .carrier = (unsigned)carrier});
    }
    graph_devices_free(devices);
}

/* --- processes ---------------------------------------------------------------------------------
 */

/* Kernel threads are most of a small system's processes; they make no system calls. All are
 * kthreadd's children. */
static bool is_kernel_thread(const SuspectsScan *scan, const char *process)
{
    g_autofree char *path = suspects_path(scan, process, "stat");
    char text[STAT_SIZE], state = '\0';
    const char *end = NULL;
    int parent = 0;

    if (!procfile_read(path, text, sizeof(text)))
        return false;
    end = strrchr(text, ')');
    return end && sscanf(end + 1, " %c %d", &state, &parent) == 2 && parent == KTHREADD;
}

/* `all`: kernel threads, too. */
static GPtrArray *list_processes(SuspectsScan *scan, bool all)
{
    GPtrArray *processes = g_ptr_array_new_with_free_func(g_free);
    DIR *dir = opendir(scan->input->procfs);
    const struct dirent *entry = NULL;

    scan->result->complete = dir != NULL;
    while (dir && !suspects_over(scan) && (entry = readdir(dir))) {
        if (!g_ascii_isdigit(entry->d_name[0]))
            continue;
        if (processes->len >= SUSPECTS_PROCESSES_MAX) {
            scan->result->complete = false;
            break;
        }
        if (all || !is_kernel_thread(scan, entry->d_name))
            g_ptr_array_add(processes, g_strdup(entry->d_name));
    }
    if (dir)
        (void)closedir(dir);
    return processes;
}

static gint by_likelihood(gconstpointer left, gconstpointer right)
{
    const Suspect *a = left, *b = right;

    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    return a->pid < b->pid ? -1 : a->pid > b->pid;
}

Suspects *suspects_find(const SuspectsInput *input)
{
    SuspectsScan scan = {.input = input, .result = g_new0(Suspects, 1)};
    g_autoptr(GPtrArray) processes = NULL;
    bool writers = suspects_wanted(&scan, SUSPECT_SPLICE) || suspects_wanted(&scan, SUSPECT_WRITER);
    bool files =
        suspects_wanted(&scan, SUSPECT_LISTENER) || suspects_wanted(&scan, SUSPECT_JOURNAL);

    scan.result->list = g_array_new(FALSE, TRUE, sizeof(Suspect));
    scan.mount_ids = g_hash_table_new(NULL, NULL);
    scan.namespaces = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    /* That a kernel thread has no files is seen at less cost than that it is one. */
    processes = list_processes(&scan, !writers);
    if (suspects_wanted(&scan, SUSPECT_LOOP))
        look_for_loops(&scan);
    /* One small file a task first; listeners take a link for every open file of the system. */
    for (unsigned i = 0; writers && i < processes->len && !suspects_over(&scan); i++)
        suspects_look_for_writers(&scan, g_ptr_array_index(processes, i));
    for (unsigned i = 0; files && i < processes->len && !suspects_over(&scan); i++)
        suspects_look_at_files(&scan, g_ptr_array_index(processes, i));
    g_hash_table_unref(scan.mount_ids);
    g_hash_table_unref(scan.namespaces);
    g_array_sort(scan.result->list, by_likelihood);
    return scan.result;
}

/* --- text --------------------------------------------------------------------------------------
 */

static bool holds_up(const Suspect *suspect, unsigned filesystem)
{
    if (suspect->filesystem != filesystem || suspect->kind == SUSPECT_JOURNAL)
        return false;
    return suspect->kind != SUSPECT_LISTENER || suspect->marked;
}

char *suspects_text(const Suspects *suspects, unsigned filesystem,
                    const char *(*mountpoint_of)(unsigned filesystem, gpointer user_data),
                    gpointer user_data)
{
    g_autoptr(GString) text = g_string_new("held up by ");
    unsigned count = 0;

    for (unsigned i = 0; i < suspects->list->len; i++) {
        const Suspect *suspect = &g_array_index(suspects->list, Suspect, i);

        if (!holds_up(suspect, filesystem) || count++ >= SUSPECTS_NAMED_MAX)
            continue;
        if (count > 1)
            g_string_append(text, ", ");
        if (suspect->kind == SUSPECT_LOOP)
            g_string_append_printf(text, "its loop file on %s, frozen before it",
                                   mountpoint_of(suspect->carrier, user_data));
        else if (suspect->kind == SUSPECT_LISTENER)
            g_string_append_printf(text, "%s (pid %d, fanotify permission listener)", suspect->name,
                                   suspect->pid);
        else
            g_string_append_printf(text, "%s (pid %d, in %s)", suspect->name, suspect->pid,
                                   suspect->call);
    }
    if (count > SUSPECTS_NAMED_MAX)
        g_string_append_printf(text, " and %u more", count - SUSPECTS_NAMED_MAX);
    return count > 0 ? g_string_free(g_steal_pointer(&text), FALSE) : NULL;
}
