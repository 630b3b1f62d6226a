/*
 * completion: the host's verdict on a snapshot, passed on to those who want it.
 *
 * Holds the participants of the last operation that was held, until the host has said how its
 * snapshot went, COMPLETION_US have passed or the next operation has ended. Runs on the main loop.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <stdbool.h>

/* From the thaw on: a backup is copied away, then judged. */
#define COMPLETION_US (INT64_C(3600) * USEC_PER_SEC)

typedef struct Completion Completion;

void completion_free(Completion *completion);          /* NULL is fine; calls that run are ended */
bool completion_running(const Completion *completion); /* participants are being called */
const char *completion_waiting_for(const Completion *completion); /* one of those */
