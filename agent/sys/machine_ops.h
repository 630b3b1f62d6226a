/*
 * machine_ops: the calls that change the machine itself: its clocks, and what its disks discard.
 *
 * Only the installed service has the real ones; test programs link others (tests/fake/), so that no
 * test can set the clock of the machine it runs on. All return 0 or an errno.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <stdint.h>
#include <time.h>

int machine_set_clock(const struct timespec *time);
/* The battery-backed clock, in UTC, by whole seconds. Waits for the hardware for up to a second. */
int machine_read_rtc(time_t *ret_time);
int machine_write_rtc(time_t time);
/* FITRIM on what is mounted at `path`; `*ret_bytes` were discarded, `*minimum` is what was in
 * force. Waits for the disk. */
int machine_trim(const char *path, uint64_t *minimum, uint64_t *ret_bytes);
