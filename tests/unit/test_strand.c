/*
 * Tests of sys/strand and sys/hostfile: an fd kept between calls in a thread's own table, calls
 * that hang, and files of every kind. Full disks are /dev/full, failing ones /proc/self/mem.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "offload_rig.h"
#include "sys/hostfile.h"
#include "sys/strand.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static gpointer hang_and_count(int *fd, gpointer input)
{
    (void)fd;
    gate_pass();
    return g_strdup(input);
}

static gpointer open_null(int *fd, gpointer input)
{
    (void)input;
    *fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return g_strdup_printf("%d", *fd);
}

static gpointer say_fd(int *fd, gpointer input)
{
    (void)input;
    return g_strdup_printf("%d %d", *fd, fcntl(*fd, F_GETFD) >= 0);
}

static void start(Strand *strand, StrandFunc func, int64_t wait_us, bool last, Done *done)
{
    StrandCall call = {func, g_strdup("x"), g_free, free_result, last};

    *done = (Done){0};
    strand_run(strand, &call, deadline_in(wait_us), on_done, done);
    g_assert_cmpuint(done->calls, ==, 0);
    g_assert_true(strand_is_busy(strand));
}

static void check(Strand *strand, StrandFunc func, const char *expected)
{
    Done done;

    start(strand, func, MSEC(3000), false, &done);
    run_until(done.calls > 0);
    g_assert_false(done.timed_out);
    g_assert_false(strand_is_busy(strand));
    g_assert_cmpstr(done.result, ==, expected);
    g_free(done.result);
}

/* The fd is the thread's, and stays from call to call; the agent's table has it not. */
static void keeps_its_fd(void)
{
    Before state = before();
    Strand *strand = strand_new("strand", NULL);
    Done done;

    start(strand, open_null, MSEC(3000), false, &done);
    run_until(done.calls > 0);
    g_assert_cmpint(atoi(done.result), >=, 0);
    {
        g_autofree char *expected = g_strdup_printf("%s 1", (char *)done.result);

        check(strand, say_fd, expected);
        check(strand, say_fd, expected);
    }
    g_free(done.result);
    strand_free(strand);
    assert_clean(state);
}

static void late_is_given_up_and_usable_again(void)
{
    Before state = before();
    Strand *strand = strand_new("strand", NULL);
    Done done;

    start(strand, hang_and_count, MSEC(50), false, &done);
    run_until(done.calls > 0);
    g_assert_true(done.timed_out);
    g_assert_true(strand_is_busy(strand));
    gate_set(true);
    run_until(!strand_is_busy(strand));
    g_assert_cmpuint(gate_read(&gate.freed_results), ==, 1);
    g_assert_cmpuint(done.calls, ==, 1);
    check(strand, say_fd, "-1 0");
    strand_free(strand);
    assert_clean(state);
}

static void freed_while_hanging(void)
{
    Before state = before();
    Strand *strand = strand_new("strand", NULL);
    Done done;

    start(strand, hang_and_count, MSEC(3000), false, &done);
    run_until(gate_read(&gate.inside) == 1);
    strand_free(strand);
    g_assert_cmpuint(offload_abandoned(), ==, 1);
    assert_clean(state);
    g_assert_cmpuint(offload_abandoned(), ==, 0);
    g_assert_cmpuint(done.calls, ==, 0);
    g_assert_cmpuint(gate_read(&gate.freed_results), ==, 1);
}

/* After its last call a thread has ended, and does not count as one that hangs. */
static void last_call(void)
{
    Before state = before();
    Strand *strand = strand_new("strand", NULL);
    Done done;

    start(strand, say_fd, MSEC(3000), true, &done);
    run_until(done.calls > 0);
    g_assert_cmpstr(done.result, ==, "-1 0");
    g_free(done.result);
    strand_free(strand);
    g_assert_cmpuint(offload_abandoned(), ==, 0);
    assert_clean(state);
}

/* --- hostfile -----------------------------------------------------------------------------------
 */

static void append_piece(const void *bytes, size_t count, gpointer user_data)
{
    g_string_append_len(user_data, bytes, (gssize)count);
}

static int opened(const char *path, const char *mode)
{
    g_autoptr(GError) error = NULL;
    int fd = -1;

    g_assert_true(hostfile_open(&fd, path, mode, &error));
    g_assert_no_error(error);
    return fd;
}

static void check_read(int fd, size_t count, const char *expected, bool expected_eof)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    size_t done = 0;
    bool eof = false;

    g_assert_true(hostfile_read(fd, count, append_piece, text, &done, &eof, &error));
    g_assert_cmpstr(text->str, ==, expected);
    g_assert_cmpuint(done, ==, text->len);
    g_assert_true(eof == expected_eof);
}

static void check_read_fails(int fd, const char *expected)
{
    g_autoptr(GError) error = NULL;
    size_t done = 0;
    bool eof = false;

    g_assert_false(hostfile_read(fd, 10, append_piece, NULL, &done, &eof, &error));
    g_assert_cmpstr(error->message, ==, expected);
}

static void check_write(int fd, const char *text, size_t count, size_t expected)
{
    g_autoptr(GError) error = NULL;
    size_t done = 99;

    g_assert_true(hostfile_write(fd, text, strlen(text), count, &done, &error));
    g_assert_cmpuint(done, ==, expected);
}

static void check_write_fails(int fd, const char *text, size_t count, const char *expected)
{
    g_autoptr(GError) error = NULL;
    size_t done = 0;

    g_assert_false(hostfile_write(fd, text, strlen(text), count, &done, &error));
    g_assert_cmpstr(error->message, ==, expected);
}

static void regular_file(void)
{
    g_autofree char *directory = g_dir_make_tmp("hostfile-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(directory, "file", NULL);
    g_autoptr(GError) error = NULL;
    mode_t before_umask = umask(077);
    struct stat file;
    int64_t position = 0;
    int fd = opened(path, "w+");

    (void)umask(before_umask);
    g_assert_cmpint(fstat(fd, &file), ==, 0);
    g_assert_cmpint(file.st_mode & 0777, ==, 0666);
    check_write(fd, "YWJj", 3, 3);
    check_write(fd, "ZGVm", 2, 2); /* only a part of it */
    check_write(fd, "", 0, 0);
    g_assert_true(hostfile_seek(fd, 1, SEEK_SET, &position, &error));
    g_assert_cmpint(position, ==, 1);
    check_read(fd, 3, "bcd", false);
    check_read(fd, 1, "e", false); /* exactly to the end: not yet seen */
    check_read(fd, 1, "", true);
    check_read(fd, 0, "", false);
    g_assert_false(hostfile_seek(fd, -1, SEEK_SET, &position, &error));
    g_assert_cmpstr(error->message, ==, "failed to seek file: Invalid argument");
    g_assert_cmpuint(hostfile_expect(fd, 100), ==, 0);
    g_assert_true(hostfile_seek(fd, 0, SEEK_SET, &position, NULL));
    g_assert_cmpuint(hostfile_expect(fd, 100), ==, 5);
    g_assert_cmpuint(hostfile_expect(fd, 2), ==, 2);
    g_assert_true(hostfile_close(&fd, NULL));
    g_assert_cmpint(fd, ==, -1);
    /* One that is there keeps its mode, whoever opens it. */
    g_assert_cmpint(chmod(path, 0600), ==, 0);
    fd = opened(path, "a");
    g_assert_cmpint(fstat(fd, &file), ==, 0);
    g_assert_cmpint(file.st_mode & 0777, ==, 0600);
    check_write(fd, "Zg==", 1, 1);
    check_read_fails(fd, "failed to read file: Bad file descriptor");
    (void)close(fd);
    fd = opened(path, "r");
    check_read(fd, 100, "abcdef", true);
    check_write_fails(fd, "YQ==", 1, "failed to write to file: Bad file descriptor");
    check_write_fails(fd, "", 0, "failed to write to file: Bad file descriptor");
    (void)close(fd);
    g_assert_cmpint(g_unlink(path), ==, 0);
    g_assert_cmpint(g_rmdir(directory), ==, 0);
}

static void modes(void)
{
    static const char *const GOOD[] = {"r",   "rb", "w",   "wb",  "a",  "ab",  "r+", "rb+",
                                       "r+b", "w+", "wb+", "w+b", "a+", "ab+", "a+b"};
    static const char *const BAD[] = {"", "x", "rw", "re", "r ", "+r", "rt"};

    for (unsigned i = 0; i < G_N_ELEMENTS(GOOD); i++)
        g_assert_true(hostfile_mode_is_valid(GOOD[i]));
    for (unsigned i = 0; i < G_N_ELEMENTS(BAD); i++)
        g_assert_false(hostfile_mode_is_valid(BAD[i]));
}

/* Nothing waits for a writer, a reader, or for room. */
static void fifo(void)
{
    g_autofree char *directory = g_dir_make_tmp("hostfile-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(directory, "fifo", NULL);
    g_autofree char *much = g_strnfill(400000, 'A');
    g_autoptr(GError) error = NULL;
    int reader = -1, writer = -1;
    size_t done = 0;

    g_assert_cmpint(mkfifo(path, 0600), ==, 0);
    g_assert_false(hostfile_open(&writer, path, "w", &error));
    g_assert_nonnull(strstr(error->message, "No such device or address"));
    g_clear_error(&error);
    reader = opened(path, "r");
    check_read(reader, 10, "", true); /* nobody writes */
    writer = opened(path, "w");
    check_read_fails(reader, "failed to read file: Resource temporarily unavailable");
    check_write(writer, "YWJj", 3, 3);
    check_read(reader, 10, "abc", false); /* what there is, without waiting for the rest */
    g_assert_true(hostfile_write(writer, much, 400000, 300000, &done, &error));
    g_assert_cmpuint(done, >=, 65536);
    g_assert_cmpuint(done, <, 300000);
    check_write_fails(writer, "YWJj", 3,
                      "failed to write to file: Resource temporarily unavailable");
    (void)close(reader);
    (void)close(writer);
    g_assert_cmpint(g_unlink(path), ==, 0);
    g_assert_cmpint(g_rmdir(directory), ==, 0);
}

static void failing_disks(void)
{
    g_autoptr(GError) error = NULL;
    int fd = opened("/dev/full", "r+");

    check_write_fails(fd, "YWJj", 3, "failed to write to file: No space left on device");
    (void)close(fd);
    fd = opened("/proc/self/mem", "r");
    check_read_fails(fd, "failed to read file: Input/output error");
    (void)close(fd);
    fd = opened("/", "r");
    check_read_fails(fd, "failed to read file: Is a directory");
    (void)close(fd);
    g_assert_false(hostfile_open(&fd, "/", "w", &error));
    g_assert_cmpstr(error->message, ==, "failed to open file '/' (mode: 'w'): Is a directory");
}

int main(int argc, char **argv)
{
    rig_init(&argc, &argv);
    (void)signal(SIGPIPE, SIG_IGN);
    g_test_add_func("/strand/keeps_its_fd", keeps_its_fd);
    g_test_add_func("/strand/late_is_given_up_and_usable_again", late_is_given_up_and_usable_again);
    g_test_add_func("/strand/freed_while_hanging", freed_while_hanging);
    g_test_add_func("/strand/last_call_ends_the_thread", last_call);
    g_test_add_func("/hostfile/regular", regular_file);
    g_test_add_func("/hostfile/modes", modes);
    g_test_add_func("/hostfile/fifo_does_not_wait", fifo);
    g_test_add_func("/hostfile/failing_disks", failing_disks);
    return g_test_run();
}
