/*
 * keeper_rescue: thaws by the service's own fds when there is no keeper; see keeper_rescue.h.
 *
 * A thread takes one filesystem after another of the open level; the main loop opens the next level
 * when one is over or late, and starts more threads when all are stuck. Each thread has an fd table
 * of its own with the filesystems and the event fd in it: stuck in D, with the service killed, it
 * keeps neither the service's sockets nor its locks.
 *
 * The main loop's part lives until the last thread ended, or for good when one never does; so do
 * the duplicated fds, which a thread that has just begun still copies.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/keeper_rescue.h"

#include "keeper/message.h"
#include "sys/thaw.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define THREADS_FEW    4u /* of a level of few: a FITHAW takes a millisecond, a thread costs more */
#define THREADS_RELIEF 64u
#define STACK_SIZE     ((size_t)256 << 10)
#define BLIND_US       (2 * USEC_PER_SEC) /* without an event fd only the deadline ends it */

typedef struct {
    int fd; /* ours */
    uint32_t rank;
    unsigned index;
    int error;
    bool ended, told;
} RescueItem;

struct KeeperRescue {
    gatomicrefcount refs; /* the main loop's and one a thread */
    pthread_mutex_t lock; /* guards next, level_end, threads and the items' results */
    RescueItem *items;    /* by rank, highest first */
    unsigned count, next, level_from, level_end, threads;
    int *keep; /* ascending: fds of the items and event_fd */
    unsigned n_keep;
    int event_fd;

    /* main loop only */
    KeeperRescueThawed thawed;
    KeeperRescueDone done;
    gpointer user_data;
    GSource *event_source, *level_timer, *deadline_timer;
    bool over; /* no callback follows */
};

static void rescue_unref(KeeperRescue *rescue)
{
    if (!g_atomic_ref_count_dec(&rescue->refs))
        return;
    pthread_mutex_destroy(&rescue->lock);
    g_free(rescue->items);
    g_free(rescue->keep);
    g_free(rescue);
}

/* --- threads -----------------------------------------------------------------------------------
 */

static void own_table(const KeeperRescue *rescue)
{
    unsigned from = 0;

    if (unshare(CLONE_FILES) != 0)
        return;
    for (unsigned i = 0; i < rescue->n_keep; i++) {
        if ((unsigned)rescue->keep[i] > from)
            (void)close_range(from, (unsigned)rescue->keep[i] - 1, 0);
        from = (unsigned)rescue->keep[i] + 1;
    }
    (void)close_range(from, UINT_MAX, 0);
}

static void *thread_main(void *data)
{
    KeeperRescue *rescue = data;
    sigset_t all;

    sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, NULL);
    own_table(rescue);
    pthread_mutex_lock(&rescue->lock);
    while (rescue->next < rescue->level_end) {
        RescueItem *item = &rescue->items[rescue->next++];
        int error_number;

        pthread_mutex_unlock(&rescue->lock);
        error_number = thaw_filesystem(item->fd);
        pthread_mutex_lock(&rescue->lock);
        item->error = error_number;
        item->ended = true;
        (void)eventfd_write(rescue->event_fd, 1);
    }
    rescue->threads--;
    (void)eventfd_write(rescue->event_fd, 1);
    pthread_mutex_unlock(&rescue->lock);
    rescue_unref(rescue);
    return NULL;
}

/* Lock held. */
static void start_threads(KeeperRescue *rescue, unsigned count)
{
    pthread_attr_t attributes;
    pthread_t thread;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    for (unsigned i = 0; i < count; i++) {
        g_atomic_ref_count_inc(&rescue->refs);
        if (pthread_create(&thread, &attributes, thread_main, rescue) == 0) {
            rescue->threads++;
        } else {
            g_atomic_ref_count_dec(&rescue->refs);
            break; /* the level's timer tries again */
        }
    }
    pthread_attr_destroy(&attributes);
}

/* --- main loop ---------------------------------------------------------------------------------
 */

static gboolean on_level_late(gpointer user_data);

/* Lock held. */
static bool level_over(const KeeperRescue *rescue)
{
    for (unsigned i = rescue->level_from; i < rescue->level_end; i++)
        if (!rescue->items[i].ended)
            return false;
    return true;
}

/* As the keeper does (hold.c): the FITHAWs of many also wait for their disks. */
static unsigned level_threads(unsigned size)
{
    unsigned few = MAX((size + 1) / 2, MIN(size, 2));

    return few > THREADS_FEW ? THREADS_FEW + size / 16 : few;
}

/* Lock held. */
static void open_level(KeeperRescue *rescue)
{
    unsigned from = rescue->level_end;

    if (from == rescue->count)
        return;
    rescue->level_from = from;
    while (rescue->level_end < rescue->count &&
           rescue->items[rescue->level_end].rank == rescue->items[from].rank)
        rescue->level_end++;
    start_threads(rescue, level_threads(rescue->level_end - from));
    deadline_source_clear(&rescue->level_timer);
    rescue->level_timer =
        deadline_source_new(deadline_in(KEEPER_LEVEL_WAIT_US), on_level_late, rescue);
}

static gboolean on_level_late(gpointer user_data)
{
    KeeperRescue *rescue = user_data;
    unsigned waiting;

    deadline_source_clear(&rescue->level_timer);
    pthread_mutex_lock(&rescue->lock);
    waiting = rescue->level_end - rescue->next;
    if (waiting > 0) {
        start_threads(rescue, MIN(waiting, THREADS_RELIEF));
        rescue->level_timer =
            deadline_source_new(deadline_in(KEEPER_LEVEL_WAIT_US), on_level_late, rescue);
    } else {
        open_level(rescue);
    }
    pthread_mutex_unlock(&rescue->lock);
    return G_SOURCE_REMOVE;
}

/* No thread is left that could use an fd: nothing of the main loop's part is needed any more. */
static void release(KeeperRescue *rescue)
{
    deadline_source_clear(&rescue->event_source);
    for (unsigned i = 0; i < rescue->count; i++)
        if (rescue->items[i].fd >= 0)
            (void)close(rescue->items[i].fd);
    (void)close(rescue->event_fd);
    rescue_unref(rescue);
}

/* Nothing is begun and nobody is called any more. */
static unsigned end_calls(KeeperRescue *rescue)
{
    unsigned pending = 0;

    rescue->over = true;
    deadline_source_clear(&rescue->level_timer);
    deadline_source_clear(&rescue->deadline_timer);
    pthread_mutex_lock(&rescue->lock);
    rescue->level_end = rescue->next;
    for (unsigned i = 0; i < rescue->count; i++)
        pending += !rescue->items[i].ended;
    pthread_mutex_unlock(&rescue->lock);
    return pending;
}

static void tell_thawed(KeeperRescue *rescue)
{
    for (unsigned i = 0; i < rescue->count && !rescue->over; i++) {
        RescueItem *item = &rescue->items[i];
        bool ended;

        pthread_mutex_lock(&rescue->lock);
        ended = item->ended;
        pthread_mutex_unlock(&rescue->lock);
        if (!ended || item->told)
            continue;
        item->told = true;
        rescue->thawed(item->index, item->error, rescue->user_data);
    }
}

static bool all_told(const KeeperRescue *rescue)
{
    for (unsigned i = 0; i < rescue->count; i++)
        if (!rescue->items[i].told)
            return false;
    return true;
}

static void step(KeeperRescue *rescue)
{
    unsigned threads;

    pthread_mutex_lock(&rescue->lock);
    if (!rescue->over && level_over(rescue))
        open_level(rescue);
    pthread_mutex_unlock(&rescue->lock);
    tell_thawed(rescue);
    if (!rescue->over && all_told(rescue)) {
        (void)end_calls(rescue);
        rescue->done(0, rescue->user_data);
    }
    pthread_mutex_lock(&rescue->lock);
    threads = rescue->threads;
    pthread_mutex_unlock(&rescue->lock);
    if (rescue->over && threads == 0)
        release(rescue);
}

static gboolean on_event(int fd, GIOCondition condition, gpointer user_data)
{
    eventfd_t value;

    (void)condition;
    (void)eventfd_read(fd, &value);
    step(user_data);
    return G_SOURCE_CONTINUE; /* of no effect once it was destroyed */
}

static gboolean on_deadline(gpointer user_data)
{
    KeeperRescue *rescue = user_data;
    unsigned pending;

    tell_thawed(rescue);
    if (!rescue->over) {
        pending = end_calls(rescue);
        rescue->done(pending, rescue->user_data);
    }
    (void)eventfd_write(rescue->event_fd, 1);
    return G_SOURCE_REMOVE;
}

void keeper_rescue_cancel(KeeperRescue *rescue)
{
    (void)end_calls(rescue);
    (void)eventfd_write(rescue->event_fd, 1);
}

/* --- begin -------------------------------------------------------------------------------------
 */

static int compare_items(gconstpointer a, gconstpointer b)
{
    const RescueItem *left = a, *right = b;

    if (left->rank != right->rank)
        return left->rank > right->rank ? -1 : 1;
    return left->index > right->index ? -1 : left->index < right->index;
}

static int compare_fds(gconstpointer a, gconstpointer b)
{
    int left = *(const int *)a, right = *(const int *)b;

    return (left > right) - (left < right);
}

KeeperRescue *keeper_rescue(const KeeperRescueFilesystem *filesystems, unsigned count,
                            Deadline deadline, KeeperRescueThawed thawed, KeeperRescueDone done,
                            gpointer user_data)
{
    KeeperRescue *rescue = g_new0(KeeperRescue, 1);

    g_atomic_ref_count_init(&rescue->refs);
    pthread_mutex_init(&rescue->lock, NULL);
    rescue->thawed = thawed;
    rescue->done = done;
    rescue->user_data = user_data;
    rescue->count = count;
    rescue->items = g_new0(RescueItem, MAX(count, 1));
    rescue->keep = g_new0(int, count + 1);
    rescue->event_fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    if (rescue->event_fd >= 0)
        rescue->keep[rescue->n_keep++] = rescue->event_fd;
    else
        deadline = deadline_earlier(deadline, deadline_in(BLIND_US));
    for (unsigned i = 0; i < count; i++) {
        int fd = fcntl(filesystems[i].fd, F_DUPFD_CLOEXEC, 0);

        rescue->items[i] =
            (RescueItem){.fd = fd, .rank = filesystems[i].rank, .index = filesystems[i].index};
        if (fd >= 0)
            rescue->keep[rescue->n_keep++] = fd;
    }
    qsort(rescue->items, count, sizeof *rescue->items, compare_items);
    qsort(rescue->keep, rescue->n_keep, sizeof *rescue->keep, compare_fds);
    rescue->event_source = g_unix_fd_source_new(rescue->event_fd, G_IO_IN);
    g_source_set_callback(rescue->event_source, G_SOURCE_FUNC(on_event), rescue, NULL);
    g_source_attach(rescue->event_source, NULL);
    rescue->deadline_timer = deadline_source_new(deadline, on_deadline, rescue);
    pthread_mutex_lock(&rescue->lock);
    open_level(rescue);
    pthread_mutex_unlock(&rescue->lock);
    return rescue;
}
