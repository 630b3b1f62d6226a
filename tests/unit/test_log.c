/*
 * test_log: records as the journal gets them, the hold, the ring, and that nobody waits for a
 * reader who does not read.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "base/deadline.h"
#include "base/log_ring.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <malloc.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SOON_US (3 * USEC_PER_SEC)

typedef struct {
    char *directory, *path;
    int fd; /* the journal's end */
    Log *log;
} Fixture;

static void start_journal(Fixture *fixture)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    fixture->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    g_strlcpy(address.sun_path, fixture->path, sizeof address.sun_path);
    g_assert_cmpint(bind(fixture->fd, (struct sockaddr *)&address, sizeof address), ==, 0);
}

static void set_up(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    fixture->directory = g_dir_make_tmp("log-XXXXXX", NULL);
    fixture->path = g_build_filename(fixture->directory, "journal", NULL);
    start_journal(fixture);
    fixture->log = log_new("tester", LOG_INFO, fixture->path);
}

static void tear_down(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    log_free(fixture->log);
    close(fixture->fd);
    g_unlink(fixture->path);
    g_rmdir(fixture->directory);
    g_free(fixture->directory);
    g_free(fixture->path);
}

static GBytes *receive(int fd)
{
    char buffer[8192];
    ssize_t count = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);

    return count < 0 ? NULL : g_bytes_new(buffer, (gsize)count);
}

/* The MESSAGE of the next datagram (one line), or NULL. */
static char *receive_message(int fd)
{
    g_autoptr(GBytes) datagram = receive(fd);
    const char *data = datagram ? g_bytes_get_data(datagram, NULL) : NULL;

    if (!data)
        return NULL;
    g_assert_true(g_str_has_prefix(data, "MESSAGE="));
    data += strlen("MESSAGE=");
    return g_strndup(data, (gsize)(strchr(data, '\n') - data));
}

static void expect_bytes(int fd, const char *expected, size_t length)
{
    g_autoptr(GBytes) got = receive(fd);

    g_assert_nonnull(got);
    g_assert_cmpmem(g_bytes_get_data(got, NULL), g_bytes_get_size(got), expected, length);
}

static void fill(const Fixture *fixture)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    g_strlcpy(address.sun_path, fixture->path, sizeof address.sun_path);
    while (sendto(fd, "MESSAGE=fill\n", 13, 0, (struct sockaddr *)&address, sizeof address) >= 0)
        continue;
    g_assert_cmpint(errno, ==, EAGAIN);
    close(fd);
}

static unsigned drain(int fd)
{
    unsigned count = 0;
    char *text = NULL;

    for (; (text = receive_message(fd)); count++)
        g_free(text);
    return count;
}

static void test_fields(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    static const char plain[] = "MESSAGE=frozen 3\nPRIORITY=5\nSYSLOG_IDENTIFIER=tester\n";
    static const char with_id[] = "MESSAGE=lost\nPRIORITY=3\nSYSLOG_IDENTIFIER=tester\n"
                                  "MESSAGE_ID=0123456789abcdef0123456789abcdef\n";
    static const char framed[] = "MESSAGE\n\x05\0\0\0\0\0\0\0a\nb=c\nPRIORITY=4\n"
                                 "SYSLOG_IDENTIFIER=tester\n";

    log_notice(fixture->log, "frozen %d", 3);
    expect_bytes(fixture->fd, plain, sizeof plain - 1);
    log_write(fixture->log, LOG_ERROR, "0123456789abcdef0123456789abcdef", "lost");
    expect_bytes(fixture->fd, with_id, sizeof with_id - 1);
    log_warning(fixture->log, "a\nb=c");
    expect_bytes(fixture->fd, framed, sizeof framed - 1);
}

/* Fields cannot be broken out of by what an application says, and outlast a hold. */
static void test_event_fields(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    static const char *const FIELDS[] = {"OPERATION", "1f3a",          "LEVEL", NULL,
                                         "REASON",    "a\nPRIORITY=0", NULL};
    static const char ID[] = "0123456789abcdef0123456789abcdef";

    for (unsigned i = 0; i < 2; i++) {
        g_autoptr(GBytes) bytes = NULL;
        g_autofree char *text = NULL;

        if (i == 1)
            log_hold(fixture->log);
        log_event(fixture->log, LOG_ERROR, ID, FIELDS, "lost");
        if (i == 1)
            log_release(fixture->log);
        bytes = receive(fixture->fd);
        text = g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
        g_assert_nonnull(strstr(text, "MESSAGE=lost\nPRIORITY=3\n"));
        g_assert_nonnull(strstr(text, "\nOPERATION=1f3a\nREASON=a PRIORITY=0\n"));
    }
}

static void test_level(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    log_debug(fixture->log, "no");
    g_assert_cmpuint(drain(fixture->fd), ==, 0);
    log_set_level(fixture->log, LOG_DEBUG);
    log_debug(fixture->log, "yes");
    g_assert_cmpuint(drain(fixture->fd), ==, 1);
    log_set_level(fixture->log, LOG_ERROR);
    log_warning(fixture->log, "no");
    g_assert_cmpuint(drain(fixture->fd), ==, 0);
    log_error(NULL, "nobody");
    log_hold(NULL);
    log_release(NULL);
    log_free(NULL);
}

static void test_level_names(void)
{
    LogLevel level = LOG_ERROR;

    for (LogLevel i = LOG_ERROR; i <= LOG_DEBUG; i++) {
        g_assert_true(log_level_parse(log_level_name(i), &level));
        g_assert_cmpint(level, ==, i);
    }
    g_assert_false(log_level_parse("loud", &level));
    g_assert_false(log_level_parse("", &level));
}

static void test_cut(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    g_autofree char *message = NULL;
    size_t length = 0;
    GString *text = g_string_new("xy"); /* puts the limit inside a character */

    while (text->len < 2 * LOG_RECORD_MAX)
        g_string_append(text, "\xE2\x82\xAC");
    log_info(fixture->log, "%s", text->str);
    message = receive_message(fixture->fd);
    length = message ? strlen(message) : 0;
    g_assert_true(g_utf8_validate(message, (gssize)length, NULL));
    g_assert_cmpuint(length, <=, LOG_RECORD_MAX);
    g_assert_cmpuint(length, >=, LOG_RECORD_MAX - 3);
    g_string_free(text, TRUE);
}

static void test_keeps_errno(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    fill(fixture);
    errno = ENOSPC;
    log_info(fixture->log, "x");
    g_assert_cmpint(errno, ==, ENOSPC);
}

static void test_hold(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    g_autoptr(GBytes) datagram = NULL;
    g_autofree char *text = NULL;

    log_hold(fixture->log);
    log_error(fixture->log, "while held");
    g_assert_false(g_main_context_iteration(NULL, FALSE));
    g_assert_cmpuint(drain(fixture->fd), ==, 0);
    g_usleep(2000);
    log_release(fixture->log);
    datagram = receive(fixture->fd);
    g_assert_nonnull(datagram);
    text = g_strndup(g_bytes_get_data(datagram, NULL), g_bytes_get_size(datagram));
    g_assert_nonnull(strstr(text, "MESSAGE=while held\n"));
    /* How long it waited, since the journal's own stamp is that of the release. */
    g_assert_nonnull(strstr(text, "\nHELD_USEC="));
    g_assert_cmpint(g_ascii_strtoll(strstr(text, "HELD_USEC=") + 10, NULL, 10), >=, 2000);
}

static void test_ring_limit(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    const unsigned over = 44;
    unsigned next = over;
    Deadline end = deadline_in(SOON_US);
    g_autofree char *first = NULL;

    log_hold(fixture->log);
    for (unsigned i = 0; i < LOG_RING_RECORDS + over; i++)
        log_info(fixture->log, "record %u", i);
    log_release(fixture->log);
    first = receive_message(fixture->fd);
    g_assert_nonnull(first);
    g_assert_true(g_str_has_prefix(first, "44 messages were dropped while "));
    while (next < LOG_RING_RECORDS + over && !deadline_passed(end)) {
        g_autofree char *message = receive_message(fixture->fd);
        g_autofree char *expected = g_strdup_printf("record %u", next);

        if (message) {
            g_assert_cmpstr(message, ==, expected);
            next++;
        } else
            log_release(fixture->log);
    }
    g_assert_cmpuint(next, ==, LOG_RING_RECORDS + over);
    /* Told once. */
    log_release(fixture->log);
    g_assert_cmpuint(drain(fixture->fd), ==, 0);
}

static void test_full(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    Deadline end = deadline_in(SOON_US);
    int64_t before = deadline_now();
    g_autofree char *first = NULL, *second = NULL;

    fill(fixture);
    log_info(fixture->log, "one");
    log_info(fixture->log, "two");
    g_assert_cmpint(deadline_now() - before, <, 10 * USEC_PER_SEC);
    drain(fixture->fd);
    /* By the timer alone. */
    while (!(first = receive_message(fixture->fd)) && !deadline_passed(end)) {
        g_main_context_iteration(NULL, FALSE);
        g_usleep(1000);
    }
    second = receive_message(fixture->fd);
    g_assert_cmpstr(first, ==, "one");
    g_assert_cmpstr(second, ==, "two");
}

static void test_full_order(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    g_autofree char *first = NULL, *second = NULL;

    fill(fixture);
    log_info(fixture->log, "one");
    drain(fixture->fd);
    log_info(fixture->log, "two");
    first = receive_message(fixture->fd);
    second = receive_message(fixture->fd);
    g_assert_cmpstr(first, ==, "one");
    g_assert_cmpstr(second, ==, "two");
}

static unsigned count_wake_ups(int64_t interval_us)
{
    Deadline end = deadline_in(interval_us);
    unsigned count = 0;

    for (; !deadline_passed(end); g_usleep(1000))
        count += g_main_context_iteration(NULL, FALSE);
    return count;
}

/* The ring holds something nobody takes: while held no timer at all, else a few slowing down. */
static void test_wake_ups(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    unsigned wake_ups = 0;

    fill(fixture);
    log_info(fixture->log, "one");
    log_hold(fixture->log);
    g_assert_cmpuint(count_wake_ups(300 * USEC_PER_MSEC), ==, 0);
    log_release(fixture->log);
    /* Two, after 0.2 and 0.6 s; five if they did not slow down. A busy machine may miss one. */
    wake_ups = count_wake_ups(1100 * USEC_PER_MSEC);
    g_assert_cmpuint(wake_ups, >=, 1);
    g_assert_cmpuint(wake_ups, <=, 3);
    drain(fixture->fd);
    log_release(fixture->log);
    g_assert_cmpuint(drain(fixture->fd), ==, 1);
    log_info(fixture->log, "two");
    g_assert_cmpuint(drain(fixture->fd), ==, 1);
}

static void test_free_releases(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    log_hold(fixture->log);
    log_info(fixture->log, "last words");
    g_clear_pointer(&fixture->log, log_free);
    g_assert_cmpuint(drain(fixture->fd), ==, 1);
}

static void test_journal_restarts(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    g_autofree char *first = NULL, *second = NULL;

    close(fixture->fd);
    log_info(fixture->log, "refused");
    g_unlink(fixture->path);
    log_info(fixture->log, "not there");
    start_journal(fixture);
    log_release(fixture->log);
    first = receive_message(fixture->fd);
    second = receive_message(fixture->fd);
    g_assert_cmpstr(first, ==, "refused");
    g_assert_cmpstr(second, ==, "not there");
}

static void test_idle_memory(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    size_t before = mallinfo2().uordblks;
    g_autoptr(Log) log = log_new("idle", LOG_INFO, fixture->path);

    g_assert_nonnull(log);
    if (before == 0)
        g_test_skip("this allocator does not count (a sanitizer's)");
    g_assert_cmpuint(mallinfo2().uordblks - before, <, 2048);
}

/* Standard error as a pipe. */
typedef struct {
    int saved, reader, writer;
} Stderr;

static Stderr redirect(void)
{
    Stderr pipe_end = {.saved = dup(STDERR_FILENO)};
    int fds[2];

    g_assert_cmpint(pipe2(fds, O_CLOEXEC | O_NONBLOCK), ==, 0);
    pipe_end.reader = fds[0];
    pipe_end.writer = fds[1];
    /* Blocking, as a service's standard error is: a write that does not fit would hang. */
    g_assert_cmpint(fcntl(fds[1], F_SETFL, 0), ==, 0);
    g_assert_cmpint(dup2(fds[1], STDERR_FILENO), ==, STDERR_FILENO);
    return pipe_end;
}

static char *restore(Stderr *pipe_end)
{
    char buffer[8192];
    ssize_t count = read(pipe_end->reader, buffer, sizeof buffer);

    dup2(pipe_end->saved, STDERR_FILENO);
    close(pipe_end->saved);
    close(pipe_end->reader);
    close(pipe_end->writer);
    return g_strndup(buffer, count > 0 ? (gsize)count : 0);
}

static void test_stderr(void)
{
    g_autofree char *got = NULL;
    Stderr pipe_end = redirect();
    g_autoptr(Log) log = NULL;

    g_setenv("JOURNAL_STREAM", "1:1", TRUE); /* left over from another stream */
    log = log_new("tester", LOG_INFO, NULL);
    log_warning(log, "two\nlines \033[31m");
    g_unsetenv("JOURNAL_STREAM");
    got = restore(&pipe_end);
    g_assert_cmpstr(got, ==, "tester: warning: two lines  [31m\n");
}

static void test_journal_stream(void)
{
    g_autofree char *got = NULL, *stream = NULL;
    Stderr pipe_end = redirect();
    g_autoptr(Log) log = NULL;
    struct stat status;

    g_assert_cmpint(fstat(STDERR_FILENO, &status), ==, 0);
    stream = g_strdup_printf("%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
    g_setenv("JOURNAL_STREAM", stream, TRUE);
    log = log_new("quiesced-test", LOG_INFO, NULL);
    log_info(log, "a record of a unit test");
    g_unsetenv("JOURNAL_STREAM");
    got = restore(&pipe_end);
    g_assert_cmpstr(got, ==, "");
}

static void test_stderr_full(void)
{
    char buffer[4096] = {0};
    g_autofree char *got = NULL;
    Stderr pipe_end = redirect();
    g_autoptr(Log) log = log_new("tester", LOG_INFO, NULL);

    g_assert_cmpint(fcntl(pipe_end.writer, F_SETPIPE_SZ, 4096), >=, 4096);
    g_assert_cmpint(fcntl(pipe_end.writer, F_SETFL, O_NONBLOCK), ==, 0);
    while (write(pipe_end.writer, buffer, sizeof buffer) > 0)
        continue;
    g_assert_cmpint(fcntl(pipe_end.writer, F_SETFL, 0), ==, 0);
    log_info(log, "must not block");
    while (read(pipe_end.reader, buffer, sizeof buffer) > 0)
        continue;
    log_release(log);
    got = restore(&pipe_end);
    g_assert_cmpstr(got, ==, "tester: info: must not block\n");
}

static void add(const char *name, void (*func)(Fixture *, gconstpointer))
{
    g_test_add(name, Fixture, NULL, set_up, func, tear_down);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    alarm(60); /* a write that blocks fails instead of waiting */
    add("/log/journal_fields_and_framing", test_fields);
    add("/log/event_fields", test_event_fields);
    add("/log/level_filters", test_level);
    g_test_add_func("/log/level_names", test_level_names);
    add("/log/long_record_is_cut_at_a_character", test_cut);
    add("/log/errno_is_kept", test_keeps_errno);
    add("/log/held_records_wait_for_the_release", test_hold);
    add("/log/ring_drops_the_oldest_and_says_so_once", test_ring_limit);
    add("/log/full_journal_does_not_block_and_is_retried", test_full);
    add("/log/order_is_kept_behind_the_ring", test_full_order);
    add("/log/retries_slow_down_and_stop_while_held", test_wake_ups);
    add("/log/free_releases", test_free_releases);
    add("/log/journal_that_restarts_is_found_again", test_journal_restarts);
    add("/log/idle_holds_little", test_idle_memory);
    g_test_add_func("/log/stderr_lines", test_stderr);
    g_test_add_func("/log/journal_stream_is_recognised", test_journal_stream);
    g_test_add_func("/log/full_stderr_does_not_block", test_stderr_full);
    return g_test_run();
}
