/*
 * suspects: which processes are likely to hold up the freeze of a filesystem, read from procfs.
 *
 *   loop file    its loop device's file lies on a filesystem that was frozen before it
 *   splice       a task that sleeps in splice(), sendfile() or copy_file_range() into a file there
 *   listener     a fanotify listener that must permit each open (or access, or exec) there
 *   writer       a task that hangs in a write to a file there, on the device or for memory
 *
 * A task that waits for the thaw is a victim and never named. What procfs does not show is not
 * found: asynchronous and io_uring writes, a page fault under way, a dead device with nobody
 * waiting. Told apart by device number, which is mountinfo's, fanotify's and the superblock's
 * (btrfs included; st_dev is not), and by mount ids of all namespaces that suspects live in.
 *
 * Links and small files of procfs and sysfs are read; no path of a filesystem is opened or asked
 * for its status. A process may still make its reader wait: for offload threads, within a deadline.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/deadline.h"
#include "sys/suspect.h"

#define SUSPECTS_FOUND_MAX 32u /* kept; what they are good for is to be read by people */
#define SUSPECTS_NAMED_MAX 2u  /* named in one text, as the whole error has 200 bytes */

typedef struct {
    GArray *list;  /* Suspect, most likely first */
    bool complete; /* false: a limit or the deadline ended the look */
} Suspects;

#define SUSPECTS_STUCK                                                                             \
    (1u << SUSPECT_LOOP | 1u << SUSPECT_SPLICE | 1u << SUSPECT_LISTENER | 1u << SUSPECT_WRITER)
/* systemd's journal is no suspect; whoever asks where listeners have files may ask for it, too. */
#define SUSPECTS_PLANNED (1u << SUSPECT_LISTENER | 1u << SUSPECT_JOURNAL)

typedef struct SuspectsInput SuspectsInput;

/* `kinds`: bits of SuspectKind. */
SuspectsInput *suspects_input_new(const char *procfs, const char *sysfs, unsigned kinds,
                                  Deadline deadline);
void suspects_input_add(SuspectsInput *input, unsigned major, unsigned minor, bool frozen);
void suspects_input_free(SuspectsInput *input);

Suspects *suspects_find(const SuspectsInput *input) G_GNUC_WARN_UNUSED_RESULT;
void suspects_free(Suspects *suspects);

/* "held up by NAME (pid 812, in splice), NAME (pid 90, fanotify permission listener) and 3 more";
 * NULL: nobody is suspected. `mountpoint_of` gives the name of a carrier. */
char *suspects_text(const Suspects *suspects, unsigned filesystem,
                    const char *(*mountpoint_of)(unsigned filesystem, gpointer user_data),
                    gpointer user_data);
