/*
 * kernel_stats: see kernel_stats.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/kernel_stats.h"

#include "sys/procfile.h"

#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#define OLD_PARTITION_COUNTERS 4u
#define CPU_COUNTERS_MIN       4u
#define MSEC_PER_SEC           1000u

/* The numbers from `*cursor` on this line, `max` at most. */
static unsigned parse_numbers(const char **cursor, uint64_t *values, unsigned max)
{
    unsigned count = 0;

    while (count < max) {
        char *end = NULL;

        *cursor += strspn(*cursor, " ");
        if (!g_ascii_isdigit(**cursor))
            break;
        values[count++] = g_ascii_strtoull(*cursor, &end, 10);
        *cursor = end;
    }
    return count;
}

static bool parse_disk(const char *line, DiskStats *disk)
{
    uint64_t number[2];
    size_t length = 0;

    if (parse_numbers(&line, number, 2) != 2)
        return false;
    line += strspn(line, " ");
    length = strcspn(line, " \n");
    if (length == 0)
        return false;
    disk->major = (unsigned)number[0];
    disk->minor = (unsigned)number[1];
    memcpy(disk->name, line, MIN(length, sizeof(disk->name) - 1)); /* zeroed by the caller */
    line += length;
    disk->count = parse_numbers(&line, disk->values, DISK_COUNTERS);
    return disk->count >= OLD_PARTITION_COUNTERS;
}

/* "cpu3 ..."; the line of all together has no number. */
static bool parse_cpu(const char *line, long ticks, CpuStats *cpu)
{
    char *end = NULL;

    if (strncmp(line, "cpu", 3) != 0 || !g_ascii_isdigit(line[3]))
        return false;
    cpu->cpu = (unsigned)g_ascii_strtoull(line + 3, &end, 10);
    line = end;
    cpu->count = parse_numbers(&line, cpu->values, CPU_COUNTERS);
    for (unsigned i = 0; i < cpu->count; i++)
        cpu->values[i] = cpu->values[i] * MSEC_PER_SEC / (uint64_t)ticks;
    return cpu->count >= CPU_COUNTERS_MIN;
}

GArray *kernel_stats_disks(const char *procfs, GError **error)
{
    g_autofree char *path = g_build_filename(procfs, "diskstats", NULL);
    g_autofree char *text = procfile_whole(path, KERNEL_STATS_MAX, error);
    GArray *disks = text ? g_array_new(FALSE, FALSE, sizeof(DiskStats)) : NULL;

    for (const char *line = text; line && *line; line += *line == '\n') {
        DiskStats disk = {0};

        if (parse_disk(line, &disk))
            g_array_append_val(disks, disk);
        line = strchrnul(line, '\n');
    }
    return disks;
}

GArray *kernel_stats_cpus(const char *procfs, GError **error)
{
    g_autofree char *path = g_build_filename(procfs, "stat", NULL);
    g_autofree char *text = procfile_whole(path, KERNEL_STATS_MAX, error);
    GArray *cpus = text ? g_array_new(FALSE, FALSE, sizeof(CpuStats)) : NULL;
    long ticks = MAX(sysconf(_SC_CLK_TCK), 1);

    for (const char *line = text; line && *line; line += *line == '\n') {
        CpuStats cpu = {0};

        if (parse_cpu(line, ticks, &cpu))
            g_array_append_val(cpus, cpu);
        line = strchrnul(line, '\n');
    }
    return cpus;
}
