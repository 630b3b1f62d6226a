/*
 * keeper_rescue: thaws without the keeper.
 *
 * FITHAW by ranks in reverse, in a few throw-away threads with fd tables of their own, on
 * duplicates of the fds. Used when the keeper is gone (its FIFREEZE may still complete: the caller
 * repeats until it is sure).
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/deadline.h"
#include <stdint.h>

typedef struct {
    int fd;
    uint32_t rank;
    unsigned index;
} KeeperRescueFilesystem;

/* Once for each filesystem, on the main loop; `index` as given. */
typedef void (*KeeperRescueThawed)(unsigned index, int error_number, gpointer user_data);
/* All ended, or `deadline` passed. */
typedef void (*KeeperRescueDone)(unsigned pending, gpointer user_data);
typedef struct KeeperRescue KeeperRescue;
/* The result is valid until `done` was called, which is never from within keeper_rescue(). What was
 * not begun by then is not begun any more. */
KeeperRescue *keeper_rescue(const KeeperRescueFilesystem *filesystems, unsigned count,
                            Deadline deadline, KeeperRescueThawed thawed, KeeperRescueDone done,
                            gpointer user_data);
void keeper_rescue_cancel(KeeperRescue *rescue); /* no callback follows; not after `done` */
