/*
 * orphan: see orphan.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/orphan.h"

#include "sys/procfile.h"
#include <glib-unix.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel counts starts in ticks, and the spawning takes a moment. */
#define START_SLACK_US (3 * USEC_PER_SEC)
#define STAT_START     20 /* blanks between the end of the name and the start time */

struct Orphan {
    pid_t pid;
    int pidfd;
    GSource *source, *term, *kill;
    OrphanGone gone;
    gpointer user_data;
};

static bool is_it(pid_t pid, int64_t started_us)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/stat", (int)pid);
    char text[1024]; /* some fifty numbers */
    const char *field = NULL;
    int64_t start_us;

    if (!procfile_read(path, text, sizeof text))
        return false;
    field = strrchr(text, ')'); /* the name may hold anything */
    for (unsigned i = 0; field && i < STAT_START; i++)
        field = strchr(field + 1, ' ');
    if (!field)
        return false;
    start_us = (int64_t)strtoull(field, NULL, 10) * USEC_PER_SEC / sysconf(_SC_CLK_TCK);
    return ABS(start_us - started_us) < START_SLACK_US;
}

/* While the leader is there, unreaped, the group's number is its own. */
static bool is_gone(const Orphan *orphan)
{
    struct pollfd process = {.fd = orphan->pidfd, .events = POLLIN};

    return poll(&process, 1, 0) == 1;
}

static void clear(Orphan *orphan)
{
    if (orphan->source) {
        g_source_destroy(orphan->source);
        g_clear_pointer(&orphan->source, g_source_unref);
    }
    deadline_source_clear(&orphan->term);
    deadline_source_clear(&orphan->kill);
}

static gboolean ended(gint fd, GIOCondition condition, gpointer user_data)
{
    Orphan *orphan = user_data;

    (void)fd;
    (void)condition;
    clear(orphan);
    orphan->gone(false, orphan->user_data);
    return G_SOURCE_REMOVE;
}

static gboolean terminate(gpointer user_data)
{
    Orphan *orphan = user_data;

    deadline_source_clear(&orphan->term);
    if (!is_gone(orphan))
        (void)kill(-orphan->pid, SIGTERM);
    return G_SOURCE_REMOVE;
}

static gboolean kill_now(gpointer user_data)
{
    Orphan *orphan = user_data;
    bool by_itself = is_gone(orphan);

    if (!by_itself)
        (void)kill(-orphan->pid, SIGKILL);
    clear(orphan);
    orphan->gone(!by_itself, orphan->user_data);
    return G_SOURCE_REMOVE;
}

Orphan *orphan_watch(pid_t pid, int64_t started_us, Deadline deadline, OrphanGone gone,
                     gpointer user_data)
{
    int pidfd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
    int64_t left = deadline_left(deadline);
    Orphan *orphan = NULL;

    if (pidfd < 0)
        return NULL;
    /* After the pidfd was opened: what is looked at is what it stands for. */
    if (!is_it(pid, started_us) || getpgid(pid) != pid) {
        close(pidfd);
        return NULL;
    }
    orphan = g_new0(Orphan, 1);
    *orphan = (Orphan){.pid = pid, .pidfd = pidfd, .gone = gone, .user_data = user_data};
    orphan->source = g_unix_fd_source_new(pidfd, G_IO_IN);
    g_source_set_callback(orphan->source, G_SOURCE_FUNC(ended), orphan, NULL);
    g_source_attach(orphan->source, NULL);
    orphan->term =
        deadline_source_new(deadline_in(left - MIN(ORPHAN_TERM_US, left / 2)), terminate, orphan);
    orphan->kill = deadline_source_new(deadline, kill_now, orphan);
    return orphan;
}

void orphan_free(Orphan *orphan)
{
    if (!orphan)
        return;
    clear(orphan);
    close(orphan->pidfd);
    g_free(orphan);
}
