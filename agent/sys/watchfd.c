/*
 * watchfd: see watchfd.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/watchfd.h"

#include <glib.h>
#include <limits.h>
#include <sys/inotify.h>
#include <unistd.h>

/* One event has to fit: its name is at most NAME_MAX long. */
#define EVENTS_SIZE (16 * (sizeof(struct inotify_event) + NAME_MAX + 1))

static GArray *idle; /* of int; those nobody has */

int watchfd_take(void)
{
    int fd;

    if (!idle || idle->len == 0)
        return inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    fd = g_array_index(idle, int, idle->len - 1);
    g_array_set_size(idle, idle->len - 1);
    return fd;
}

void watchfd_give(int fd)
{
    char events[EVENTS_SIZE];

    if (fd < 0)
        return;
    /* Without watches no more come; the queue holds fs.inotify.max_queued_events at most. */
    while (read(fd, events, sizeof(events)) > 0)
        continue;
    if (!idle)
        idle = g_array_new(FALSE, FALSE, sizeof(int));
    g_array_append_val(idle, fd);
}
