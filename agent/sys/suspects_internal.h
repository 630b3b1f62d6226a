/*
 * suspects_internal: what the parts of suspects share: suspects.c (processes one by one, results),
 * suspects_place.c (where a mount id or a path is), suspects_listener.c and suspects_writer.c.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "sys/suspects.h"

#define SUSPECTS_PROCESSES_MAX 8192u  /* looked at; a node runs hundreds to a few thousand */
#define SUSPECTS_FDS_MAX       4096u  /* of one listener; on-access scanners have hundreds */
#define SUSPECTS_MARKS_MAX     16384u /* of one listener; one per folder in the worst design */

#define SUSPECTS_COMM_SIZE 64u

typedef struct {
    unsigned major, minor;
    bool frozen;
} SuspectsFilesystem;

struct SuspectsInput {
    char *procfs, *sysfs;
    unsigned kinds;
    Deadline deadline;
    GArray *filesystems; /* SuspectsFilesystem */
};

/* One look. A process is its folder in procfs: "812", a task "812/task/813". */
typedef struct {
    const SuspectsInput *input;
    Suspects *result;
    GHashTable *mount_ids;  /* of the input's filesystems: mount id -> filesystem + 1 */
    GHashTable *namespaces; /* "mnt:[…]", whose mounts are in mount_ids */
} SuspectsScan;

/* A file below the process's folder; to be freed. */
char *suspects_path(const SuspectsScan *scan, const char *process, const char *name);
char *suspects_link(const SuspectsScan *scan, const char *process, const char *name);
bool suspects_over(SuspectsScan *scan); /* the deadline passed: end the look */
bool suspects_wanted(const SuspectsScan *scan, SuspectKind kind);
void suspects_name(const SuspectsScan *scan, const char *process, char *name, size_t size);
/* Fills in pid and name; drops it when the list is full or has the process there already. */
void suspects_add(SuspectsScan *scan, const char *process, Suspect suspect);

/* suspects_place.c: the index of a filesystem, -1: none of the input. */
int suspects_of_device(const SuspectsScan *scan, unsigned major, unsigned minor);
int suspects_of_mount(SuspectsScan *scan, const char *process, int mount_id);
int suspects_of_path(SuspectsScan *scan, const char *process, const char *path);
/* Where the open file `fd` of a process lies. `*ret_written` (may be NULL): open for writing. */
int suspects_of_fd(SuspectsScan *scan, const char *process, const char *fd, bool *ret_written);

/* What of its own the process has on each filesystem, raised in `files`. */
void suspects_own_files(SuspectsScan *scan, const char *process, SuspectFile *files);
/* Listeners and the journal, as far as they are wanted. */
void suspects_look_at_files(SuspectsScan *scan, const char *process);
void suspects_look_for_writers(SuspectsScan *scan, const char *process);
