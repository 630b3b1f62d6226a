/*
 * fs_size: how large a mounted filesystem is, and how full.
 *
 * Asks the filesystem, which may never answer (a dead server, a FUSE daemon that hangs): only in
 * threads that may be given up, see probe.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    uint64_t used;       /* bytes */
    uint64_t total;      /* without what is kept for root */
    uint64_t privileged; /* with it */
} FsSize;

/* A ProbeFunc; `answer` is an FsSize. */
bool fs_size_ask(const char *mountpoint, void *answer);
