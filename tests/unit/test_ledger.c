/*
 * test_ledger: what the ledger keeps, through ends, restarts and bad files.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/ledger_kept.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef struct {
    char *top, *path, *bad;
} Fixture;

static const LedgerFilesystemSpec FILESYSTEMS[] = {
    {8, 1, 2, "/", "/dev/sda1", "ext4", KEEPER_FS_INTENDED},
    {8, 17, 0, "/srv/data", "/dev/sdb1", "xfs", KEEPER_FS_INTENDED}};
static const LedgerParticipantSpec PARTICIPANTS[] = {
    {"postgresql", "/usr/lib/quiesced/hooks.d/50-postgresql", HOOK_PLAIN, HOOK_VERBS_DEFAULT, 50,
     ON_FAILURE_ABORT, "postgres"},
    {"old", "/etc/qemu/fsfreeze-hook.d/old", HOOK_STOCK, HOOK_VERB_FREEZE | HOOK_VERB_THAW, 7,
     ON_FAILURE_DEGRADE, NULL},
};

static void set_up(Fixture *fixture, gconstpointer data)
{
    (void)data;
    fixture->top = g_dir_make_tmp("ledger-XXXXXX", NULL);
    fixture->path = g_build_filename(fixture->top, "run", "ledger", NULL);
    fixture->bad = g_strconcat(fixture->path, ".bad", NULL);
}

static void tear_down(Fixture *fixture, gconstpointer data)
{
    g_autofree char *run = g_build_filename(fixture->top, "run", NULL);

    (void)data;
    (void)g_unlink(fixture->path);
    (void)g_unlink(fixture->bad);
    (void)g_rmdir(run);
    g_assert_cmpint(g_rmdir(fixture->top), ==, 0);
    g_free(fixture->top);
    g_free(fixture->path);
    g_free(fixture->bad);
}

static Ledger *open_ledger(const Fixture *fixture)
{
    g_autoptr(GError) error = NULL;
    Ledger *ledger = ledger_open(fixture->path, &error);

    g_assert_no_error(error);
    return ledger;
}

static void begin(Ledger *ledger, const char *operation)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(ledger_begin(ledger, operation, FILESYSTEMS, 2, PARTICIPANTS, 2, &error));
    g_assert_no_error(error);
}

static int64_t boottime_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * G_USEC_PER_SEC + now.tv_nsec / 1000;
}

static void one_at_a_time(Fixture *fixture, gconstpointer data)
{
    g_autoptr(Ledger) ledger = open_ledger(fixture);
    g_autoptr(GError) error = NULL;
    g_autofree char *pid = g_strdup_printf("process %d", (int)getpid());
    gint64 start;

    (void)data;
    start = g_get_monotonic_time();
    g_assert_null(ledger_open(fixture->path, &error));
    g_assert_cmpint(g_get_monotonic_time() - start, >=, G_USEC_PER_SEC); /* another may be ending */
    g_assert_error(error, AGENT_ERROR, AGENT_ERROR_UNAVAILABLE);
    g_assert_nonnull(strstr(error->message, pid));
    g_clear_pointer(&ledger, ledger_close);
    ledger = open_ledger(fixture);
}

/* The keeper's copy of the fd and its mapping stay when the service dies; the lock must not. */
static void the_lock_does_not_go_to_the_keeper(Fixture *fixture, gconstpointer data)
{
    Ledger *ledger = open_ledger(fixture);
    int copy = fcntl(ledger_fd(ledger), F_DUPFD_CLOEXEC, 0);
    void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, copy, 0);

    (void)data;
    g_assert_true(memory != MAP_FAILED);
    ledger_close(ledger);
    ledger = open_ledger(fixture);
    munmap(memory, 4096);
    close(copy);
    ledger_close(ledger);
}

/* As a child does that a killed service had forked and that has not come to its program yet. */
static bool opens_beside_a_child(const Fixture *fixture)
{
    Ledger *ledger = open_ledger(fixture);
    pid_t child = fork();

    g_assert_cmpint(child, >=, 0);
    if (child == 0) {
        g_usleep(100 * 1000);
        _exit(0);
    }
    ledger_close(ledger);
    ledger = ledger_open(fixture->path, NULL);
    g_assert_cmpint(waitpid(child, NULL, 0), ==, child);
    if (!ledger)
        return false;
    ledger_close(ledger);
    return true;
}

/* On a busy machine the child may be paused for longer than the lock is waited for. */
static void a_child_keeps_the_lock_for_a_moment(Fixture *fixture, gconstpointer data)
{
    unsigned tries = 1;

    (void)data;
    for (; !opens_beside_a_child(fixture); tries++)
        g_assert_cmpuint(tries, <, 5);
}

static void an_operation_survives_its_process(Fixture *fixture, gconstpointer data)
{
    g_autoptr(Ledger) ledger = NULL;
    uint32_t limit = 0;
    pid_t child = fork();
    int status;

    (void)data;
    if (child == 0) {
        Ledger *mine = open_ledger(fixture);

        begin(mine, "b5f3a7e0-0000-4000-8000-000000000001");
        ledger_set_filesystem(mine, 1, KEEPER_FS_FROZEN);
        ledger_participant_called(mine, 0, HOOK_VERB_PREPARE);
        ledger_participant_called(mine, 0, HOOK_VERB_FREEZE);
        ledger_participant_session(mine, 0, 4711, 12345);
        ledger_participant_called(mine, 1, HOOK_VERB_FREEZE);
        ledger_participant_released(mine, 1);
        ledger_save_writeback(mine, &(WritebackSettings){3000, 500});
        ledger_save_writeback(mine, &(WritebackSettings){100, 100}); /* already changed ones */
        ledger_set_frozen_since(mine, 123456789, 300);
        raise(SIGKILL);
    }
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    g_assert_true(WIFSIGNALED(status));
    ledger = open_ledger(fixture);
    g_assert_true(ledger_active(ledger));
    g_assert_cmpstr(ledger_operation(ledger), ==, "b5f3a7e0-0000-4000-8000-000000000001");
    g_assert_cmpuint(ledger_filesystems(ledger), ==, 2);
    g_assert_cmpuint(ledger_filesystem(ledger, 0)->state, ==, KEEPER_FS_INTENDED);
    g_assert_cmpuint(ledger_filesystem(ledger, 1)->state, ==, KEEPER_FS_FROZEN);
    g_assert_cmpstr(ledger_filesystem(ledger, 1)->mountpoint, ==, "/srv/data");
    g_assert_cmpuint(ledger_filesystem(ledger, 1)->minor, ==, 17);
    g_assert_cmpuint(ledger_filesystem(ledger, 0)->rank, ==, 2);
    g_assert_null(ledger_filesystem(ledger, 2));
    g_assert_cmpuint(ledger_participants(ledger), ==, 2);
    g_assert_cmpuint(ledger_participant(ledger, 0)->held, ==, 1);
    g_assert_cmpuint(ledger_participant(ledger, 0)->last_verb, ==, HOOK_VERB_FREEZE);
    g_assert_cmpuint(ledger_participant(ledger, 1)->held, ==, 0);
    g_assert_cmpuint(ledger_participant(ledger, 1)->kind, ==, HOOK_STOCK);
    g_assert_cmpstr(ledger_participant(ledger, 1)->name, ==, "old");
    g_assert_cmpstr(ledger_participant(ledger, 0)->user, ==, "postgres");
    g_assert_cmpstr(ledger_participant(ledger, 1)->user, ==, "");
    g_assert_cmpuint(ledger_participant(ledger, 0)->session_pid, ==, 4711);
    g_assert_cmpint(ledger_participant(ledger, 0)->session_started_us, ==, 12345);
    g_assert_cmpuint(ledger_participant(ledger, 1)->session_pid, ==, 0);
    {
        WritebackSettings settings = {0};

        g_assert_true(ledger_saved_writeback(ledger, &settings));
        g_assert_cmpint(settings.expire_cs, ==, 3000);
        g_assert_cmpint(settings.period_cs, ==, 500);
        ledger_clear_writeback(ledger);
        g_assert_false(ledger_saved_writeback(ledger, &settings));
    }
    g_assert_cmpint(ledger_frozen_since(ledger, &limit), ==, 123456789);
    g_assert_cmpuint(limit, ==, 300);
}

static void a_new_one_waits_for_the_end_of_the_old(Fixture *fixture, gconstpointer data)
{
    g_autoptr(Ledger) ledger = open_ledger(fixture);
    g_autoptr(GError) error = NULL;

    (void)data;
    g_assert_cmpstr(ledger_operation(ledger), ==, "");
    begin(ledger, "one");
    g_assert_false(ledger_begin(ledger, "two", NULL, 0, NULL, 0, &error));
    g_assert_error(error, AGENT_ERROR, AGENT_ERROR_UNAVAILABLE);
    g_assert_cmpstr(ledger_operation(ledger), ==, "one");
    ledger_set_filesystem(ledger, 0, KEEPER_FS_THAWED);
    ledger_participant_called(ledger, 0, HOOK_VERB_FREEZE);
    ledger_end(ledger);
    g_assert_false(ledger_active(ledger));
    g_assert_cmpuint(ledger_filesystems(ledger), ==, 0);
    g_assert_cmpuint(ledger_participants(ledger), ==, 0);
    g_assert_cmpint(ledger_frozen_since(ledger, NULL), ==, 0);
    begin(ledger, "two");
    g_assert_cmpuint(ledger_filesystem(ledger, 0)->state, ==, KEEPER_FS_INTENDED);
    g_assert_cmpuint(ledger_participant(ledger, 0)->held, ==, 0);
}

static void limits_are_errors(Fixture *fixture, gconstpointer data)
{
    g_autoptr(Ledger) ledger = open_ledger(fixture);
    g_autofree LedgerFilesystemSpec *many = g_new0(LedgerFilesystemSpec, KEEPER_FILESYSTEMS_MAX);
    g_autofree LedgerParticipantSpec *crowd =
        g_new0(LedgerParticipantSpec, KEEPER_PARTICIPANTS_MAX);
    g_autoptr(GError) error = NULL;
    struct stat before, after;

    (void)data;
    g_assert_false(ledger_begin(ledger, "x", many, KEEPER_FILESYSTEMS_MAX + 1, NULL, 0, &error));
    g_assert_error(error, AGENT_ERROR, AGENT_ERROR_LIMIT);
    g_clear_error(&error);
    g_assert_false(ledger_begin(ledger, "x", NULL, 0, crowd, KEEPER_PARTICIPANTS_MAX + 1, &error));
    g_assert_error(error, AGENT_ERROR, AGENT_ERROR_LIMIT);
    g_clear_error(&error);
    g_assert_true(ledger_begin(ledger, "x", many, KEEPER_FILESYSTEMS_MAX, crowd,
                               KEEPER_PARTICIPANTS_MAX, &error));
    g_assert_no_error(error);
    ledger_participant_called(ledger, KEEPER_PARTICIPANTS_MAX - 1, HOOK_VERB_FREEZE);
    ledger_participant_called(ledger, KEEPER_PARTICIPANTS_MAX, HOOK_VERB_FREEZE);
    ledger_set_filesystem(ledger, KEEPER_FILESYSTEMS_MAX, KEEPER_FS_FROZEN);
    g_assert_null(ledger_participant(ledger, KEEPER_PARTICIPANTS_MAX));
    /* The keeper of this one may still have it mapped when the next, smaller one begins. */
    g_assert_cmpint(fstat(ledger_fd(ledger), &before), ==, 0);
    ledger_end(ledger);
    begin(ledger, "small");
    g_assert_cmpint(fstat(ledger_fd(ledger), &after), ==, 0);
    g_assert_cmpint(after.st_size, ==, before.st_size);
}

static void long_texts_are_cut_at_a_character(Fixture *fixture, gconstpointer data)
{
    g_autoptr(Ledger) ledger = open_ledger(fixture);
    g_autofree char *text = g_strnfill(KEEPER_NAME_SIZE - 2, 'a');
    g_autofree char *name = g_strconcat(text, "äöü", NULL);
    const LedgerFilesystemSpec filesystem = {1, 2, 3, name, name, name, KEEPER_FS_INTENDED};

    (void)data;
    g_assert_true(ledger_begin(ledger, "x", &filesystem, 1, NULL, 0, NULL));
    g_assert_cmpstr(ledger_filesystem(ledger, 0)->mountpoint, ==, text);
}

static void the_verdict_outlives_the_operation(Fixture *fixture, gconstpointer data)
{
    Ledger *ledger = open_ledger(fixture);
    LedgerVerdict verdict = {.operation = "one",
                             .reason = "the frozen limit passed",
                             .ended_by = 3,
                             .limit_s = 300,
                             .held_us = 7,
                             .expires_us = boottime_us() + 60 * G_USEC_PER_SEC};
    LedgerVerdict read = {0};

    (void)data;
    g_assert_false(ledger_verdict(ledger, &read));
    begin(ledger, "one");
    ledger_set_verdict(ledger, &verdict);
    ledger_end(ledger);
    begin(ledger, "two");
    ledger_close(ledger);
    ledger = open_ledger(fixture);
    g_assert_true(ledger_verdict(ledger, &read));
    g_assert_cmpstr(read.operation, ==, "one");
    g_assert_cmpstr(read.reason, ==, "the frozen limit passed");
    g_assert_cmpuint(read.ended_by, ==, 3);
    g_assert_cmpuint(read.limit_s, ==, 300);
    g_assert_cmpint(read.held_us, ==, 7);
    g_assert_cmpint(read.expires_us, ==, verdict.expires_us);
    g_assert_false(read.told);
    g_assert_false(ledger_last_verdict(ledger, &read)); /* "two" was not lost */
    ledger_clear_verdict(ledger, true);
    g_assert_false(ledger_verdict(ledger, &read));
    verdict.expires_us = boottime_us() - 1;
    ledger_set_verdict(ledger, &verdict);
    g_assert_false(ledger_verdict(ledger, &read));
    ledger_close(ledger);
}

static void the_last_operation_stays_until_the_next(Fixture *fixture, gconstpointer data)
{
    Ledger *ledger = open_ledger(fixture);
    LedgerVerdict verdict = {.operation = "one", .reason = "why", .expires_us = INT64_MAX};
    LedgerOperation last;

    (void)data;
    ledger_last(ledger, &last);
    g_assert_cmpstr(last.operation, ==, "");
    g_assert_false(ledger_last_verdict(ledger, &verdict));
    begin(ledger, "one");
    ledger_set_origin(ledger, "default", 1790000000000);
    ledger_participant_result(ledger, 1, 5);
    ledger_set_verdict(ledger, &verdict);
    ledger_clear_verdict(ledger, true);
    ledger_set_ended(ledger, 4, 3, 2);
    ledger_end(ledger);
    ledger_close(ledger);

    ledger = open_ledger(fixture);
    ledger_last(ledger, &last);
    g_assert_cmpstr(last.operation, ==, "one");
    g_assert_cmpstr(last.channel, ==, "default");
    g_assert_cmpint(last.started_unix_ms, ==, 1790000000000);
    g_assert_cmpuint(last.ended_by, ==, 3);
    g_assert_cmpuint(last.result, ==, 4);
    g_assert_cmpuint(last.level, ==, 2);
    g_assert_cmpint(last.thaw_cause, ==, -1);
    g_assert_cmpuint(last.n_filesystems, ==, 2);
    g_assert_cmpuint(last.n_participants, ==, 2);
    g_assert_cmpstr(ledger_filesystem(ledger, 1)->device, ==, "/dev/sdb1");
    g_assert_cmpstr(ledger_filesystem(ledger, 1)->type, ==, "xfs");
    g_assert_cmpuint(ledger_participant(ledger, 1)->order, ==, 7);
    g_assert_cmpuint(ledger_participant(ledger, 1)->on_failure, ==, ON_FAILURE_DEGRADE);
    g_assert_cmpuint(ledger_participant(ledger, 1)->result, ==, 5);
    g_assert_true(ledger_last_verdict(ledger, &verdict));
    g_assert_true(verdict.told);

    begin(ledger, "two");
    ledger_last(ledger, &last);
    g_assert_null(last.channel);
    g_assert_cmpuint(last.ended_by, ==, 0);
    g_assert_false(ledger_last_verdict(ledger, &verdict));
    g_assert_cmpuint(ledger_participant(ledger, 1)->result, ==, 0);
    ledger_close(ledger);
}

static void check_set_aside(const Fixture *fixture)
{
    Ledger *ledger = open_ledger(fixture);

    g_assert_cmpint(g_access(fixture->bad, F_OK), ==, 0);
    g_assert_false(ledger_active(ledger));
    begin(ledger, "fresh");
    ledger_close(ledger);
    (void)g_unlink(fixture->bad);
}

static void what_is_no_ledger_is_set_aside(Fixture *fixture, gconstpointer data)
{
    KeeperLedgerHeader header;
    Ledger *ledger = open_ledger(fixture);
    int fd;

    (void)data;
    ledger_close(ledger);
    g_assert_true(g_file_set_contents(fixture->path, "something else", -1, NULL));
    check_set_aside(fixture);

    fd = open(fixture->path, O_RDWR);
    g_assert_cmpint(pread(fd, &header, sizeof header, 0), ==, sizeof header);
    header.version = KEEPER_VERSION + 1;
    g_assert_cmpint(pwrite(fd, &header, sizeof header, 0), ==, sizeof header);
    close(fd);
    check_set_aside(fixture);

    /* Says more than the file holds. */
    fd = open(fixture->path, O_RDWR);
    g_assert_cmpint(pread(fd, &header, sizeof header, 0), ==, sizeof header);
    header.n_filesystems = KEEPER_FILESYSTEMS_MAX;
    g_assert_cmpint(pwrite(fd, &header, sizeof header, 0), ==, sizeof header);
    close(fd);
    check_set_aside(fixture);

    /* Texts without an end. */
    fd = open(fixture->path, O_RDWR);
    memset(header.operation, 'x', sizeof header.operation);
    header.n_filesystems = header.n_participants = 0;
    g_assert_cmpint(pwrite(fd, &header, sizeof header, 0), ==, sizeof header);
    close(fd);
    ledger = open_ledger(fixture);
    g_assert_cmpuint(strlen(ledger_operation(ledger)), ==, KEEPER_OPERATION_SIZE - 1);
    ledger_close(ledger);
}

static void an_empty_file_is_a_new_ledger(Fixture *fixture, gconstpointer data)
{
    Ledger *ledger = open_ledger(fixture);

    (void)data;
    ledger_close(ledger);
    g_assert_true(g_file_set_contents(fixture->path, "", 0, NULL));
    ledger = open_ledger(fixture);
    g_assert_false(ledger_active(ledger));
    g_assert_cmpint(g_access(fixture->bad, F_OK), !=, 0);
    ledger_close(ledger);
}

static void links_are_not_followed(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *target = g_build_filename(fixture->top, "target", NULL);
    Ledger *ledger = open_ledger(fixture);

    (void)data;
    ledger_close(ledger);
    g_assert_true(g_file_set_contents(target, "precious", -1, NULL));
    (void)g_unlink(fixture->path);
    g_assert_cmpint(symlink(target, fixture->path), ==, 0);
    g_assert_null(ledger_open(fixture->path, &error));
    g_assert_error(error, AGENT_ERROR, AGENT_ERROR_UNAVAILABLE);
    (void)g_unlink(target);
}

#define ADD(function) g_test_add("/ledger/" #function, Fixture, NULL, set_up, function, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD(one_at_a_time);
    ADD(the_lock_does_not_go_to_the_keeper);
    ADD(a_child_keeps_the_lock_for_a_moment);
    ADD(an_operation_survives_its_process);
    ADD(a_new_one_waits_for_the_end_of_the_old);
    ADD(limits_are_errors);
    ADD(long_texts_are_cut_at_a_character);
    ADD(the_verdict_outlives_the_operation);
    ADD(the_last_operation_stays_until_the_next);
    ADD(what_is_no_ledger_is_set_aside);
    ADD(an_empty_file_is_a_new_ledger);
    ADD(links_are_not_followed);
    return g_test_run();
}
