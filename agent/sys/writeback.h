/*
 * writeback: how much is dirty, and gentle write-back for a while.
 *
 * Lowering vm.dirty_expire_centisecs and vm.dirty_writeback_centisecs lets the kernel write back
 * in its own pace before syncfs, which keeps writers (btrfs above all) from waiting behind one
 * large flush. The settings are global: their values are given to the caller for the ledger before
 * they are changed, and whoever recovers puts them back.
 *
 * procfs and debugfs only: none of this waits for a disk.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/error.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct {
    uint64_t dirty_bytes;
    uint64_t writeback_bytes;
} WritebackLoad;

typedef struct {
    int32_t expire_cs; /* vm.dirty_expire_centisecs; -1: not read */
    int32_t period_cs; /* vm.dirty_writeback_centisecs; -1: not read */
} WritebackSettings;

/* What a slow cloud volume writes in a second; for what the kernel tells nothing about. */
#define WRITEBACK_ASSUMED_BYTES (UINT64_C(40) << 20)
#define WRITEBACK_DEVICES_MAX   512u /* looked at for an estimate; the rest counts as unknown */

/* How long it takes until `load` is on the disks, in microseconds. Devices flush side by side, so
 * the slowest counts. What is dirty on each and its rate are the kernel's own figures, from
 * `sysfs`/kernel/debug/bdi/MAJ:MIN/stats; the rate is what it measured while it wrote back, and
 * 100 MB/s before that. What no device owns up to is taken to be written after that, at
 * WRITEBACK_ASSUMED_BYTES: all of it without debugfs, and before Linux 6.10 what belongs to control
 * groups. */
int64_t writeback_flush_us(const char *sysfs, const WritebackLoad *load);
/* `procfs` is "/proc". */
bool writeback_load(const char *procfs, WritebackLoad *ret_load, GError **error);
bool writeback_read(const char *procfs, WritebackSettings *ret_settings, GError **error);
/* Members below 0 are left alone. Both are tried even if one fails. */
bool writeback_apply(const char *procfs, const WritebackSettings *settings, GError **error);
/* What to set while pre-syncing, given what was read. Never raises a value; a period of 0, which
 * means that the kernel never writes back by itself, counts as the longest. */
WritebackSettings writeback_gentle(const WritebackSettings *current);
