/*
 * presync: decides when write-back before the freeze pays no more.
 *
 * Pure arithmetic on measurements the caller makes, so that it can be tested without disks. First
 * the kernel writes back in its own pace (gentle), which keeps writers from waiting behind one
 * large flush; then syncfs rounds, until one is short or no shorter than the one before.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Less than this is written by a syncfs before anybody notices; 8 MiB is 0.2 s at 40 MB/s. */
#define PRESYNC_SMALL_BYTES (INT64_C(8) << 20)
/* Write-back waits so long for the journals' commit, which takes 5 ms on an idle disk. */
#define PRESYNC_COMMIT_US    INT64_C(200000)
#define PRESYNC_SAMPLE_US    INT64_C(100000)    /* between two looks at what is dirty */
#define PRESYNC_STALL_US     INT64_C(1000000)   /* no progress for this long: gentle pays no more */
#define PRESYNC_LITTLE_BYTES (INT64_C(1) << 20) /* 25 ms at 40 MB/s: no round more for that */
#define PRESYNC_ROUNDS_MAX   4u
#define PRESYNC_SHORT_US     INT64_C(50000) /* a round this short leaves nothing worth another */

typedef struct {
    int64_t lowest_bytes; /* least seen dirty plus under write-back */
    int64_t lowest_at_us;
    int64_t last_round_us; /* -1: none yet */
    unsigned rounds;
} Presync;

void presync_init(Presync *presync);
/* A sample of dirty + write-back bytes at `now_us`; true: go on waiting for the kernel. */
bool presync_gentle(Presync *presync, int64_t bytes, int64_t now_us);
/* A round of syncfs took `duration_us` (the slowest filesystem) and left `bytes` dirty or under
 * write-back; true: another one pays. */
bool presync_round(Presync *presync, int64_t duration_us, int64_t bytes);
