/*
 * ops: the four system calls that the keeper exists for, and the times it keeps.
 *
 * A seam at link time: ops.c has the real calls, tests/fake/keeper_fake_ops.c has fakes that touch
 * no filesystem's state. The calls may block for any time and are made by worker threads only.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <stdint.h>

typedef struct {
    /* Each returns 0 or an errno value. */
    int (*freeze)(int fd);
    int (*thaw)(int fd);
    int (*sync)(int fd);
    int (*commit)(int fd); /* fsync(2): a commit of the journal for ext4's directories */
    int64_t tick_us;       /* KEEPER_BEAT_US */
    int64_t late_us;       /* KEEPER_LATE_US */
    int64_t grace_us;      /* KEEPER_GRACE_US */
} KeeperOps;

const KeeperOps *keeper_ops(void);
