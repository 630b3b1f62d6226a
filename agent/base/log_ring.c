/*
 * log_ring: see log_ring.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "base/log_ring.h"

#include <string.h>

struct LogRing {
    GQueue records; /* LogRecord *, message and fields in the same allocation */
    unsigned dropped;
};

LogRing *log_ring_new(void)
{
    LogRing *ring = g_new0(LogRing, 1);

    g_queue_init(&ring->records);
    return ring;
}

void log_ring_free(LogRing *ring)
{
    if (!ring)
        return;
    g_queue_clear_full(&ring->records, g_free);
    g_free(ring);
}

void log_ring_push(LogRing *ring, const LogRecord *record)
{
    size_t size = strlen(record->message) + 1;
    size_t more = record->fields ? strlen(record->fields) + 1 : 0;
    LogRecord *copy = g_malloc(sizeof(LogRecord) + size + more);

    *copy = *record;
    copy->message = memcpy(copy + 1, record->message, size);
    if (more > 0)
        copy->fields = memcpy((char *)(copy + 1) + size, record->fields, more);
    if (log_ring_length(ring) == LOG_RING_RECORDS) {
        log_ring_pop(ring);
        ring->dropped++;
    }
    g_queue_push_tail(&ring->records, copy);
}

const LogRecord *log_ring_first(const LogRing *ring)
{
    return ring->records.head ? ring->records.head->data : NULL;
}

void log_ring_pop(LogRing *ring)
{
    g_free(g_queue_pop_head(&ring->records));
}

unsigned log_ring_length(const LogRing *ring)
{
    return ring->records.length;
}

unsigned log_ring_dropped(const LogRing *ring)
{
    return ring->dropped;
}

void log_ring_reset_dropped(LogRing *ring)
{
    ring->dropped = 0;
}
