/*
 * suspects_listener: who has which files open: fanotify listeners that permit, and the journal; see
 * suspects_internal.h.
 *
 * A listener is the process that has the group open; fdinfo of that fd has a line for each mark:
 *
 *   fanotify ino:8 sdev:fe00010 mflags:0 mask:10000 ignored_mask:0 fhandle-bytes:…
 *   fanotify mnt_id:1c mflags:0 mask:10000 ignored_mask:0
 *   fanotify sdev:fe00010 mflags:0 mask:10000 ignored_mask:0
 *
 * All numbers are hexadecimal; sdev is the kernel's own, with 20 bits of minor.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/suspects_internal.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <unistd.h>

#ifndef FAN_PRE_ACCESS
#define FAN_PRE_ACCESS 0x00100000
#endif
#define PERMISSION_EVENTS (FAN_OPEN_PERM | FAN_ACCESS_PERM | FAN_OPEN_EXEC_PERM | FAN_PRE_ACCESS)

#define KERNEL_MINOR_BITS 20
#define JOURNAL_SUFFIX    ".journal"        /* its files; "(deleted)" may follow */
#define JOURNAL_NAME      "systemd-journal" /* the kernel keeps 15 bytes of "systemd-journald" */

static bool find_hex(const char *line, const char *key, unsigned long *ret_value)
{
    const char *at = strstr(line, key);
    char *end = NULL;

    if (!at)
        return false;
    *ret_value = strtoul(at + strlen(key), &end, 16);
    return end != at + strlen(key);
}

/* True: a mark that asks for permission. `*ret_filesystem`: where, -1: elsewhere. */
static bool parse_mark(SuspectsScan *scan, const char *process, const char *line,
                       int *ret_filesystem)
{
    unsigned long mask = 0, number = 0;

    /* With the blank, for "ignored_mask:" is another. */
    if (strncmp(line, "fanotify ", strlen("fanotify ")) != 0 || !find_hex(line, " mask:", &mask) ||
        !(mask & PERMISSION_EVENTS))
        return false;
    *ret_filesystem = -1;
    if (find_hex(line, " sdev:", &number))
        *ret_filesystem = suspects_of_device(scan, (unsigned)(number >> KERNEL_MINOR_BITS),
                                             number & ((1u << KERNEL_MINOR_BITS) - 1));
    else if (find_hex(line, " mnt_id:", &number))
        *ret_filesystem = suspects_of_mount(scan, process, (int)number);
    return true;
}

/* True: the group `fd` has permission marks; those of the input's filesystems are set. */
static bool read_marks(SuspectsScan *scan, const char *process, const char *fd, bool *marked)
{
    g_autofree char *name = g_strdup_printf("fdinfo/%s", fd);
    g_autofree char *path = suspects_path(scan, process, name);
    FILE *stream = fopen(path, "re");
    char *line = NULL;
    size_t size = 0;
    unsigned marks = 0;
    bool permits = false;

    while (stream && getline(&line, &size, stream) >= 0 && !suspects_over(scan)) {
        int filesystem = -1;

        if (++marks > SUSPECTS_MARKS_MAX) {
            scan->result->complete = false;
            break;
        }
        if (!parse_mark(scan, process, line, &filesystem))
            continue;
        permits = true;
        if (filesystem >= 0)
            marked[filesystem] = true;
    }
    free(line);
    if (stream)
        (void)fclose(stream);
    return permits;
}

typedef struct {
    const char *process;
    int directory;    /* its "fd" */
    const char *name; /* in there */
} OpenFile;

/* Calls `func` for every open fd, up to the limits. */
static void each_fd(SuspectsScan *scan, const char *process,
                    void (*func)(SuspectsScan *scan, const OpenFile *file, gpointer user_data),
                    gpointer user_data)
{
    g_autofree char *path = suspects_path(scan, process, "fd");
    DIR *dir = opendir(path);
    OpenFile file = {.process = process, .directory = dir ? dirfd(dir) : -1};
    const struct dirent *entry = NULL;
    unsigned count = 0;

    while (dir && !suspects_over(scan) && (entry = readdir(dir))) {
        if (!g_ascii_isdigit(entry->d_name[0]))
            continue;
        if (count++ >= SUSPECTS_FDS_MAX) {
            scan->result->complete = false;
            break;
        }
        file.name = entry->d_name;
        func(scan, &file, user_data);
    }
    if (dir)
        (void)closedir(dir);
}

/* --- a process's own files ---------------------------------------------------------------------
 */

static void raise_file(SuspectFile *files, int filesystem, SuspectFile file)
{
    if (filesystem >= 0)
        files[filesystem] = MAX(files[filesystem], file);
}

static void own_fd(SuspectsScan *scan, const OpenFile *file, gpointer user_data)
{
    bool written = false;
    int filesystem = suspects_of_fd(scan, file->process, file->name, &written);

    raise_file(user_data, filesystem, written ? SUSPECT_FILE_WRITTEN : SUSPECT_FILE_OPEN);
}

void suspects_own_files(SuspectsScan *scan, const char *process, SuspectFile *files)
{
    g_autofree char *program = suspects_link(scan, process, "exe");
    g_autofree char *folder = suspects_link(scan, process, "cwd");

    each_fd(scan, process, own_fd, files);
    if (program)
        raise_file(files, suspects_of_path(scan, process, program), SUSPECT_FILE_PROGRAM);
    /* Every daemon works in "/"; elsewhere it means that its data are there. */
    if (folder && strcmp(folder, "/") != 0)
        raise_file(files, suspects_of_path(scan, process, folder), SUSPECT_FILE_FOLDER);
}

/* --- listeners and the journal -----------------------------------------------------------------
 */

typedef struct {
    bool permits, journal;
    bool *marked;
} Listener;

/* By the folder's fd and without an allocation: a system has tens of thousands of these links. */
static void listener_fd(SuspectsScan *scan, const OpenFile *file, gpointer user_data)
{
    Listener *listener = user_data;
    char link[PATH_MAX];
    ssize_t length = readlinkat(file->directory, file->name, link, sizeof(link) - 1);

    if (length <= 0)
        return;
    link[length] = '\0';
    if (strcmp(link, "anon_inode:[fanotify]") == 0 &&
        read_marks(scan, file->process, file->name, listener->marked))
        listener->permits = true;
    listener->journal |= strstr(link, JOURNAL_SUFFIX) != NULL;
}

static void add_listener(SuspectsScan *scan, const char *process, const bool *marked)
{
    unsigned count = scan->input->filesystems->len;
    g_autofree SuspectFile *files = g_new0(SuspectFile, count + 1);

    suspects_own_files(scan, process, files);
    for (unsigned i = 0; i < count; i++)
        if (marked[i] || files[i] != SUSPECT_FILE_NONE)
            suspects_add(scan, process,
                         (Suspect){.kind = SUSPECT_LISTENER,
                                   .filesystem = i,
                                   .marked = marked[i],
                                   .file = files[i]});
}

static void add_journal(SuspectsScan *scan, const char *process)
{
    unsigned count = scan->input->filesystems->len;
    g_autofree SuspectFile *files = NULL;
    char name[SUSPECTS_COMM_SIZE];

    suspects_name(scan, process, name, sizeof(name));
    if (strcmp(name, JOURNAL_NAME) != 0)
        return;
    files = g_new0(SuspectFile, count + 1);
    suspects_own_files(scan, process, files);
    for (unsigned i = 0; i < count; i++)
        if (files[i] == SUSPECT_FILE_WRITTEN)
            suspects_add(scan, process,
                         (Suspect){.kind = SUSPECT_JOURNAL, .filesystem = i, .file = files[i]});
}

void suspects_look_at_files(SuspectsScan *scan, const char *process)
{
    g_autofree bool *marked = g_new0(bool, scan->input->filesystems->len + 1);
    Listener listener = {.marked = marked};

    each_fd(scan, process, listener_fd, &listener);
    if (listener.permits && suspects_wanted(scan, SUSPECT_LISTENER))
        add_listener(scan, process, marked);
    if (listener.journal && suspects_wanted(scan, SUSPECT_JOURNAL))
        add_journal(scan, process);
}
