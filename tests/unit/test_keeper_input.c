/*
 * test_keeper_input: what the keeper does with odd, hostile and slow services, and what it costs.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "keeper_rig_files.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static unsigned open_fds(pid_t pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/fd", (int)pid);
    g_autoptr(GDir) directory = g_dir_open(path, 0, NULL);
    unsigned count = 0;

    g_assert_nonnull(directory);
    while (g_dir_read_name(directory))
        count++;
    return count;
}

static long status_value(pid_t pid, const char *key)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/status", (int)pid);
    g_autofree char *text = NULL;
    const char *at;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    at = strstr(text, key);
    g_assert_nonnull(at);
    return strtol(at + strlen(key), NULL, 10);
}

static void refuse(Rig *rig, KeeperMessage message, int fd, int error_number)
{
    rig_send(rig, &message, fd);
    rig_refused(rig, error_number);
}

static void odd_requests_are_refused(void)
{
    g_autoptr(Rig) rig = rig_new(2);
    char bytes[sizeof(KeeperMessage) + 8] = {0};
    int many[3] = {rig->fds[0], rig->fds[1], rig->fds[0]};
    const KeeperMessage arm = {.type = KEEPER_ARM, .count = 2};
    const KeeperMessage first = {.type = KEEPER_FILESYSTEM, .index = 0};
    int path_only = open(rig->top, O_PATH | O_CLOEXEC);
    unsigned before;

    refuse(rig, (KeeperMessage){.type = KEEPER_ARM}, rig->ledger_fd, EPROTO); /* before HELLO */
    refuse(rig, (KeeperMessage){.type = KEEPER_HELLO, .version = KEEPER_VERSION + 1}, -1, EPROTO);
    rig_hello(rig);
    before = open_fds(rig->pid);

    rig_send_raw(rig->socket, bytes, sizeof bytes, many, 3); /* too long, with fds */
    rig_refused(rig, EMSGSIZE);
    rig_send_raw(rig->socket, bytes, 3, NULL, 0);
    rig_refused(rig, EMSGSIZE);
    refuse(rig, (KeeperMessage){.type = 0}, -1, EINVAL);
    refuse(rig, (KeeperMessage){.type = 12345}, rig->fds[0], EINVAL);
    refuse(rig, (KeeperMessage){.type = KEEPER_SYNC}, -1, ENXIO);
    refuse(rig, (KeeperMessage){.type = KEEPER_FREEZE, .limit_us = 1000}, -1, ENXIO);
    refuse(rig, (KeeperMessage){.type = KEEPER_FREEZE, .limit_us = 1000}, rig->fds[0], EINVAL);
    refuse(rig, first, rig->fds[0], ENXIO); /* without ARM */
    rig_ask(rig, KEEPER_THAW);              /* nothing is held, and that is the answer */
    g_assert_cmpuint(rig_expect(rig, KEEPER_THAW_DONE).pending, ==, 0);

    refuse(rig, (KeeperMessage){.type = KEEPER_ARM, .count = 2}, -1, EBADF);
    refuse(rig, (KeeperMessage){.type = KEEPER_ARM, .count = 2}, rig->fds[0], EINVAL);
    refuse(rig, (KeeperMessage){.type = KEEPER_ARM, .count = KEEPER_FILESYSTEMS_MAX + 1},
           rig->ledger_fd, E2BIG);
    g_assert_cmpint(ftruncate(rig->ledger_fd, 4096), ==, 0);
    refuse(rig, (KeeperMessage){.type = KEEPER_ARM, .count = 3}, rig->ledger_fd, ERANGE);
    rig->ledger->magic++;
    refuse(rig, arm, rig->ledger_fd, EINVAL);
    rig->ledger->magic--;
    rig->ledger->version++;
    refuse(rig, arm, rig->ledger_fd, EPROTO);
    rig->ledger->version--;

    rig_send(rig, &arm, rig->ledger_fd);
    refuse(rig, first, -1, EBADF);
    rig_forget(rig);
    rig_send(rig, &first, rig->fds[0]); /* the rest of what was refused goes by in silence */
    rig_send(rig, &arm, rig->ledger_fd);
    refuse(rig, first, path_only, EBADF);
    rig_send(rig, &arm, rig->ledger_fd);
    refuse(rig, (KeeperMessage){.type = KEEPER_FILESYSTEM, .index = 2}, rig->fds[0], ERANGE);
    rig_send(rig, &arm, rig->ledger_fd);
    rig_send(rig, &first, rig->fds[0]);
    refuse(rig, first, rig->fds[0], EEXIST);
    rig_send(rig, &arm, rig->ledger_fd);
    rig_send_raw(rig->socket, &first, sizeof first, many, 2);
    rig_refused(rig, EINVAL);
    g_assert_cmpuint(rig_count(rig, KEEPER_REFUSED), ==, 4);
    rig_disarm(rig);
    g_assert_cmpuint(open_fds(rig->pid), ==, before);

    rig_ask_arm(rig);
    rig_expect(rig, KEEPER_ARMED);
    refuse(rig, arm, rig->ledger_fd, EBUSY);
    refuse(rig, (KeeperMessage){.type = KEEPER_FREEZE, .limit_us = 0}, -1, EINVAL);
    refuse(rig, (KeeperMessage){.type = KEEPER_FREEZE, .limit_us = INT64_MAX}, -1, EINVAL);
    rig_freeze(rig);
    refuse(rig, (KeeperMessage){.type = KEEPER_SYNC}, -1, EBUSY);
    rig_disarm(rig); /* releases what is held first */
    g_assert_false(rig_frozen(rig, 0));
    g_assert_cmpuint(open_fds(rig->pid), ==, before);
    close(path_only);
}

static void two_hundred_filesystems(void)
{
    g_autoptr(Rig) rig = rig_new(200);
    unsigned before;

    for (unsigned i = 0; i < 200; i++)
        rig->ranks[i] = i % 3;
    rig_hello(rig);
    before = open_fds(rig->pid);
    rig_ask_arm(rig);
    rig_expect(rig, KEEPER_ARMED);
    rig_ask(rig, KEEPER_SYNC);
    g_assert_cmpuint(rig_expect(rig, KEEPER_SYNC_DONE).count, ==, 200);
    rig_ask_freeze(rig, RIG_LIMIT_US);
    g_assert_cmpuint(rig_expect(rig, KEEPER_FREEZE_DONE).count, ==, 200);
    rig_ask(rig, KEEPER_THAW);
    g_assert_cmpuint(rig_expect_thawed(rig).count, ==, 200);
    for (unsigned i = 0; i < 200; i++) {
        g_assert_nonnull(rig_seen(rig, KEEPER_SYNCED, i));
        g_assert_nonnull(rig_seen(rig, KEEPER_FROZE, i));
        g_assert_nonnull(rig_seen(rig, KEEPER_THAWED, i));
        g_assert_false(rig_frozen(rig, i));
    }
    rig_disarm(rig);
    g_assert_cmpuint(open_fds(rig->pid), ==, before);
}

/* Its thaw does not wait for a service that reads nothing, and no report is lost meanwhile. */
static void a_service_that_does_not_read_is_thawed(void)
{
    g_autoptr(Rig) rig = rig_new(200);
    int size = 1;
    unsigned beats = 0, frozen = 0;

    rig_arm(rig);
    rig_ask_freeze(rig, 500000);
    /* Its socket is filled up with answers to beats. */
    (void)setsockopt(rig->socket, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    for (const KeeperMessage beat = {.type = KEEPER_BEAT}; beats < 5000; beats++) {
        struct pollfd writable = {.fd = rig->socket, .events = POLLOUT};

        if (poll(&writable, 1, 20) != 1)
            break;
        g_assert_cmpint(send(rig->socket, &beat, sizeof beat, 0), ==, sizeof beat);
    }
    for (unsigned i = 0; i < 200; i++)
        g_assert_true(rig_thawed_within(rig, i, 20000));
    g_assert_cmpuint(rig->ledger->thaw_cause, ==, KEEPER_CAUSE_LIMIT + 1);
    for (KeeperMessage message = {0}; message.type != KEEPER_THAW_DONE || message.pending > 0;) {
        struct pollfd readable = {.fd = rig->socket, .events = POLLIN};

        g_assert_cmpint(poll(&readable, 1, RIG_WAIT_MS), ==, 1);
        g_assert_cmpint(recv(rig->socket, &message, sizeof message, 0), ==, sizeof message);
        if (message.type != KEEPER_BEAT)
            rig->seen[rig->n_seen++] = message;
    }
    for (unsigned i = 0; i < 200; i++)
        frozen += rig_call(rig, i, "freeze").calls;
    g_assert_cmpuint(frozen, >, 0); /* all, unless the limit came first */
    g_assert_cmpuint(rig_count(rig, KEEPER_FROZE), ==, frozen);
    g_assert_cmpuint(rig_count(rig, KEEPER_THAWED), ==, frozen);
}

/* --- sync --------------------------------------------------------------------------------------
 */

static void what_is_still_syncing_is_not_frozen(void)
{
    g_autoptr(Rig) rig = rig_new(3);
    KeeperMessage done;

    rig->flags[1] = KEEPER_FS_MAY_FAIL;
    rig_write(rig, 1, ".inject", "sync hang\n");
    rig_write(rig, 2, ".inject", "sync EIO\n");
    rig_arm(rig);
    rig_ask(rig, KEEPER_SYNC);
    g_assert_cmpint(rig_expect(rig, KEEPER_SYNCED).index, !=, 1);
    rig_expect(rig, KEEPER_SYNCED);
    g_assert_cmpint(rig_seen(rig, KEEPER_SYNCED, 0)->error, ==, 0);
    g_assert_cmpint(rig_seen(rig, KEEPER_SYNCED, 2)->error, ==, EIO);
    rig_ask_freeze(rig, RIG_LIMIT_US);
    done = rig_expect(rig, KEEPER_FREEZE_DONE);
    g_assert_cmpuint(done.count, ==, 2);
    g_assert_cmpint(rig_seen(rig, KEEPER_FROZE, 1)->error, ==, ETIMEDOUT);
    g_assert_cmpuint(rig_call(rig, 1, "freeze").calls, ==, 0);
    rig_write(rig, 1, ".release", "");
    rig_ask(rig, KEEPER_THAW);
    rig_expect(rig, KEEPER_THAW_DONE);
    g_assert_cmpuint(rig_count(rig, KEEPER_SYNC_DONE), ==, 0);
}

/* A commit is of those with a journal only, and told when the last has returned, failed or not. */
static void commits_are_of_journals_only(void)
{
    g_autoptr(Rig) rig = rig_new(4);

    rig->flags[1] = rig->flags[2] = KEEPER_FS_JOURNAL;
    rig->flags[3] = KEEPER_FS_JOURNAL | KEEPER_FS_SYNC_ONLY;
    rig_write(rig, 1, ".inject", "commit EIO\n");
    rig_write(rig, 2, ".inject", "commit delay 100\n");
    rig_arm(rig);
    for (unsigned round = 1; round <= 2; round++) {
        rig_ask(rig, KEEPER_COMMIT);
        rig_expect(rig, KEEPER_COMMIT);
        g_assert_cmpuint(rig_call(rig, 0, "commit").calls, ==, 0);
        for (unsigned i = 1; i < 4; i++)
            g_assert_cmpuint(rig_call(rig, i, "commit").calls, ==, round);
    }
    g_assert_cmpuint(rig_count(rig, KEEPER_SYNCED), ==, 0);
    rig_ask(rig, KEEPER_SYNC);
    g_assert_cmpuint(rig_expect(rig, KEEPER_SYNC_DONE).count, ==, 4);
    rig_freeze(rig);
    rig_ask(rig, KEEPER_COMMIT);
    rig_refused(rig, EBUSY);
    rig_disarm(rig);
}

static void a_commit_without_a_journal_is_told_at_once(void)
{
    g_autoptr(Rig) rig = rig_new(2);

    rig_arm(rig);
    rig_ask(rig, KEEPER_COMMIT);
    rig_expect(rig, KEEPER_COMMIT);
    rig_disarm(rig);
}

/* It takes the commit's place, and passes by none that is still committing. */
static void a_sync_need_not_wait_for_a_commit(void)
{
    g_autoptr(Rig) rig = rig_new(2);

    rig->flags[0] = rig->flags[1] = KEEPER_FS_JOURNAL;
    rig_write(rig, 0, ".inject", "commit hang\n");
    rig_arm(rig);
    rig_ask(rig, KEEPER_COMMIT);
    for (unsigned n = 0; n < RIG_WAIT_MS && rig_call(rig, 1, "commit").calls == 0; n++)
        g_usleep(1000); /* they begin in order */
    rig_ask(rig, KEEPER_COMMIT);
    rig_refused(rig, EBUSY);
    rig_ask(rig, KEEPER_SYNC);
    g_assert_cmpint(rig_expect(rig, KEEPER_SYNCED).index, ==, 1);
    rig_ask(rig, KEEPER_COMMIT);
    rig_refused(rig, EBUSY);
    g_assert_cmpuint(rig_call(rig, 0, "sync").calls, ==, 0);
    rig_write(rig, 0, ".release", "");
    g_assert_cmpuint(rig_expect(rig, KEEPER_SYNC_DONE).count, ==, 2);
    g_assert_cmpuint(rig_call(rig, 0, "sync").calls, ==, 1);
    g_assert_cmpuint(rig_count(rig, KEEPER_COMMIT), ==, 0);
    rig_freeze(rig);
    rig_disarm(rig);
}

static void what_is_still_committing_is_not_frozen(void)
{
    g_autoptr(Rig) rig = rig_new(2);

    rig->flags[0] = KEEPER_FS_JOURNAL | KEEPER_FS_MAY_FAIL;
    rig->flags[1] = KEEPER_FS_JOURNAL;
    rig_write(rig, 0, ".inject", "commit hang\n");
    rig_arm(rig);
    rig_ask(rig, KEEPER_COMMIT);
    for (unsigned n = 0; n < RIG_WAIT_MS && rig_call(rig, 1, "commit").calls == 0; n++)
        g_usleep(1000); /* they begin in order */
    rig_ask_freeze(rig, RIG_LIMIT_US);
    g_assert_cmpuint(rig_expect(rig, KEEPER_FREEZE_DONE).count, ==, 1);
    g_assert_cmpint(rig_seen(rig, KEEPER_FROZE, 0)->error, ==, ETIMEDOUT);
    rig_write(rig, 0, ".release", "");
    rig_disarm(rig);
    g_assert_cmpuint(rig_call(rig, 0, "freeze").calls, ==, 0);
    g_assert_cmpuint(rig_call(rig, 0, "sync").calls, ==, 0);
}

/* The stragglers of one operation hold up the next, but not the connection. */
static void a_new_arm_waits_for_a_stuck_sync(void)
{
    g_autoptr(Rig) rig = rig_new(2);
    KeeperMessage message;

    rig_write(rig, 0, ".inject", "sync hang\n");
    rig_arm(rig);
    rig_ask(rig, KEEPER_SYNC);
    rig_expect(rig, KEEPER_SYNCED);
    rig_ask(rig, KEEPER_DISARM);
    rig_ask_arm(rig);
    while (rig_receive(rig, &message, 100))
        g_assert_cmpuint(message.type, !=, KEEPER_DISARMED);
    rig_write(rig, 0, ".release", "");
    rig_expect(rig, KEEPER_DISARMED);
    rig_expect(rig, KEEPER_ARMED);
    rig_freeze(rig);
    rig_disarm(rig);
}

/* --- the ledger, memory, wake-ups --------------------------------------------------------------
 */

static void a_ledger_cut_short_is_no_death(void)
{
    g_autoptr(Rig) rig = rig_new(30);
    size_t size = sizeof(KeeperLedgerHeader) + 30 * sizeof(KeeperLedgerFilesystem);

    rig_arm(rig);
    g_assert_cmpint(ftruncate(rig->ledger_fd, 0), ==, 0);
    rig_ask_freeze(rig, RIG_LIMIT_US);
    g_assert_cmpuint(rig_expect(rig, KEEPER_FREEZE_DONE).count, ==, 30);
    rig_ask(rig, KEEPER_THAW);
    g_assert_cmpuint(rig_expect_thawed(rig).count, ==, 30);
    rig_disarm(rig);
    g_assert_cmpint(ftruncate(rig->ledger_fd, (off_t)size), ==, 0);
}

static void it_costs_little_and_sleeps_when_idle(void)
{
    g_autoptr(Rig) rig = rig_new(100);
    long switches;

    if (g_getenv("QUIESCED_SANITIZED")) {
        g_test_skip("sanitizers use memory of their own");
        return;
    }
    rig_arm(rig);
    rig_freeze(rig);
    g_test_message("frozen: RssAnon %ld kB, VmLck %ld kB, VmRSS %ld kB",
                   status_value(rig->pid, "RssAnon:"), status_value(rig->pid, "VmLck:"),
                   status_value(rig->pid, "VmRSS:"));
    g_assert_cmpint(status_value(rig->pid, "RssAnon:"), <, 1500);
    rig_disarm(rig);
    g_test_message("idle: RssAnon %ld kB, VmLck %ld kB", status_value(rig->pid, "RssAnon:"),
                   status_value(rig->pid, "VmLck:"));
    for (unsigned i = 0; i < 200 && status_value(rig->pid, "Threads:") > 1; i++)
        g_usleep(5000); /* they have let go of everything and may still be on their way out */
    g_assert_cmpint(status_value(rig->pid, "Threads:"), ==, 1);
    g_assert_cmpint(status_value(rig->pid, "VmLck:"), ==, 0);
    g_usleep(50000);
    switches = status_value(rig->pid, "\nvoluntary_ctxt_switches:");
    g_usleep(700000);
    g_assert_cmpint(status_value(rig->pid, "\nvoluntary_ctxt_switches:"), ==, switches);
}

/* --- socket activation -------------------------------------------------------------------------
 */

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    g_strlcpy(address.sun_path, path, sizeof address.sun_path);
    g_assert_cmpint(connect(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    return fd;
}

static void start_activated(Rig *rig, const char *path)
{
    int listener = rig_listen(path);

    rig->pid = fork();
    if (rig->pid == 0) {
        char pid[16];

        g_snprintf(pid, sizeof pid, "%d", (int)getpid());
        setenv("LISTEN_PID", pid, 1);
        setenv("LISTEN_FDS", "1", 1);
        if (listener == 3 ? fcntl(3, F_SETFD, 0) == 0 : dup2(listener, 3) == 3)
            execl(rig_program(), "quiesced-keeper", NULL);
        _exit(127);
    }
    close(listener);
}

static void serves_one_after_the_other(void)
{
    g_autoptr(Rig) rig = rig_new_unkept(2);
    g_autofree char *path = g_build_filename(rig->top, "socket", NULL);
    KeeperMessage message;
    int second;

    start_activated(rig, path);
    rig->socket = connect_to(path);
    second = connect_to(path);
    rig_write(rig, 1, ".inject", "freeze hang\n");
    rig_arm(rig);
    rig_ask_freeze(rig, RIG_LIMIT_US);
    rig_await(rig, 0, KEEPER_FS_FROZEN);
    rig_send_raw(second, &(KeeperMessage){.type = KEEPER_HELLO, .version = KEEPER_VERSION},
                 sizeof message, NULL, 0);
    close(rig->socket);
    rig->socket = second;
    /* The next service is greeted while one is stuck, and told so; its ARM waits. */
    message = rig_expect(rig, KEEPER_HELLO);
    g_assert_cmpuint(message.pending, >=, 1);
    g_assert_true(rig_thawed_within(rig, 0, 1000));
    rig_ask_arm(rig);
    g_assert_false(rig_receive(rig, &message, 100));
    rig_write(rig, 1, ".release", "");
    rig_expect(rig, KEEPER_ARMED);
    g_assert_false(rig_frozen(rig, 1));
    g_assert_cmpuint(rig_call(rig, 1, "thaw").calls, ==, 1);
    rig_disarm(rig);
    /* One that came and went without any operation leaves nothing behind. */
    for (unsigned i = 0; i < 2; i++) {
        rig_hang_up(rig);
        rig->socket = connect_to(path);
        rig_hello(rig);
    }
    rig_ask_arm(rig);
    rig_expect(rig, KEEPER_ARMED);
    rig_freeze(rig);
    rig_disarm(rig);
    rig_hang_up(rig);
    g_assert_cmpint(rig_exit_status(rig, 100), ==, -1); /* waits for the next */
    kill(rig->pid, SIGTERM);
    g_assert_cmpint(rig_exit_status(rig, RIG_WAIT_MS), ==, 0);
    g_unlink(path);
}

/* A dead service with a thread stuck in the kernel sends no end of file. */
static void a_silent_one_gives_way_to_the_next(void)
{
    g_autoptr(Rig) rig = rig_new_unkept(1);
    g_autofree char *path = g_build_filename(rig->top, "socket", NULL);
    int first;

    g_setenv("QUIESCED_FAKE_TICK_MS", "100", TRUE);
    start_activated(rig, path);
    g_unsetenv("QUIESCED_FAKE_TICK_MS");
    first = rig->socket = connect_to(path);
    rig_arm(rig);
    rig_freeze(rig);
    rig->socket = connect_to(path);
    rig_hello(rig);
    g_assert_true(rig_thawed_within(rig, 0, 10000));
    g_assert_cmpuint(rig->ledger->thaw_cause, ==, KEEPER_CAUSE_SILENCE + 1);
    close(first);
    rig_hang_up(rig);
    kill(rig->pid, SIGTERM);
    g_assert_cmpint(rig_exit_status(rig, RIG_WAIT_MS), ==, 0);
    g_unlink(path);
}

static void wrong_options_are_usage_errors(void)
{
    static const char *const OPTIONS[] = {"--fd=x", "--fd=0", "--fd=99999999999", "extra", ""};

    for (unsigned i = 0; i < G_N_ELEMENTS(OPTIONS); i++) {
        const char *argv[] = {rig_program(), *OPTIONS[i] ? OPTIONS[i] : NULL, NULL};
        g_autofree char *text = NULL;
        int status = 0;

        g_assert_true(g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_STDOUT_TO_DEV_NULL, NULL,
                                   NULL, NULL, &text, &status, NULL));
        g_assert_cmpint(WEXITSTATUS(status), ==, 2);
        g_assert_true(g_str_has_prefix(text, "quiesced-keeper: "));
    }
}

#define ADD(function) g_test_add_func("/keeper_input/" #function, function)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD(odd_requests_are_refused);
    ADD(two_hundred_filesystems);
    ADD(a_service_that_does_not_read_is_thawed);
    ADD(what_is_still_syncing_is_not_frozen);
    ADD(commits_are_of_journals_only);
    ADD(a_commit_without_a_journal_is_told_at_once);
    ADD(a_sync_need_not_wait_for_a_commit);
    ADD(what_is_still_committing_is_not_frozen);
    ADD(a_new_arm_waits_for_a_stuck_sync);
    ADD(a_ledger_cut_short_is_no_death);
    ADD(it_costs_little_and_sleeps_when_idle);
    ADD(serves_one_after_the_other);
    ADD(a_silent_one_gives_way_to_the_next);
    ADD(wrong_options_are_usage_errors);
    return g_test_run();
}
