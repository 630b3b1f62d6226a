/*
 * statistics: guest-get-diskstats, guest-get-cpustats.
 *
 * From procfs, in a thread (ask.h). Old counters are worse than none, so nothing is remembered.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "commands/families.h"

#include "quiesce/json.h"
#include "sys/kernel_stats.h"

static void set_counters(json_t *object, const char *const *names, const uint64_t *values,
                         unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        (void)json_object_set_new(object, names[i],
                                  json_integer((json_int_t)MIN(values[i], INT64_MAX)));
}

/* How many counters a kernel that has `count` of them gives whole groups of. */
static unsigned whole_groups(unsigned count)
{
    static const unsigned GROUPS[] = {DISK_COUNTERS, 15, 11};

    for (unsigned i = 0; i < G_N_ELEMENTS(GROUPS); i++)
        if (count >= GROUPS[i])
            return GROUPS[i];
    return 0;
}

static json_t *disk_json(const void *item)
{
    const DiskStats *disk = item;
    static const char *const COUNTERS[DISK_COUNTERS] = {
        "read-ios",     "read-merges",   "read-sectors",   "read-ticks",      "write-ios",
        "write-merges", "write-sectors", "write-ticks",    "ios-pgr",         "total-ticks",
        "weight-ticks", "discard-ios",   "discard-merges", "discard-sectors", "discard-ticks",
        "flush-ios",    "flush-ticks",
    };
    static const char *const OLD[] = {"read-ios", "read-sectors", "write-ios", "write-sectors"};
    json_t *stats = json_object();
    json_t *object = json_object();

    if (disk->count == G_N_ELEMENTS(OLD))
        set_counters(stats, OLD, disk->values, disk->count);
    else
        set_counters(stats, COUNTERS, disk->values, whole_groups(disk->count));
    json_set_text(object, "name", disk->name);
    (void)json_object_set_new(object, "major", json_integer(disk->major));
    (void)json_object_set_new(object, "minor", json_integer(disk->minor));
    (void)json_object_set_new(object, "stats", stats);
    return object;
}

static json_t *gather_disks(const AskPaths *paths, GPtrArray *names, GError **error)
{
    g_autoptr(GArray) disks = kernel_stats_disks(paths->procfs, error);

    (void)names;
    return ask_list(disks, disk_json);
}

static const Question DISKSTATS_QUESTION = {.name = "diskstats", .gather = gather_disks};

static void run_disks(Call *call)
{
    commands_ask(&DISKSTATS_QUESTION, call);
}

static json_t *cpu_json(const void *item)
{
    const CpuStats *cpu = item;
    static const char *const COUNTERS[CPU_COUNTERS] = {
        "user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guestnice",
    };
    json_t *object = json_object();

    json_set_text(object, "type", "linux");
    (void)json_object_set_new(object, "cpu", json_integer(cpu->cpu));
    set_counters(object, COUNTERS, cpu->values, cpu->count);
    return object;
}

static json_t *gather_cpus(const AskPaths *paths, GPtrArray *names, GError **error)
{
    g_autoptr(GArray) cpus = kernel_stats_cpus(paths->procfs, error);

    (void)names;
    return ask_list(cpus, cpu_json);
}

static const Question CPUSTATS_QUESTION = {.name = "cpustats", .gather = gather_cpus};

static void run_cpus(Call *call)
{
    commands_ask(&CPUSTATS_QUESTION, call);
}

const Command STATISTICS_COMMANDS[] = {
    {.name = "guest-get-diskstats", .while_frozen = true, .run = run_disks},
    {.name = "guest-get-cpustats", .while_frozen = true, .run = run_cpus},
};
const unsigned STATISTICS_COMMANDS_COUNT = G_N_ELEMENTS(STATISTICS_COMMANDS);
