/*
 * test_fdstore: what a service manager is given to keep, and when the agent believes that it has
 * it.
 *
 * The manager is a socket of the test. Every case ends without an fd more than it began with.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "loop_rig.h"
#include "notify_rig.h"

#include "keeper/message.h"
#include "sys/fdstore.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES    3
#define MANY     64         /* more than a socket's queue holds on most machines */
#define TOO_MANY 130        /* fds for one message */
#define AT_ONCE  MSEC(2500) /* less than LOOP_WAIT_US by far */

typedef struct {
    char *directory, *path;
    int manager;
    FdStore *store;
    int files[FILES];
    unsigned done, fds_before;
    bool stored;
} Fixture;

static void set_up(Fixture *fixture, gconstpointer data)
{
    (void)data;
    (void)g_main_context_iteration(NULL, FALSE); /* makes the context's own fd */
    fixture->fds_before = loop_entries("/proc/self/fd");
    fixture->directory = g_dir_make_tmp("fdstore-XXXXXX", NULL);
    fixture->path = g_build_filename(fixture->directory, "notify", NULL);
    fixture->manager = notify_rig_bind(fixture->path);
    fixture->store = fdstore_new(fixture->path, FDSTORE_HOLDS);
    for (unsigned i = 0; i < FILES; i++)
        fixture->files[i] = memfd_create("filesystem", MFD_CLOEXEC);
}

static void tear_down(Fixture *fixture, gconstpointer data)
{
    (void)data;
    fdstore_free(fixture->store);
    if (fixture->manager >= 0)
        close(fixture->manager);
    for (unsigned i = 0; i < FILES; i++)
        close(fixture->files[i]);
    (void)g_unlink(fixture->path);
    (void)g_rmdir(fixture->directory);
    g_free(fixture->directory);
    g_free(fixture->path);
    g_assert_cmpuint(loop_entries("/proc/self/fd"), ==, fixture->fds_before);
}

static void on_done(bool stored, gpointer user_data)
{
    Fixture *fixture = user_data;

    fixture->done++;
    fixture->stored = stored;
}

static void put(Fixture *fixture, int64_t wait_us)
{
    unsigned done = fixture->done;

    fdstore_put(fixture->store, fixture->files, NULL, FILES, deadline_in(wait_us), on_done,
                fixture);
    g_assert_cmpuint(fixture->done, ==, done); /* never from within */
}

/* The next message, with the fd that came with it or -1. */
static char *next(const Fixture *fixture, int *ret_fd)
{
    char *text = NULL;

    loop_until(text || (text = notify_rig_receive(fixture->manager, ret_fd)));
    return text;
}

static void expect_stored(const Fixture *fixture, unsigned index, int file)
{
    g_autofree char *expected = g_strdup_printf("FDSTORE=1\nFDNAME=hold-%u\nFDPOLL=0", index);
    struct stat sent, mine;
    int fd = -1;
    g_autofree char *text = next(fixture, &fd);

    g_assert_cmpstr(text, ==, expected);
    g_assert_cmpint(fstat(fd, &sent), ==, 0);
    g_assert_cmpint(fstat(file, &mine), ==, 0);
    g_assert_true(sent.st_dev == mine.st_dev && sent.st_ino == mine.st_ino);
    close(fd);
}

/* The fd to close when everything before was taken in. */
static int expect_barrier(const Fixture *fixture)
{
    int fd = -1;
    g_autofree char *text = next(fixture, &fd);

    g_assert_cmpstr(text, ==, "BARRIER=1");
    g_assert_cmpint(fd, >=, 0);
    return fd;
}

static int expect_all(const Fixture *fixture)
{
    for (unsigned i = 0; i < FILES; i++)
        expect_stored(fixture, i, fixture->files[i]);
    return expect_barrier(fixture);
}

static void expect_removed(const Fixture *fixture, unsigned index)
{
    g_autofree char *expected = g_strdup_printf("FDSTOREREMOVE=1\nFDNAME=hold-%u", index);
    int fd = -1;
    g_autofree char *text = next(fixture, &fd);

    g_assert_cmpstr(text, ==, expected);
    g_assert_cmpint(fd, ==, -1);
}

static void expect_nothing(const Fixture *fixture)
{
    g_autofree char *text = NULL;

    (void)loop_for(MSEC(50));
    text = notify_rig_receive(fixture->manager, NULL);
    g_assert_cmpstr(text, ==, NULL);
}

/* --- storing -----------------------------------------------------------------------------------
 */

static void is_stored_when_the_manager_has_read_all(Fixture *fixture, gconstpointer data)
{
    int barrier;

    (void)data;
    put(fixture, LOOP_WAIT_US);
    barrier = expect_all(fixture);
    (void)loop_for(MSEC(50));
    g_assert_cmpuint(fixture->done, ==, 0); /* received is not read yet */
    close(barrier);
    loop_until(fixture->done == 1);
    g_assert_true(fixture->stored);
    for (unsigned i = 0; i < FILES; i++) /* borrowed */
        g_assert_cmpint(fcntl(fixture->files[i], F_GETFD), >=, 0);
    expect_nothing(fixture);
    g_assert_cmpuint(fixture->done, ==, 1);
}

static void what_has_no_fd_keeps_its_index(Fixture *fixture, gconstpointer data)
{
    int fds[FILES + 1] = {-1, fixture->files[1], -1, fixture->files[2]};

    (void)data;
    fdstore_put(fixture->store, fds, NULL, FILES + 1, deadline_in(LOOP_WAIT_US), on_done, fixture);
    expect_stored(fixture, 1, fixture->files[1]);
    expect_stored(fixture, 3, fixture->files[2]);
    close(expect_barrier(fixture));
    loop_until(fixture->done == 1);
    g_assert_true(fixture->stored);
}

static void a_manager_that_says_nothing_has_not_stored(Fixture *fixture, gconstpointer data)
{
    int64_t before = deadline_now();
    int barrier;

    (void)data;
    put(fixture, MSEC(200));
    barrier = expect_all(fixture);
    loop_until(fixture->done == 1);
    g_assert_false(fixture->stored);
    g_assert_cmpint(deadline_now() - before, >=, MSEC(200));
    close(barrier); /* too late */
    (void)loop_for(MSEC(50));
    g_assert_cmpuint(fixture->done, ==, 1);
}

/* Sending fails then, and what was not sent must not pass for read. */
static void a_manager_that_went_away_has_not_stored(Fixture *fixture, gconstpointer data)
{
    (void)data;
    close(fixture->manager);
    fixture->manager = -1;
    put(fixture, LOOP_WAIT_US / 2);
    loop_until(fixture->done == 1);
    g_assert_false(fixture->stored);
}

static void a_second_put_replaces_the_first(Fixture *fixture, gconstpointer data)
{
    Fixture other = {0};
    int first, second;

    (void)data;
    fdstore_put(fixture->store, fixture->files, NULL, FILES, deadline_in(MSEC(50)), on_done,
                &other);
    put(fixture, LOOP_WAIT_US);
    first = expect_all(fixture);
    second = expect_all(fixture);
    close(first);
    (void)loop_for(MSEC(100));
    g_assert_cmpuint(other.done + fixture->done, ==, 0);
    close(second);
    loop_until(fixture->done == 1);
    g_assert_true(fixture->stored);
    g_assert_cmpuint(other.done, ==, 0);
}

static void more_than_the_queue_holds_goes_in_order(Fixture *fixture, gconstpointer data)
{
    int fds[MANY];

    (void)data;
    for (unsigned i = 0; i < MANY; i++)
        fds[i] = fixture->files[i % FILES];
    fdstore_put(fixture->store, fds, NULL, MANY, deadline_in(LOOP_WAIT_US), on_done, fixture);
    for (unsigned i = 0; i < MANY; i++)
        expect_stored(fixture, i, fds[i]);
    close(expect_barrier(fixture));
    loop_until(fixture->done == 1);
    g_assert_true(fixture->stored);
}

/* What its device tells apart goes in one message; what it does not keeps its index. */
static void many_go_together(Fixture *fixture, gconstpointer data)
{
    struct stat status;
    dev_t devices[FILES];
    int fds[NOTIFY_RIG_FDS], alone = -1;
    unsigned count = 0;
    g_autofree char *text = NULL;

    (void)data;
    g_assert_cmpint(fstat(fixture->files[0], &status), ==, 0);
    for (unsigned i = 0; i < FILES; i++)
        devices[i] = status.st_dev + (i == 1); /* memfds are all of one */
    fdstore_put(fixture->store, fixture->files, devices, FILES, deadline_in(LOOP_WAIT_US), on_done,
                fixture);
    expect_stored(fixture, 1, fixture->files[1]);
    loop_until(text || (text = notify_rig_receive_fds(fixture->manager, fds, &count)));
    g_assert_cmpstr(text, ==, "FDSTORE=1\nFDNAME=hold-these\nFDPOLL=0");
    g_assert_cmpuint(count, ==, FILES - 1);
    for (unsigned i = 0; i < count; i++)
        close(fds[i]);
    close(expect_barrier(fixture));
    loop_until(fixture->done == 1);
    g_assert_true(fixture->stored);
    fdstore_remove(fixture->store, FILES);
    g_free(text);
    text = next(fixture, &alone);
    g_assert_cmpstr(text, ==, "FDSTOREREMOVE=1\nFDNAME=hold-these");
    expect_removed(fixture, 1);
    fdstore_remove(fixture->store, FILES);
    expect_nothing(fixture); /* it is gone already */
}

/* More than one message takes. */
static void more_than_a_message_takes(Fixture *fixture, gconstpointer data)
{
    struct stat status;
    dev_t devices[TOO_MANY];
    int fds[TOO_MANY];
    unsigned seen = 0;

    (void)data;
    g_assert_cmpint(fstat(fixture->files[0], &status), ==, 0);
    for (unsigned i = 0; i < TOO_MANY; i++) {
        fds[i] = fixture->files[i % FILES];
        devices[i] = status.st_dev;
    }
    fdstore_put(fixture->store, fds, devices, TOO_MANY, deadline_in(LOOP_WAIT_US), on_done,
                fixture);
    while (seen < TOO_MANY) {
        int got[NOTIFY_RIG_FDS];
        unsigned count = 0;
        g_autofree char *text = NULL;

        loop_until(text || (text = notify_rig_receive_fds(fixture->manager, got, &count)));
        g_assert_cmpstr(text, ==, "FDSTORE=1\nFDNAME=hold-these\nFDPOLL=0");
        g_assert_cmpuint(count, >, 0);
        for (unsigned i = 0; i < count; i++)
            close(got[i]);
        seen += count;
    }
    close(expect_barrier(fixture));
    loop_until(fixture->done == 1);
    g_assert_true(fixture->stored);
}

/* PID 1 may be blocked on the filesystem that is frozen. */
static void a_full_socket_holds_up_nothing(Fixture *fixture, gconstpointer data)
{
    int64_t before;

    (void)data;
    notify_rig_fill(fixture->path);
    before = deadline_now();
    put(fixture, LOOP_WAIT_US);
    g_assert_cmpint(deadline_now() - before, <, AT_ONCE);
    g_assert_cmpuint(loop_for(MSEC(100)), <, 50); /* sleeps until there is room */
    g_assert_cmpuint(fixture->done, ==, 0);
    notify_rig_drain(fixture->manager);
    close(expect_all(fixture));
    loop_until(fixture->done == 1);
    g_assert_true(fixture->stored);
}

static void a_full_socket_is_not_stored_in_time(Fixture *fixture, gconstpointer data)
{
    (void)data;
    notify_rig_fill(fixture->path);
    put(fixture, MSEC(100));
    loop_until(fixture->done == 1);
    g_assert_false(fixture->stored);
}

static void cancelled_it_tells_nobody(Fixture *fixture, gconstpointer data)
{
    (void)data;
    fdstore_cancel(NULL);
    put(fixture, MSEC(50));
    fdstore_cancel(fixture->store);
    close(expect_all(fixture));
    (void)loop_for(MSEC(100));
    g_assert_cmpuint(fixture->done, ==, 0);
}

static void may_be_freed_with_messages_unsent(Fixture *fixture, gconstpointer data)
{
    (void)data;
    notify_rig_fill(fixture->path);
    put(fixture, MSEC(50));
    g_clear_pointer(&fixture->store, fdstore_free);
    notify_rig_drain(fixture->manager);
    expect_nothing(fixture);
    g_assert_cmpuint(fixture->done, ==, 0);
}

/* --- removing ----------------------------------------------------------------------------------
 */

/* By the start before. */
static void found_all(const Fixture *fixture)
{
    for (int i = 0; i < FILES; i++)
        fdstore_found(fixture->store, i);
}

static void removes_by_name(Fixture *fixture, gconstpointer data)
{
    (void)data;
    fdstore_remove(NULL, FILES);
    found_all(fixture);
    fdstore_remove(fixture->store, FILES);
    for (unsigned i = 0; i < FILES; i++)
        expect_removed(fixture, i);
    expect_nothing(fixture);
}

static void what_was_not_sent_is_not_stored_after_its_removal(Fixture *fixture, gconstpointer data)
{
    (void)data;
    notify_rig_fill(fixture->path);
    put(fixture, LOOP_WAIT_US);
    fdstore_remove(fixture->store, FILES);
    loop_until(fixture->done == 1);
    g_assert_false(fixture->stored);
    notify_rig_drain(fixture->manager);
    for (unsigned i = 0; i < FILES; i++)
        expect_removed(fixture, i);
    expect_nothing(fixture);
}

/* An fd left with the manager keeps its filesystem from being unmounted. */
static void no_removal_is_forgotten(Fixture *fixture, gconstpointer data)
{
    (void)data;
    notify_rig_fill(fixture->path);
    found_all(fixture);
    fdstore_remove(fixture->store, FILES);
    put(fixture, LOOP_WAIT_US);
    fdstore_cancel(fixture->store);
    fdstore_remove(fixture->store, 1);
    (void)loop_for(MSEC(20));
    notify_rig_drain(fixture->manager);
    for (unsigned i = 1; i < FILES; i++)
        expect_removed(fixture, i);
    expect_removed(fixture, 0);
    expect_nothing(fixture); /* nor said twice: the queue would grow with each operation */
}

/* --- addresses and names -----------------------------------------------------------------------
 */

static void nobody_to_store_with(void)
{
    static const char *const ADDRESSES[] = {NULL, "", "@", "relative", "/nonexistent/notify"};

    for (unsigned i = 0; i < G_N_ELEMENTS(ADDRESSES); i++) {
        Fixture fixture = {.files = {0, 0, 0}, .store = fdstore_new(ADDRESSES[i], FDSTORE_HOLDS)};
        int64_t before = deadline_now();

        put(&fixture, LOOP_WAIT_US);
        loop_until(fixture.done == 1);
        g_assert_false(fixture.stored);
        g_assert_cmpint(deadline_now() - before, <, AT_ONCE);
        fdstore_remove(fixture.store, FILES);
        (void)loop_for(MSEC(20));
        g_assert_cmpuint(fixture.done, ==, 1);
        fdstore_free(fixture.store);
    }
    fdstore_free(NULL);
}

static void an_abstract_address(Fixture *fixture, gconstpointer data)
{
    g_autofree char *name = g_strdup_printf("@quiesced-fdstore-%d", (int)getpid());

    (void)data;
    close(fixture->manager);
    fixture->manager = notify_rig_bind(name);
    fdstore_free(fixture->store);
    fixture->store = fdstore_new(name, FDSTORE_HOLDS);
    put(fixture, LOOP_WAIT_US);
    close(expect_all(fixture));
    loop_until(fixture->done == 1);
    g_assert_true(fixture->stored);
}

static void only_its_own_names_are_indexes(void)
{
    static const char *const OTHERS[] = {
        NULL,
        "",
        "socket-0",
        "stored",
        "connection",
        "hold",
        "hold-",
        "HOLD-1",
        "hold--1",
        "hold-+1",
        "hold- 1",
        "hold-1 ",
        "hold-0x1",
        "hold-1x",
        "hold-4096",
        "ahold-1",
        "hold-18446744073709551616",
    };
    unsigned index = 77;

    for (unsigned i = 0; i < G_N_ELEMENTS(OTHERS); i++) {
        g_assert_false(fdstore_index(OTHERS[i], FDSTORE_HOLDS, &index));
        g_assert_cmpuint(index, ==, 77);
    }
    g_assert_true(fdstore_index("hold-0", FDSTORE_HOLDS, &index));
    g_assert_cmpuint(index, ==, 0);
    g_assert_true(fdstore_index("hold-4095", FDSTORE_HOLDS, &index));
    g_assert_cmpuint(index, ==, KEEPER_FILESYSTEMS_MAX - 1);
}

#define ADD(function) g_test_add("/fdstore/" #function, Fixture, NULL, set_up, function, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    alarm(60); /* a send that blocks fails instead of waiting */
    ADD(is_stored_when_the_manager_has_read_all);
    ADD(what_has_no_fd_keeps_its_index);
    ADD(a_manager_that_says_nothing_has_not_stored);
    ADD(a_manager_that_went_away_has_not_stored);
    ADD(a_second_put_replaces_the_first);
    ADD(more_than_the_queue_holds_goes_in_order);
    ADD(many_go_together);
    ADD(more_than_a_message_takes);
    ADD(a_full_socket_holds_up_nothing);
    ADD(a_full_socket_is_not_stored_in_time);
    ADD(cancelled_it_tells_nobody);
    ADD(may_be_freed_with_messages_unsent);
    ADD(removes_by_name);
    ADD(what_was_not_sent_is_not_stored_after_its_removal);
    ADD(no_removal_is_forgotten);
    g_test_add_func("/fdstore/nobody_to_store_with", nobody_to_store_with);
    ADD(an_abstract_address);
    g_test_add_func("/fdstore/only_its_own_names_are_indexes", only_its_own_names_are_indexes);
    return g_test_run();
}
