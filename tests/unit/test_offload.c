/*
 * Tests of sys/offload: threads that hang hang on a gate, which the test opens in the end.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "loop_rig.h"

#include "sys/offload.h"
#include "sys/offload_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* What the threads and the test share; everything under the lock. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open;
    unsigned inside, peak, entered, freed_inputs, freed_results;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void gate_set(bool open)
{
    pthread_mutex_lock(&gate.lock);
    gate.open = open;
    if (!open)
        gate.peak = gate.entered = gate.freed_inputs = gate.freed_results = 0;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

static void gate_pass(void)
{
    pthread_mutex_lock(&gate.lock);
    gate.entered++;
    gate.inside++;
    gate.peak = MAX(gate.peak, gate.inside);
    while (!gate.open)
        pthread_cond_wait(&gate.changed, &gate.lock);
    gate.inside--;
    pthread_mutex_unlock(&gate.lock);
}

static unsigned gate_read(const unsigned *counter)
{
    unsigned value = 0;

    pthread_mutex_lock(&gate.lock);
    value = *counter;
    pthread_mutex_unlock(&gate.lock);
    return value;
}

static void gate_count(unsigned *counter)
{
    pthread_mutex_lock(&gate.lock);
    (*counter)++;
    pthread_mutex_unlock(&gate.lock);
}

/* Every test leaves no thread, no fd and no source behind. */
typedef struct {
    unsigned fds, threads;
} Before;

static Before before(void)
{
    /* Created with the first use, and staying. */
    (void)g_main_context_iteration(NULL, FALSE);
    gate_set(false);
    return (Before){loop_entries("/proc/self/fd"), loop_entries("/proc/self/task")};
}

static void assert_clean(Before state)
{
    gate_set(true);
    loop_until(offload_abandoned() == 0 && loop_entries("/proc/self/task") <= state.threads &&
               loop_entries("/proc/self/fd") <= state.fds);
    g_assert_cmpuint(loop_entries("/proc/self/fd"), ==, state.fds);
}

/* --- functions ---------------------------------------------------------------------------------
 */

typedef struct {
    unsigned calls;
    bool timed_out;
    gpointer result;
} Done;

static void on_done(gpointer result, bool timed_out, gpointer user_data)
{
    Done *done = user_data;

    done->calls++;
    done->timed_out = timed_out;
    done->result = result;
}

static void free_input(gpointer input)
{
    gate_count(&gate.freed_inputs);
    g_free(input);
}

static void free_result(gpointer result)
{
    gate_count(&gate.freed_results);
    g_free(result);
}

static gpointer repeat(gpointer input)
{
    return g_strconcat(input, input, NULL);
}

static gpointer hang(gpointer input)
{
    gate_pass();
    return g_strdup(input);
}

static Offload *run(OffloadFunc func, Deadline deadline, Done *done)
{
    g_autoptr(GError) error = NULL;
    Offload *offload = offload_run("test", func, g_strdup("ab"), free_input, free_result, deadline,
                                   on_done, done, &error);

    g_assert_no_error(error);
    g_assert_nonnull(offload);
    return offload;
}

static void result_arrives(void)
{
    Before state = before();
    Done done = {0};

    (void)!run(repeat, deadline_in(5 * USEC_PER_SEC), &done);
    g_assert_cmpuint(done.calls, ==, 0);
    loop_until(done.calls > 0);
    g_assert_false(done.timed_out);
    g_assert_cmpstr(done.result, ==, "abab");
    g_free(done.result);
    g_assert_cmpuint(gate_read(&gate.freed_inputs), ==, 1);
    g_assert_cmpuint(gate_read(&gate.freed_results), ==, 0);
    g_assert_cmpuint(offload_abandoned(), ==, 0);
    assert_clean(state);
    g_assert_cmpuint(done.calls, ==, 1);
}

static void stuck_is_given_up(void)
{
    Before state = before();
    Done done = {0};
    int64_t start = deadline_now();

    (void)!run(hang, deadline_in(MSEC(50)), &done);
    loop_until(done.calls > 0);
    g_assert_cmpint(deadline_now() - start, >=, MSEC(50));
    g_assert_cmpint(deadline_now() - start, <, MSEC(1000));
    g_assert_true(done.timed_out);
    g_assert_null(done.result);
    g_assert_cmpuint(offload_abandoned(), ==, 1);
    g_assert_cmpuint(gate_read(&gate.freed_inputs), ==, 0);
    assert_clean(state);
    g_assert_cmpuint(gate_read(&gate.freed_inputs), ==, 1);
    g_assert_cmpuint(gate_read(&gate.freed_results), ==, 1);
    g_assert_cmpuint(done.calls, ==, 1);
}

/* Without the loop, until the one thread there is frees its input and then, very likely, ended. */
static void wait_for_end(void)
{
    while (gate_read(&gate.freed_inputs) == 0)
        g_usleep(1000);
    g_usleep((gulong)MSEC(30));
}

/* The loop was busy: what ended in time counts, although the deadline has passed since. */
static void result_beats_deadline(void)
{
    Before state = before();
    Done done = {0};

    (void)!run(repeat, deadline_in(MSEC(30)), &done);
    wait_for_end();
    g_usleep((gulong)MSEC(40));
    loop_until(done.calls > 0);
    g_assert_false(done.timed_out);
    g_assert_cmpstr(done.result, ==, "abab");
    g_free(done.result);
    assert_clean(state);
}

static void cancel_while_stuck(void)
{
    Before state = before();
    Done done = {0};
    Offload *offload = run(hang, deadline_in(MSEC(20)), &done);

    loop_until(gate_read(&gate.entered) == 1);
    offload_cancel(offload);
    g_assert_cmpuint(offload_abandoned(), ==, 1);
    assert_clean(state);
    g_assert_cmpuint(done.calls, ==, 0);
    g_assert_cmpuint(gate_read(&gate.freed_results), ==, 1);
}

static void cancel_after_the_end(void)
{
    Before state = before();
    Done done = {0};
    Offload *offload = run(repeat, deadline_in(MSEC(5000)), &done);

    wait_for_end();
    offload_cancel(offload);
    g_assert_cmpuint(offload_abandoned(), ==, 0);
    assert_clean(state);
    g_assert_cmpuint(done.calls, ==, 0);
    g_assert_cmpuint(gate_read(&gate.freed_inputs), ==, 1);
    g_assert_cmpuint(gate_read(&gate.freed_results), ==, 1);
}

/* At once, so that some threads have not begun: nobody's fd is closed by mistake. */
static void cancel_at_once(void)
{
    Before state = before();
    Done done = {0};

    gate_set(true);
    for (unsigned i = 0; i < 200; i++) {
        int witness = open("/dev/null", O_RDONLY | O_CLOEXEC);

        offload_cancel(run(hang, DEADLINE_NEVER, &done));
        g_assert_cmpint(fcntl(witness, F_GETFD), >=, 0);
        g_assert_cmpint(close(witness), ==, 0);
        while (offload_abandoned() > 16)
            g_usleep(100);
    }
    assert_clean(state);
    g_assert_cmpuint(done.calls, ==, 0);
    g_assert_cmpuint(gate_read(&gate.freed_inputs), ==, 200);
}

static gpointer look_around(gpointer input)
{
    sigset_t mask;
    pthread_attr_t attributes;
    size_t stack = 0;
    int inherited = atoi(input);
    bool closed = fcntl(inherited, F_GETFD) < 0 && errno == EBADF;
    bool stderr_open = fcntl(STDERR_FILENO, F_GETFD) >= 0;
    /* stderr, its end of the pair, and the folder being listed. */
    unsigned open_fds = loop_entries("/proc/thread-self/fd");

    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstacksize(&attributes, &stack);
    pthread_attr_destroy(&attributes);
    return g_strdup_printf("closed %d stderr %d fds %u signals %d stack %d", closed, stderr_open,
                           open_fds, !sigismember(&mask, SIGTERM), stack <= 4 * OFFLOAD_STACK_SIZE);
}

static void thread_has_its_own_table(void)
{
    Before state = before();
    Done done = {0};
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    g_autoptr(GError) error = NULL;

    (void)!offload_run("test", look_around, g_strdup_printf("%d", fd), g_free, g_free,
                       deadline_in(MSEC(5000)), on_done, &done, &error);
    g_assert_no_error(error);
    loop_until(done.calls > 0);
    g_assert_cmpstr(done.result, ==, "closed 1 stderr 1 fds 3 signals 0 stack 1");
    g_free(done.result);
    g_assert_cmpint(fcntl(fd, F_GETFD), >=, 0);
    close(fd);
    assert_clean(state);
}

static void stuck_thread_holds_no_socket(void)
{
    Before state = before();
    Done done = {0};
    int pair[2];
    char byte = 0;
    Offload *offload = NULL;

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
    offload = run(hang, DEADLINE_NEVER, &done);
    loop_until(gate_read(&gate.entered) == 1);
    close(pair[0]);
    /* An end of file, though the thread is still there. */
    g_assert_cmpint(recv(pair[1], &byte, 1, MSG_DONTWAIT), ==, 0);
    close(pair[1]);
    offload_cancel(offload);
    assert_clean(state);
}

/* As many stuck threads as there may be. */
static void abandon_all(Done *done)
{
    Offload *all[OFFLOAD_ABANDONED_MAX];

    for (unsigned i = 0; i < OFFLOAD_ABANDONED_MAX; i++)
        all[i] = run(hang, DEADLINE_NEVER, done);
    loop_until(gate_read(&gate.entered) == OFFLOAD_ABANDONED_MAX);
    for (unsigned i = 0; i < OFFLOAD_ABANDONED_MAX; i++)
        offload_cancel(all[i]);
}

static void limit_of_stuck_threads(void)
{
    Before state = before();
    Done done = {0};
    g_autoptr(GError) error = NULL;

    abandon_all(&done);
    g_assert_cmpuint(offload_abandoned(), ==, OFFLOAD_ABANDONED_MAX);
    g_assert_null(offload_run("one-more", hang, g_strdup("x"), free_input, free_result,
                              DEADLINE_NEVER, on_done, &done, &error));
    g_assert_error(error, AGENT_ERROR, AGENT_ERROR_LIMIT);
    g_assert_cmpuint(gate_read(&gate.freed_inputs), >=, 1);
    assert_clean(state);
    g_assert_cmpuint(gate_read(&gate.freed_inputs), ==, OFFLOAD_ABANDONED_MAX + 1);
    /* And then again. */
    gate_set(true);
    (void)!run(repeat, deadline_in(MSEC(5000)), &done);
    loop_until(done.calls == 1);
    g_free(done.result);
}

/* --- opening -----------------------------------------------------------------------------------
 */

typedef struct {
    unsigned calls, *total;
    int fd, error_number;
} Opened;

static void on_opened(int fd, int error_number, gpointer user_data)
{
    Opened *opened = user_data;

    opened->calls++;
    opened->fd = fd;
    opened->error_number = error_number;
    g_assert_cmpint(fd >= 0, ==, error_number == 0);
    if (opened->total)
        (*opened->total)++;
    if (fd >= 0)
        g_assert_cmpint(close(fd), ==, 0);
}

static int mount_id_of(const char *path)
{
    struct statx status;

    g_assert_cmpint(statx(AT_FDCWD, path, 0, STATX_MNT_ID, &status), ==, 0);
    return (int)status.stx_mnt_id;
}

static int open_and_wait(const char *path, int mount_id)
{
    Opened opened = {0};

    (void)!offload_open(path, mount_id, deadline_in(MSEC(4000)), on_opened, &opened);
    g_assert_cmpuint(opened.calls, ==, 0);
    loop_until(opened.calls > 0);
    return opened.error_number;
}

static void on_opened_checked(int fd, int error_number, gpointer user_data)
{
    const char *path = user_data;
    struct stat by_fd, by_path;

    g_assert_cmpint(error_number, ==, 0);
    g_assert_cmpint(fstat(fd, &by_fd), ==, 0);
    g_assert_cmpint(stat(path, &by_path), ==, 0);
    g_assert_true(by_fd.st_ino == by_path.st_ino && by_fd.st_dev == by_path.st_dev);
    g_assert_cmpint(fcntl(fd, F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);
    g_assert_cmpint(fcntl(fd, F_GETFL) & (O_PATH | O_NONBLOCK | O_NOATIME | O_ACCMODE), ==,
                    O_NONBLOCK | O_NOATIME);
    close(fd);
    gate_count(&gate.entered);
}

static void opens_what_is_there(void)
{
    Before state = before();
    g_autofree char *directory = g_dir_make_tmp("offload-XXXXXX", NULL);
    g_autofree char *file = g_build_filename(directory, "file", NULL);

    g_assert_true(g_file_set_contents(file, "x", 1, NULL));
    (void)!offload_open(directory, mount_id_of(directory), deadline_in(MSEC(4000)),
                        on_opened_checked, directory);
    (void)!offload_open(file, -1, deadline_in(MSEC(4000)), on_opened_checked, file);
    loop_until(gate_read(&gate.entered) == 2);
    g_unlink(file);
    g_rmdir(directory);
    assert_clean(state);
}

static void refuses_what_is_not_meant(void)
{
    Before state = before();
    g_autofree char *directory = g_dir_make_tmp("offload-XXXXXX", NULL);
    g_autofree char *fifo = g_build_filename(directory, "fifo", NULL);
    g_autofree char *link = g_build_filename(directory, "link", NULL);
    g_autofree char *through = g_build_filename(link, "fifo", NULL);
    g_autofree char *missing = g_build_filename(directory, "missing", NULL);

    g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
    g_assert_cmpint(symlink(directory, link), ==, 0);
    g_assert_cmpint(open_and_wait(directory, mount_id_of(directory) + 1), ==, EXDEV);
    g_assert_cmpint(open_and_wait(directory, mount_id_of("/proc")), ==, EXDEV);
    g_assert_cmpint(open_and_wait(link, -1), ==, ELOOP);
    g_assert_cmpint(open_and_wait(through, -1), ==, ELOOP);
    g_assert_cmpint(open_and_wait("/proc/self/root", -1), ==, ELOOP);
    g_assert_cmpint(open_and_wait(missing, -1), ==, ENOENT);
    g_assert_cmpint(open_and_wait(fifo, -1), ==, EOPNOTSUPP);
    g_assert_cmpint(open_and_wait("/dev/null", -1), ==, EOPNOTSUPP);
    g_unlink(fifo);
    g_unlink(link);
    g_rmdir(directory);
    assert_clean(state);
}

/* --- opens that hang ---------------------------------------------------------------------------
 */

static int open_null(const char *path, int mount_id)
{
    (void)path;
    (void)mount_id;
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static int open_stuck(const char *path, int mount_id)
{
    gate_pass();
    return open_null(path, mount_id);
}

static void stuck_opens_do_not_hold_up_others(void)
{
    enum { STUCK = 20, GOOD = 30 };
    Before state = before();
    Opened stuck[STUCK] = {0}, good[GOOD] = {0};
    unsigned stuck_done = 0, good_done = 0;
    int64_t start = deadline_now();

    /* More than there are threads, and first. */
    for (unsigned i = 0; i < STUCK; i++) {
        stuck[i].total = &stuck_done;
        (void)!offload_open_with(open_stuck, "/", -1, deadline_in(MSEC(1500)), on_opened,
                                 &stuck[i]);
    }
    for (unsigned i = 0; i < GOOD; i++) {
        good[i].total = &good_done;
        (void)!offload_open_with(open_null, "/", -1, deadline_in(MSEC(1500)), on_opened, &good[i]);
    }
    loop_until(good_done == GOOD);
    g_test_message("good ones after %.0f ms", (double)(deadline_now() - start) / 1000);
    g_assert_cmpint(deadline_now() - start, <, MSEC(1500));
    g_assert_cmpuint(stuck_done, ==, 0);
    for (unsigned i = 0; i < GOOD; i++)
        g_assert_cmpint(good[i].error_number, ==, 0);
    loop_until(stuck_done == STUCK);
    for (unsigned i = 0; i < STUCK; i++)
        g_assert_cmpint(stuck[i].error_number, ==, ETIMEDOUT);
    g_assert_cmpuint(offload_abandoned(), ==, STUCK);
    /* What they open in the end is closed. */
    assert_clean(state);
    g_assert_cmpuint(stuck_done, ==, STUCK);
}

static void deadline_of_one_that_waits(void)
{
    Before state = before();
    Opened stuck[OFFLOAD_OPEN_THREADS] = {0}, waiting = {0};

    for (unsigned i = 0; i < OFFLOAD_OPEN_THREADS; i++)
        (void)!offload_open_with(open_stuck, "/", -1, DEADLINE_NEVER, on_opened, &stuck[i]);
    (void)!offload_open_with(open_null, "/", -1, deadline_in(MSEC(20)), on_opened, &waiting);
    loop_until(waiting.calls > 0);
    g_assert_cmpint(waiting.error_number, ==, ETIMEDOUT);
    g_assert_cmpuint(offload_abandoned(), ==, 0);
    gate_set(true);
    for (unsigned i = 0; i < OFFLOAD_OPEN_THREADS; i++)
        loop_until(stuck[i].calls == 1 && stuck[i].error_number == 0);
    assert_clean(state);
}

static int open_counted(const char *path, int mount_id)
{
    pthread_mutex_lock(&gate.lock);
    gate.inside++;
    gate.peak = MAX(gate.peak, gate.inside);
    pthread_mutex_unlock(&gate.lock);
    g_usleep(200);
    pthread_mutex_lock(&gate.lock);
    gate.inside--;
    gate.entered++;
    pthread_mutex_unlock(&gate.lock);
    return open_null(path, mount_id);
}

static void many_in_few_threads(void)
{
    enum { MANY = 2000 };
    Before state = before();
    g_autofree Opened *opened = g_new0(Opened, MANY);
    unsigned done = 0;

    for (unsigned i = 0; i < MANY; i++) {
        opened[i].total = &done;
        (void)!offload_open_with(open_counted, "/", -1, deadline_in(5 * USEC_PER_SEC), on_opened,
                                 &opened[i]);
    }
    /* The loop comes late: threads wait for it with what does not fit the sockets. */
    g_usleep((gulong)MSEC(100));
    loop_until(done == MANY);
    for (unsigned i = 0; i < MANY; i++)
        g_assert_true(opened[i].calls == 1 && opened[i].error_number == 0);
    g_assert_cmpuint(gate_read(&gate.entered), ==, MANY);
    g_assert_cmpuint(gate_read(&gate.peak), <=, OFFLOAD_OPEN_THREADS);
    g_assert_cmpuint(offload_abandoned(), ==, 0);
    assert_clean(state);
}

/* Whoever was given up and comes back has nobody to answer to, so it must not take more work. */
static void late_thread_takes_no_more(void)
{
    enum { LATE = 16, MANY = 500 };
    Before state = before();
    Opened late[LATE] = {0};
    g_autofree Opened *opened = g_new0(Opened, MANY);
    unsigned done = 0;

    for (unsigned i = 0; i < LATE; i++)
        (void)!offload_open_with(open_stuck, "/", -1, deadline_in(MSEC(300)), on_opened, &late[i]);
    loop_until(offload_abandoned() == LATE);
    for (unsigned i = 0; i < MANY; i++) {
        opened[i].total = &done;
        (void)!offload_open_with(open_counted, "/", -1, deadline_in(3 * USEC_PER_SEC), on_opened,
                                 &opened[i]);
        if (i == 0)
            gate_set(true);
    }
    loop_until(done == MANY);
    for (unsigned i = 0; i < MANY; i++)
        g_assert_cmpint(opened[i].error_number, ==, 0);
    assert_clean(state);
}

static void cancelled_opens(void)
{
    Before state = before();
    Opened running = {0}, stuck = {0}, waiting[20] = {0}, delivered = {0};
    OffloadOpen *first =
        offload_open_with(open_stuck, "/", -1, DEADLINE_NEVER, on_opened, &running);
    OffloadOpen *second =
        offload_open_with(open_stuck, "/", -1, deadline_in(MSEC(100)), on_opened, &stuck);
    OffloadOpen *ended = NULL;
    OffloadOpen *rest[G_N_ELEMENTS(waiting)];

    loop_until(gate_read(&gate.entered) == 2);
    ended = offload_open_with(open_null, "/", -1, DEADLINE_NEVER, on_opened, &delivered);
    for (unsigned i = 0; i < G_N_ELEMENTS(waiting); i++)
        rest[i] = offload_open_with(open_stuck, "/", -1, DEADLINE_NEVER, on_opened, &waiting[i]);
    g_usleep((gulong)MSEC(20));
    offload_open_cancel(ended); /* its result is in the socket */
    offload_open_cancel(first);
    offload_open_cancel(second);
    for (unsigned i = 0; i < G_N_ELEMENTS(waiting); i++)
        offload_open_cancel(rest[i]);
    /* The cancelled one that is stuck is given up at its deadline all the same. */
    loop_until(offload_abandoned() == 1);
    assert_clean(state);
    g_assert_cmpuint(running.calls + stuck.calls + delivered.calls, ==, 0);
    for (unsigned i = 0; i < G_N_ELEMENTS(waiting); i++)
        g_assert_cmpuint(waiting[i].calls, ==, 0);
    /* Those that waited were never tried. */
    g_assert_cmpuint(gate_read(&gate.entered), <=, OFFLOAD_OPEN_THREADS);
}

typedef struct {
    OffloadOpen *others[10];
    unsigned calls, others_called;
} Chain;

static void on_other(int fd, int error_number, gpointer user_data)
{
    Chain *chain = user_data;

    (void)error_number;
    chain->others_called++;
    if (fd >= 0)
        close(fd);
}

static void on_chain(int fd, int error_number, gpointer user_data)
{
    Chain *chain = user_data;

    g_assert_cmpint(error_number, ==, chain->calls == 1 ? ETIMEDOUT : 0);
    if (fd >= 0)
        close(fd);
    chain->calls++;
    for (unsigned i = 0; i < G_N_ELEMENTS(chain->others); i++)
        offload_open_cancel(g_steal_pointer(&chain->others[i]));
    if (chain->calls < 4)
        (void)!offload_open_with(chain->calls == 1 ? open_stuck : open_null, "/", -1,
                                 deadline_in(chain->calls == 1 ? MSEC(50) : MSEC(4000)), on_chain,
                                 chain);
}

static void callbacks_may_open_and_cancel(void)
{
    Before state = before();
    Chain chain = {0};

    (void)!offload_open_with(open_null, "/", -1, DEADLINE_NEVER, on_chain, &chain);
    for (unsigned i = 0; i < G_N_ELEMENTS(chain.others); i++)
        chain.others[i] = offload_open_with(open_stuck, "/", -1, DEADLINE_NEVER, on_other, &chain);
    loop_until(chain.calls == 4);
    assert_clean(state);
    g_assert_cmpuint(chain.others_called, ==, 0);
}

static void no_number_left_for_the_fd(void)
{
    Before state = before();
    struct rlimit usual, tight;
    Opened opened = {0};

    g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &usual), ==, 0);
    tight = usual;
    (void)!offload_open_with(open_null, "/", -1, deadline_in(MSEC(4000)), on_opened, &opened);
    g_usleep((gulong)MSEC(50)); /* let it begin: the limit is the whole process's */
    tight.rlim_cur = 3;
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &tight), ==, 0);
    for (unsigned i = 0; i < 1000 && opened.calls == 0; i++) {
        g_main_context_iteration(NULL, FALSE);
        g_usleep(1000);
    }
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &usual), ==, 0);
    g_assert_cmpuint(opened.calls, ==, 1);
    g_assert_cmpint(opened.error_number, ==, EMFILE);
    assert_clean(state);
}

static void no_thread_left_for_opens(void)
{
    Before state = before();
    Done done = {0};
    Opened opened[3] = {0};
    unsigned total = 0;

    abandon_all(&done);
    for (unsigned i = 0; i < G_N_ELEMENTS(opened); i++) {
        opened[i].total = &total;
        (void)!offload_open_with(open_null, "/", -1, DEADLINE_NEVER, on_opened, &opened[i]);
    }
    g_assert_cmpuint(total, ==, 0);
    loop_until(total == G_N_ELEMENTS(opened));
    for (unsigned i = 0; i < G_N_ELEMENTS(opened); i++)
        g_assert_cmpint(opened[i].error_number, ==, EAGAIN);
    assert_clean(state);
}

static void *nothing(void *data)
{
    return data;
}

int main(int argc, char **argv)
{
    pthread_t first;

    /* Sanitizers start a thread of their own with the first. */
    g_assert_cmpint(pthread_create(&first, NULL, nothing, NULL), ==, 0);
    g_assert_cmpint(pthread_join(first, NULL), ==, 0);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/offload/result_arrives", result_arrives);
    g_test_add_func("/offload/stuck_is_given_up", stuck_is_given_up);
    g_test_add_func("/offload/result_beats_deadline", result_beats_deadline);
    g_test_add_func("/offload/cancel_while_stuck", cancel_while_stuck);
    g_test_add_func("/offload/cancel_after_the_end", cancel_after_the_end);
    g_test_add_func("/offload/cancel_at_once", cancel_at_once);
    g_test_add_func("/offload/thread_has_its_own_table", thread_has_its_own_table);
    g_test_add_func("/offload/stuck_thread_holds_no_socket", stuck_thread_holds_no_socket);
    g_test_add_func("/offload/limit_of_stuck_threads", limit_of_stuck_threads);
    g_test_add_func("/offload/open/opens_what_is_there", opens_what_is_there);
    g_test_add_func("/offload/open/refuses_what_is_not_meant", refuses_what_is_not_meant);
    g_test_add_func("/offload/open/stuck_opens_do_not_hold_up_others",
                    stuck_opens_do_not_hold_up_others);
    g_test_add_func("/offload/open/deadline_of_one_that_waits", deadline_of_one_that_waits);
    g_test_add_func("/offload/open/many_in_few_threads", many_in_few_threads);
    g_test_add_func("/offload/open/late_thread_takes_no_more", late_thread_takes_no_more);
    g_test_add_func("/offload/open/cancelled", cancelled_opens);
    g_test_add_func("/offload/open/callbacks_may_open_and_cancel", callbacks_may_open_and_cancel);
    g_test_add_func("/offload/open/no_number_left_for_the_fd", no_number_left_for_the_fd);
    g_test_add_func("/offload/open/no_thread_left", no_thread_left_for_opens);
    return g_test_run();
}
