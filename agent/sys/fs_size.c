/*
 * fs_size: see fs_size.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/fs_size.h"

#include <sys/statvfs.h>

bool fs_size_ask(const char *mountpoint, void *answer)
{
    FsSize *size = answer;
    struct statvfs state;
    uint64_t used = 0;

    if (statvfs(mountpoint, &state) < 0)
        return false;
    used = state.f_blocks - state.f_bfree;
    size->used = used * state.f_frsize;
    size->total = (used + state.f_bavail) * state.f_frsize;
    size->privileged = (uint64_t)state.f_blocks * state.f_frsize;
    return true;
}
