/*
 * hold_entry: one filesystem of an operation, and the calls that are made on it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A FITHAW that failed (not EINVAL) is repeated after this long; told as failed after so many, and
 * repeated at a tenth of the pace from then on, until it succeeds. */
#define HOLD_RETRY_US INT64_C(50000)
#define HOLD_RETRIES  4u
#define HOLD_SOON_US  INT64_C(10000)

typedef enum {
    ENTRY_IDLE,
    ENTRY_FREEZING,
    ENTRY_FROZEN,
    ENTRY_THAWING,
    ENTRY_UNTHAWED, /* FITHAW failed; still frozen, to be repeated */
    ENTRY_THAWED,
    ENTRY_FAILED, /* not frozen by us: failed, foreign */
} HoldEntryState;

/* The last is told by none but its round's end. */
typedef enum { JOB_SYNC, JOB_FREEZE, JOB_THAW, JOB_COMMIT } HoldJobKind;

typedef struct {
    HoldJobKind kind;
    uint32_t index;
    int fd;
} HoldJob;

typedef struct {
    int32_t error;
    int64_t start_us, duration_us;
} HoldCall;

typedef struct {
    int fd;
    uint32_t rank, flags; /* KEEPER_FS_ */
    uint32_t level;       /* which thaw level took it */
    uint8_t state;        /* HoldEntryState */
    uint8_t failures;     /* of FITHAW */
    uint8_t reports;      /* bit per HoldJobKind: result not taken yet */
    bool syncing;         /* or committing */
    int64_t retry_us;     /* UNTHAWED: not before */
    HoldCall calls[3];
} HoldEntry;
