/*
 * test_notify: what a service manager gets to read, and that a full socket stops nobody.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "notify_rig.h"

#include "base/deadline.h"
#include "base/text.h"
#include "sys/notify.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#define SOON_US (3 * USEC_PER_SEC) /* more than the retry after a full socket */

typedef struct {
    char *directory, *path;
    int fd; /* the manager's end */
    Notify *notify;
} Fixture;

static void set_up(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    fixture->directory = g_dir_make_tmp("notify-XXXXXX", NULL);
    fixture->path = g_build_filename(fixture->directory, "notify", NULL);
    fixture->fd = notify_rig_bind(fixture->path);
    fixture->notify = notify_new(fixture->path);
}

static void tear_down(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    notify_free(fixture->notify);
    close(fixture->fd);
    g_unlink(fixture->path);
    g_rmdir(fixture->directory);
    g_free(fixture->directory);
    g_free(fixture->path);
}

static void expect(int fd, const char *text)
{
    g_autofree char *got = notify_rig_receive(fd, NULL);

    g_assert_cmpstr(got, ==, text);
}

/* Waits in the main loop for a datagram. */
static char *wait_for_datagram(int fd)
{
    Deadline end = deadline_in(SOON_US);
    char *got = NULL;

    while (!(got = notify_rig_receive(fd, NULL)) && !deadline_passed(end)) {
        g_main_context_iteration(NULL, FALSE);
        g_usleep(1000);
    }
    return got;
}

static void test_messages(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    notify_ready(fixture->notify);
    notify_status(fixture->notify, "frozen, %d filesystems", 3);
    notify_stopping(fixture->notify);
    expect(fixture->fd, "READY=1");
    expect(fixture->fd, "STATUS=frozen, 3 filesystems");
    expect(fixture->fd, "STOPPING=1");
    expect(fixture->fd, NULL);
}

static void test_status_cut(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    g_autofree char *got = NULL;
    size_t length = 0;
    GString *text = g_string_new(NULL);

    while (text->len < 3 * TEXT_LINE_MAX)
        g_string_append(text, "x\xC3\xA9");
    notify_status(fixture->notify, "%s", text->str);
    got = notify_rig_receive(fixture->fd, NULL);
    length = got ? strlen(got) : 0;
    g_assert_true(g_utf8_validate(got, (gssize)length, NULL));
    g_assert_cmpuint(length, <=, strlen("STATUS=") + TEXT_LINE_MAX);
    g_assert_cmpuint(length, >=, strlen("STATUS=") + TEXT_LINE_MAX - 1);
    g_string_free(text, TRUE);
}

static void test_status_one_line(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    notify_status(fixture->notify, "bad\nMAINPID=1");
    expect(fixture->fd, "STATUS=bad MAINPID=1");
}

static void test_full(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    int64_t before = 0;
    g_autofree char *first = NULL;

    notify_rig_fill(fixture->path);
    before = deadline_now();
    notify_status(fixture->notify, "old");
    notify_ready(fixture->notify);
    notify_status(fixture->notify, "new");
    g_assert_cmpint(deadline_now() - before, <, 10 * USEC_PER_SEC);
    notify_rig_drain(fixture->fd);
    first = wait_for_datagram(fixture->fd);
    g_assert_cmpstr(first, ==, "READY=1");
    expect(fixture->fd, "STATUS=new");
    expect(fixture->fd, NULL);
}

static GSource *find_source(gsize user_data)
{
    return g_main_context_find_source_by_user_data(NULL, GSIZE_TO_POINTER(user_data));
}

static void test_full_then_freed(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    gsize address = GPOINTER_TO_SIZE(fixture->notify);

    notify_rig_fill(fixture->path);
    notify_ready(fixture->notify);
    g_assert_nonnull(find_source(address));
    g_clear_pointer(&fixture->notify, notify_free);
    g_assert_null(find_source(address));
}

static void test_watchdog(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    int64_t half_us = 50 * USEC_PER_MSEC, before = deadline_now();
    gsize address = GPOINTER_TO_SIZE(fixture->notify);

    notify_watchdog(fixture->notify, (uint64_t)(2 * half_us));
    g_assert_nonnull(find_source(address));
    g_assert_cmpint(g_source_get_ready_time(find_source(address)), >=, before + half_us);
    g_assert_cmpint(g_source_get_ready_time(find_source(address)), <=, deadline_now() + half_us);
    for (int i = 0; i < 3; i++) {
        g_autofree char *got = wait_for_datagram(fixture->fd);
        g_assert_cmpstr(got, ==, "WATCHDOG=1");
    }
    notify_watchdog(fixture->notify, 0);
    g_assert_null(find_source(address));
}

static void test_abstract(void)
{
    g_autofree char *name = g_strdup_printf("@quiesced-test-%d", (int)getpid());
    int fd = notify_rig_bind(name);
    g_autoptr(Notify) notify = notify_new(name);

    notify_ready(notify);
    expect(fd, "READY=1");
    close(fd);
}

/* What cannot be reached must neither crash nor leave a timer that wakes the service. */
static void test_nobody(void)
{
    g_autofree char *longer = g_strnfill(200, 'x');
    const char *addresses[] = {NULL,  "", "@", "relative", "vsock:2:1234", "/nonexistent/notify",
                               longer};

    *longer = '/';
    for (unsigned i = 0; i < G_N_ELEMENTS(addresses); i++) {
        g_autoptr(Notify) notify = notify_new(addresses[i]);

        notify_ready(notify);
        notify_status(notify, "x");
        notify_stopping(notify);
        g_assert_null(find_source(GPOINTER_TO_SIZE(notify)));
    }
    notify_ready(NULL);
    notify_watchdog(NULL, 1000);
    notify_free(NULL);
}

static void add(const char *name, void (*func)(Fixture *, gconstpointer))
{
    g_test_add(name, Fixture, NULL, set_up, func, tear_down);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    alarm(30); /* a send that blocks fails instead of waiting */
    add("/notify/messages", test_messages);
    add("/notify/status_is_cut_at_a_character", test_status_cut);
    add("/notify/status_cannot_start_a_field", test_status_one_line);
    add("/notify/full_socket_does_not_block_and_is_told_later", test_full);
    add("/notify/freed_while_full", test_full_then_freed);
    add("/notify/watchdog_at_half_the_interval", test_watchdog);
    g_test_add_func("/notify/abstract_address", test_abstract);
    g_test_add_func("/notify/nobody_to_tell", test_nobody);
    return g_test_run();
}
