/*
 * offload_open: opening paths that may hang, in threads that can be given up.
 *
 * Requests wait in one queue; each thread takes the next until none is left, and then ends. A
 * thread sends its results over its own socket: the request's number, and the fd as SCM_RIGHTS,
 * since its fd table is not the agent's. What threads and main loop both touch is a Job, and what a
 * Worker is doing, under the pool's lock; everything else is the main loop's.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/closer.h"
#include "sys/fdpass.h"
#include "sys/offload_internal.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REPLIES_MAX   64u                /* taken per dispatch, then the others' turn */
#define ON_ITS_WAY_US (1 * USEC_PER_SEC) /* for a result sent but not yet received */

typedef struct Worker Worker;

typedef struct {
    unsigned refs; /* atomic: the OffloadOpen's, and the queue's or worker's */
    uint64_t id;
    OffloadOpenFunc function;
    ReachPlace *place;
    /* Under the lock. */
    GList link; /* in the queue */
    bool queued, finished;
    Worker *worker;
} Job;

struct OffloadOpen {
    uint64_t id;
    Job *job;
    Deadline deadline;
    OffloadOpened opened; /* NULL: cancelled while a thread was at it */
    gpointer user_data;
};

struct Worker {
    OffloadThread *thread; /* main loop */
    GSource *source;       /* main loop */
    /* Under the lock. */
    Job *job;
    int64_t since_us;
    bool leaving, abandoned;
};

typedef struct {
    uint64_t id; /* 0: the thread ends */
    int32_t error_number;
    int32_t fd; /* filled in by the receiver */
} Reply;

/* One for the process: threads are shared by all who open, and gone when nobody does. */
static struct {
    pthread_mutex_t lock;
    GQueue queue; /* Job *, under the lock */
    uint64_t last_id;
    GHashTable *opens; /* id -> OffloadOpen */
    GPtrArray *workers;
    GSource *timer;
    Deadline next;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .queue = G_QUEUE_INIT, .next = {INT64_MAX}};

static void lock(void)
{
    (void)pthread_mutex_lock(&pool.lock);
}

static void unlock(void)
{
    (void)pthread_mutex_unlock(&pool.lock);
}

static void job_unref(Job *job)
{
    if (__atomic_sub_fetch(&job->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    reach_place_free(job->place);
    g_free(job);
}

/* --- in the threads ----------------------------------------------------------------------------
 */

/* Lets go of the job before and takes the next; NULL: none, or this thread was given up. */
static Job *next_job(Worker *worker)
{
    Job *job = NULL;

    lock();
    if (!worker->abandoned)
        job = g_queue_peek_head(&pool.queue);
    worker->leaving = !job;
    worker->job = job;
    if (job) {
        g_queue_unlink(&pool.queue, &job->link);
        job->queued = false;
        job->worker = worker;
        worker->since_us = deadline_now();
    }
    unlock();
    return job;
}

static void finished(Job *job)
{
    lock();
    job->finished = true;
    unlock();
}

static bool send_reply(int socket, const Reply *reply, int fd)
{
    const unsigned n_fds = fd >= 0 ? 1 : 0;

    return fdpass_send(socket, reply, sizeof(*reply), &fd, n_fds, 0) == (ssize_t)sizeof(*reply);
}

static void worker_run(OffloadThread *thread, int socket, int error_number, gpointer data)
{
    Worker *worker = data;
    Job *job = NULL;

    while ((job = next_job(worker))) {
        int fd = error_number ? -error_number : job->function(job->place);
        Reply reply = {.id = job->id, .error_number = fd < 0 ? -fd : 0, .fd = -1};

        finished(job);
        if (!send_reply(socket, &reply, fd) && fd >= 0) {
            reply.error_number = errno;
            (void)send_reply(socket, &reply, -1);
        }
        if (fd >= 0)
            offload_close(fd);
        job_unref(job);
    }
    if (offload_thread_end(thread))
        (void)send_reply(socket, &(Reply){.id = 0}, -1);
}

/* --- threads, seen from the main loop ----------------------------------------------------------
 */

static gboolean pool_tick(gpointer user_data);

static void wake_at(Deadline deadline)
{
    if (pool.timer && pool.next.at_us <= deadline.at_us)
        return;
    deadline_source_clear(&pool.timer);
    pool.next = deadline;
    pool.timer = deadline_source_new(deadline, pool_tick, NULL);
}

static void worker_retire(Worker *worker)
{
    OffloadThread *thread = worker->thread;

    g_ptr_array_remove_fast(pool.workers, worker);
    deadline_source_clear(&worker->source);
    (void)offload_thread_leave(thread);
    offload_thread_unref(thread);
}

/* False: nothing there. */
static bool receive_reply(int socket, Reply *ret_reply)
{
    struct iovec part = {ret_reply, sizeof(*ret_reply)};
    FdPassRoom room = {0};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &room, .msg_controllen = sizeof(room)};
    ssize_t count = 0;

    count = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (count < 0)
        return false;
    if (count != (ssize_t)sizeof(*ret_reply)) /* its end was closed without a word */
        ret_reply->id = 0;
    ret_reply->fd = -1;
    (void)fdpass_take(&message, &ret_reply->fd, 1);
    if (ret_reply->fd < 0 && ret_reply->error_number == 0)
        ret_reply->error_number = EMFILE; /* the kernel had no number to give it */
    return true;
}

/* What arrived from `worker`, which is retired if it said that it ends or if it is `stuck`. No
 * callbacks are made, so nothing can change meanwhile. */
static GArray *take_replies(Worker *worker, bool stuck)
{
    GArray *replies = g_array_new(FALSE, FALSE, sizeof(Reply));
    bool ends = false;
    Reply reply = {0};

    while ((stuck || replies->len < REPLIES_MAX) && !ends &&
           receive_reply(offload_thread_fd(worker->thread), &reply)) {
        ends = reply.id == 0;
        if (!ends)
            g_array_append_val(replies, reply);
    }
    if (ends || stuck)
        worker_retire(worker);
    return replies;
}

static void open_done(OffloadOpen *request, int fd, int error_number)
{
    OffloadOpened opened = request->opened;
    gpointer user_data = request->user_data;

    g_hash_table_remove(pool.opens, &request->id);
    job_unref(request->job);
    g_free(request);
    if (g_hash_table_size(pool.opens) == 0)
        deadline_source_clear(&pool.timer);
    if (opened)
        opened(fd, error_number, user_data);
    else
        closer_close_one(CLOSER_OWN, fd);
}

static void deliver(GArray *replies)
{
    for (unsigned i = 0; i < replies->len; i++) {
        const Reply *reply = &g_array_index(replies, Reply, i);
        OffloadOpen *request = g_hash_table_lookup(pool.opens, &reply->id);

        if (request)
            open_done(request, reply->fd, reply->error_number);
        else
            closer_close_one(CLOSER_OWN, reply->fd);
    }
    g_array_unref(replies);
}

static gboolean on_replies(gint fd, GIOCondition condition, gpointer user_data)
{
    (void)fd;
    (void)condition;
    deliver(take_replies(user_data, false));
    return G_SOURCE_CONTINUE;
}

static bool start_worker(void)
{
    Worker *worker = g_new0(Worker, 1);

    /* The thread may be at work before this returns; it does not look at the two fields set here.
     */
    OffloadThread *thread = offload_thread_start("open", worker_run, worker, g_free, NULL);

    if (!thread)
        return false;
    worker->thread = thread;
    worker->source = offload_thread_source(thread, on_replies, worker);
    g_ptr_array_add(pool.workers, worker);
    return true;
}

/* Starts threads for what waits. False: something waits, and no thread will come to it. */
static bool staff(void)
{
    unsigned waiting = 0, idle = 0, counted = 0, alive = 0;

    lock();
    waiting = g_queue_get_length(&pool.queue);
    for (unsigned i = 0; i < pool.workers->len; i++) {
        const Worker *worker = g_ptr_array_index(pool.workers, i);

        if (worker->leaving)
            continue;
        alive++;
        idle += !worker->job;
        counted += !worker->job || deadline_now() - worker->since_us < OFFLOAD_OPEN_SLOW_US;
    }
    unlock();
    for (; idle < waiting && counted < OFFLOAD_OPEN_THREADS && alive < OFFLOAD_ABANDONED_MAX &&
           start_worker();
         idle++, counted++)
        alive++;
    if (waiting > idle && alive > 0)
        wake_at(deadline_in(OFFLOAD_OPEN_SLOW_US));
    return waiting == 0 || alive > 0;
}

/* --- deadlines ---------------------------------------------------------------------------------
 */

/* False: its result is on its way. */
static bool give_up(OffloadOpen *request, Worker **ret_stuck)
{
    Job *job = request->job;
    bool late = deadline_now() - request->deadline.at_us > ON_ITS_WAY_US;
    bool was_queued = false;

    *ret_stuck = NULL;
    lock();
    if (job->finished && !late) {
        unlock();
        return false;
    }
    was_queued = job->queued;
    if (was_queued) {
        g_queue_unlink(&pool.queue, &job->link);
        job->queued = false;
    } else if (!job->finished) {
        *ret_stuck = job->worker;
        job->worker->abandoned = true;
    }
    unlock();
    if (was_queued)
        job_unref(job);
    return true;
}

static void expire(OffloadOpen *request, int error_number)
{
    Worker *stuck = NULL;
    GArray *replies = NULL;

    if (!give_up(request, &stuck))
        return;
    if (stuck)
        replies = take_replies(stuck, true);
    open_done(request, -1, error_number);
    if (replies)
        deliver(replies);
}

/* The numbers of requests that are due, or with `all` of those that wait; callbacks may cancel
 * any. */
static GArray *due(bool all, Deadline *ret_next)
{
    GArray *ids = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    GHashTableIter iterator;
    gpointer value = NULL;

    *ret_next = DEADLINE_NEVER;
    g_hash_table_iter_init(&iterator, pool.opens);
    while (g_hash_table_iter_next(&iterator, NULL, &value)) {
        const OffloadOpen *request = value;

        if (all || deadline_passed(request->deadline))
            g_array_append_val(ids, request->id);
        else
            *ret_next = deadline_earlier(*ret_next, request->deadline);
    }
    return ids;
}

static void expire_due(bool all, int error_number)
{
    Deadline next;
    g_autoptr(GArray) ids = due(all, &next);
    bool again = false;

    for (unsigned i = 0; i < ids->len; i++) {
        uint64_t id = g_array_index(ids, uint64_t, i);
        OffloadOpen *request = g_hash_table_lookup(pool.opens, &id);

        if (request)
            expire(request, error_number);
        again = again || g_hash_table_contains(pool.opens, &id);
    }
    if (again)
        next = deadline_earlier(next, deadline_in(OFFLOAD_OPEN_SLOW_US));
    if (next.at_us != INT64_MAX)
        wake_at(next);
}

static gboolean pool_tick(gpointer user_data)
{
    (void)user_data;
    deadline_source_clear(&pool.timer);
    expire_due(false, ETIMEDOUT);
    /* With no thread alive nothing runs, so all there is waits, and would for ever. */
    if (!staff())
        expire_due(true, EAGAIN);
    return G_SOURCE_REMOVE;
}

/* --- requests ----------------------------------------------------------------------------------
 */

OffloadOpen *offload_open_with(OffloadOpenFunc function, const ReachPlace *place, Deadline deadline,
                               OffloadOpened opened, gpointer user_data)
{
    OffloadOpen *request = g_new0(OffloadOpen, 1);
    Job *job = g_new0(Job, 1);

    if (!pool.opens) {
        pool.opens = g_hash_table_new(g_int64_hash, g_int64_equal);
        pool.workers = g_ptr_array_new();
    }
    *job = (Job){.refs = 2, .id = ++pool.last_id, .function = function, .queued = true};
    job->place = reach_place_copy(place);
    job->link.data = job;
    *request = (OffloadOpen){job->id, job, deadline, opened, user_data};
    g_hash_table_insert(pool.opens, &request->id, request);
    lock();
    g_queue_push_tail_link(&pool.queue, &job->link);
    unlock();
    if (deadline.at_us != INT64_MAX)
        wake_at(deadline);
    if (!staff())
        wake_at(deadline_in(0));
    return request;
}

OffloadOpen *offload_open(const ReachPlace *place, Deadline deadline, OffloadOpened opened,
                          gpointer user_data)
{
    return offload_open_with(reach_open, place, deadline, opened, user_data);
}

void offload_open_cancel(OffloadOpen *request)
{
    Job *job = NULL;
    bool was_queued = false;

    if (!request)
        return;
    job = request->job;
    lock();
    was_queued = job->queued;
    if (was_queued) {
        g_queue_unlink(&pool.queue, &job->link);
        job->queued = false;
    }
    unlock();
    /* A thread at it goes on, watched by the deadline as before. */
    request->opened = NULL;
    if (was_queued) {
        job_unref(job);
        open_done(request, -1, ECANCELED);
    }
}
