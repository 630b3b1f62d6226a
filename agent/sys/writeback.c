/*
 * writeback: see writeback.h. Reads and writes small procfs files; owns nothing.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/writeback.h"

#include "base/deadline.h"
#include "sys/procfile.h"

#define EXPIRE_FILE "sys/vm/dirty_expire_centisecs"
#define PERIOD_FILE "sys/vm/dirty_writeback_centisecs"

#define BDI_SIZE      1024u
#define KILOBYTES_MAX (UINT64_C(1) << 40)

#define MEMINFO_SIZE 8192u /* the kernel writes about 1.5 KiB; Dirty stands in its first half */

/* The flusher looks every 50 ms and takes what has been dirty for 100 ms: many small steps. Shorter
 * periods only cost wake-ups, and a longer expiry leaves a writer's last pages for syncfs. */
#define GENTLE_EXPIRE_CS 10
#define GENTLE_PERIOD_CS 5

static bool find_kilobytes(const char *meminfo, const char *key, uint64_t *ret_bytes)
{
    uint64_t value = 0;

    if (!procfile_find(meminfo, key, " kB", &value) || value > UINT64_MAX / 1024)
        return false;
    *ret_bytes = value * 1024;
    return true;
}

bool writeback_load(const char *procfs, WritebackLoad *ret_load, GError **error)
{
    char meminfo[MEMINFO_SIZE];

    if (!procfile_text(procfs, "meminfo", meminfo, sizeof(meminfo), error))
        return false;
    if (!find_kilobytes(meminfo, "Dirty:", &ret_load->dirty_bytes) ||
        !find_kilobytes(meminfo, "Writeback:", &ret_load->writeback_bytes)) {
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_UNAVAILABLE,
                    "%s/meminfo does not tell Dirty and Writeback", procfs);
        return false;
    }
    return true;
}

/* Of one device; adds what it has to write to `*bytes`. 0: nothing, or the kernel does not tell. */
static int64_t device_flush_us(const char *folder, const char *name, uint64_t *bytes)
{
    g_autofree char *file = g_build_filename(name, "stats", NULL);
    char text[BDI_SIZE];
    uint64_t writeback = 0, dirty = 0, rate = 0;

    if (!procfile_text(folder, file, text, sizeof(text), NULL) ||
        !procfile_find(text, "BdiWriteback:", " kB", &writeback) ||
        !procfile_find(text, "BdiReclaimable:", " kB", &dirty) ||
        !procfile_find(text, "BdiWriteBandwidth:", " kBps", &rate))
        return 0;
    /* No machine has this much memory; so the sum and the product stay far from 64 bits. */
    if (writeback > KILOBYTES_MAX || dirty > KILOBYTES_MAX)
        return 0;
    *bytes += (writeback + dirty) * 1024;
    return (int64_t)((writeback + dirty) * (uint64_t)USEC_PER_SEC / MAX(rate, 1));
}

int64_t writeback_flush_us(const char *sysfs, const WritebackLoad *load)
{
    g_autofree char *folder = g_build_filename(sysfs, "kernel", "debug", "bdi", NULL);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    uint64_t all = load->dirty_bytes + load->writeback_bytes, known = 0;
    const char *name = NULL;
    int64_t slowest_us = 0;

    for (unsigned i = 0; dir && i < WRITEBACK_DEVICES_MAX && (name = g_dir_read_name(dir)); i++) {
        int64_t flush_us = device_flush_us(folder, name, &known);

        slowest_us = MAX(slowest_us, flush_us);
    }
    return slowest_us +
           (int64_t)((double)(all - MIN(known, all)) * USEC_PER_SEC / WRITEBACK_ASSUMED_BYTES);
}

bool writeback_read(const char *procfs, WritebackSettings *ret_settings, GError **error)
{
    *ret_settings = (WritebackSettings){-1, -1};
    return procfile_number(procfs, EXPIRE_FILE, &ret_settings->expire_cs, error) &&
           procfile_number(procfs, PERIOD_FILE, &ret_settings->period_cs, error);
}

bool writeback_apply(const char *procfs, const WritebackSettings *settings, GError **error)
{
    g_autoptr(GError) second = NULL;
    /* Expiry first: a new period wakes the flusher, which should find it. Both are tried, as a
     * half restored pair is better than none. */
    bool expire = procfile_write_number(procfs, EXPIRE_FILE, settings->expire_cs, error);
    bool period =
        procfile_write_number(procfs, PERIOD_FILE, settings->period_cs, expire ? error : &second);

    return expire && period;
}

WritebackSettings writeback_gentle(const WritebackSettings *current)
{
    WritebackSettings gentle = *current;

    gentle.expire_cs = MIN(current->expire_cs, GENTLE_EXPIRE_CS);
    /* Period 0 stops periodic write-back altogether, which is the longest period there is. */
    if (current->period_cs == 0)
        gentle.period_cs = GENTLE_PERIOD_CS;
    else
        gentle.period_cs = MIN(current->period_cs, GENTLE_PERIOD_CS);
    return gentle;
}
