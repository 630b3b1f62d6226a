/*
 * kernel_stats: the kernel's counters of disks and processors, from procfs.
 *
 * Reading them waits for no disk. Counters are given as far as the kernel has them: later ones were
 * added over the years.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/error.h"

#include <stdint.h>

#define KERNEL_STATS_MAX ((size_t)16 << 20) /* of one file: 100 000 disks or processors */
#define DISK_COUNTERS    17u
#define CPU_COUNTERS     10u

/* In the order of the file: reads completed and merged, sectors read, milliseconds; the same of
 * writes; requests under way, milliseconds busy and weighted; the first four of discards; flushes
 * and their milliseconds. Of a partition on an old kernel: reads, sectors read, writes, sectors. */
typedef struct {
    char name[32]; /* DISK_NAME_LEN */
    unsigned major, minor;
    unsigned count;
    uint64_t values[DISK_COUNTERS];
} DiskStats;

/* Milliseconds: user, nice, system, idle, iowait, irq, softirq, steal, guest, guest_nice. */
typedef struct {
    unsigned cpu;
    unsigned count;
    uint64_t values[CPU_COUNTERS];
} CpuStats;

GArray *kernel_stats_disks(const char *procfs, GError **error) G_GNUC_WARN_UNUSED_RESULT;
GArray *kernel_stats_cpus(const char *procfs, GError **error) G_GNUC_WARN_UNUSED_RESULT;
