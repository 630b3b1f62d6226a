/*
 * Tests of offload_open(): what is opened and what refused, and opens that hang.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "offload_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

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
    const ReachPlace place = {.path = path, .mount_id = mount_id};
    Opened opened = {0};

    (void)!offload_open(&place, deadline_in(MSEC(4000)), on_opened, &opened);
    g_assert_cmpuint(opened.calls, ==, 0);
    run_until(opened.calls > 0);
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

    const ReachPlace folder = {.path = directory, .mount_id = mount_id_of(directory)};
    const ReachPlace plain = {.path = file, .mount_id = -1};

    g_assert_true(g_file_set_contents(file, "x", 1, NULL));
    (void)!offload_open(&folder, deadline_in(MSEC(4000)), on_opened_checked, directory);
    (void)!offload_open(&plain, deadline_in(MSEC(4000)), on_opened_checked, file);
    run_until(gate_read(&gate.entered) == 2);
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

static const ReachPlace ROOT = {.path = "/", .mount_id = -1};

static int open_null(const ReachPlace *place)
{
    (void)place;
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static int open_stuck(const ReachPlace *place)
{
    gate_pass();
    return open_null(place);
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
        (void)!offload_open_with(open_stuck, &ROOT, deadline_in(MSEC(4000)), on_opened, &stuck[i]);
    }
    for (unsigned i = 0; i < GOOD; i++) {
        good[i].total = &good_done;
        (void)!offload_open_with(open_null, &ROOT, deadline_in(MSEC(4000)), on_opened, &good[i]);
    }
    run_until(good_done == GOOD);
    g_test_message("good ones after %.0f ms", (double)(deadline_now() - start) / 1000);
    g_assert_cmpint(deadline_now() - start, <, MSEC(4000));
    g_assert_cmpuint(stuck_done, ==, 0);
    for (unsigned i = 0; i < GOOD; i++)
        g_assert_cmpint(good[i].error_number, ==, 0);
    run_until(stuck_done == STUCK);
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
        (void)!offload_open_with(open_stuck, &ROOT, DEADLINE_NEVER, on_opened, &stuck[i]);
    (void)!offload_open_with(open_null, &ROOT, deadline_in(MSEC(20)), on_opened, &waiting);
    run_until(waiting.calls > 0);
    g_assert_cmpint(waiting.error_number, ==, ETIMEDOUT);
    g_assert_cmpuint(offload_abandoned(), ==, 0);
    gate_set(true);
    for (unsigned i = 0; i < OFFLOAD_OPEN_THREADS; i++)
        run_until(stuck[i].calls == 1 && stuck[i].error_number == 0);
    assert_clean(state);
}

static int open_counted(const ReachPlace *place)
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
    return open_null(place);
}

static void many_in_few_threads(void)
{
    enum { MANY = 2000 };
    Before state = before();
    g_autofree Opened *opened = g_new0(Opened, MANY);
    unsigned done = 0;

    for (unsigned i = 0; i < MANY; i++) {
        opened[i].total = &done;
        (void)!offload_open_with(open_counted, &ROOT, deadline_in(30 * USEC_PER_SEC), on_opened,
                                 &opened[i]);
    }
    /* The loop comes late: threads wait for it with what does not fit the sockets. */
    g_usleep((gulong)MSEC(100));
    run_until(done == MANY);
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
        (void)!offload_open_with(open_stuck, &ROOT, deadline_in(MSEC(1500)), on_opened, &late[i]);
    run_until(offload_abandoned() == LATE);
    for (unsigned i = 0; i < MANY; i++) {
        opened[i].total = &done;
        (void)!offload_open_with(open_counted, &ROOT, deadline_in(20 * USEC_PER_SEC), on_opened,
                                 &opened[i]);
        if (i == 0)
            gate_set(true);
    }
    run_until(done == MANY);
    for (unsigned i = 0; i < MANY; i++)
        g_assert_cmpint(opened[i].error_number, ==, 0);
    assert_clean(state);
}

static void cancelled_opens(void)
{
    Before state = before();
    Opened running = {0}, stuck = {0}, waiting[20] = {0}, delivered = {0};
    OffloadOpen *first = offload_open_with(open_stuck, &ROOT, DEADLINE_NEVER, on_opened, &running);
    OffloadOpen *second =
        offload_open_with(open_stuck, &ROOT, deadline_in(MSEC(2000)), on_opened, &stuck);
    OffloadOpen *ended = NULL;
    OffloadOpen *rest[G_N_ELEMENTS(waiting)];

    run_until(gate_read(&gate.entered) == 2);
    ended = offload_open_with(open_null, &ROOT, DEADLINE_NEVER, on_opened, &delivered);
    for (unsigned i = 0; i < G_N_ELEMENTS(waiting); i++)
        rest[i] = offload_open_with(open_stuck, &ROOT, DEADLINE_NEVER, on_opened, &waiting[i]);
    g_usleep((gulong)MSEC(20));
    offload_open_cancel(ended); /* its result is in the socket */
    offload_open_cancel(first);
    offload_open_cancel(second);
    for (unsigned i = 0; i < G_N_ELEMENTS(waiting); i++)
        offload_open_cancel(rest[i]);
    /* The cancelled one that is stuck is given up at its deadline all the same. */
    run_until(offload_abandoned() == 1);
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
        (void)!offload_open_with(chain->calls == 1 ? open_stuck : open_null, &ROOT,
                                 deadline_in(chain->calls == 1 ? MSEC(50) : MSEC(4000)), on_chain,
                                 chain);
}

static void callbacks_may_open_and_cancel(void)
{
    Before state = before();
    Chain chain = {0};

    (void)!offload_open_with(open_null, &ROOT, DEADLINE_NEVER, on_chain, &chain);
    for (unsigned i = 0; i < G_N_ELEMENTS(chain.others); i++)
        chain.others[i] = offload_open_with(open_stuck, &ROOT, DEADLINE_NEVER, on_other, &chain);
    run_until(chain.calls == 4);
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
    (void)!offload_open_with(open_null, &ROOT, deadline_in(MSEC(4000)), on_opened, &opened);
    g_usleep((gulong)MSEC(50)); /* let it begin: the limit is the whole process's */
    tight.rlim_cur = 3;
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &tight), ==, 0);
    for (unsigned i = 0; i < 20000 && opened.calls == 0; i++) {
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
        (void)!offload_open_with(open_null, &ROOT, DEADLINE_NEVER, on_opened, &opened[i]);
    }
    g_assert_cmpuint(total, ==, 0);
    run_until(total == G_N_ELEMENTS(opened));
    for (unsigned i = 0; i < G_N_ELEMENTS(opened); i++)
        g_assert_cmpint(opened[i].error_number, ==, EAGAIN);
    assert_clean(state);
}

int main(int argc, char **argv)
{
    rig_init(&argc, &argv);
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
