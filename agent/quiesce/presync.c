/*
 * presync: see presync.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/presync.h"

void presync_init(Presync *presync)
{
    *presync = (Presync){.lowest_bytes = INT64_MAX, .last_round_us = -1};
}

bool presync_gentle(Presync *presync, int64_t bytes, int64_t now_us)
{
    if (bytes <= PRESYNC_SMALL_BYTES)
        return false;
    /* Progress is at least 1/64 less than ever before: noise of small writers does not count. */
    if (presync->lowest_bytes == INT64_MAX ||
        bytes < presync->lowest_bytes - presync->lowest_bytes / 64) {
        presync->lowest_bytes = bytes;
        presync->lowest_at_us = now_us;
        return true;
    }
    return now_us - presync->lowest_at_us < PRESYNC_STALL_US;
}

bool presync_round(Presync *presync, int64_t duration_us, int64_t bytes)
{
    int64_t before = presync->last_round_us;

    presync->last_round_us = duration_us;
    presync->rounds++;
    if (duration_us <= PRESYNC_SHORT_US || bytes <= PRESYNC_LITTLE_BYTES ||
        presync->rounds >= PRESYNC_ROUNDS_MAX)
        return false;
    return before < 0 || duration_us < before - before / 4;
}
