/*
 * test_unfreeze: what the ledger has as frozen or in flight is thawed without a keeper, and
 * nothing else is touched.
 *
 * The fake of FITHAW is part of this file, as in test_keeper_client.c; the ledger is a real one.
 * Every case ends without an fd or a thread more than it began with.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "../fake/keeper_fake_ops.c"

#include "keeper_rig_files.h"
#include "loop_rig.h"

#include "quiesce/unfreeze.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <pthread.h>
#include <unistd.h>

#define COUNT      4u
#define SOON_US    MSEC(150) /* from the end of a FIFREEZE to its thaw */
#define HELD_UP_US MSEC(4000)

typedef struct {
    Rig *rig; /* the directories */
    char *run, *path;
    Ledger *ledger;
    Unfreeze *unfreeze;
    bool settled;
    unsigned rounds; /* that began */
    unsigned done, hopeless, unreachable, thawed[COUNT], failed[COUNT];
    int errors[COUNT]; /* of the last call of either */
    unsigned fds_before, threads_before;
} Bed;

static void set_up(Bed *bed, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    (void)g_main_context_iteration(NULL, FALSE);
    bed->fds_before = loop_entries("/proc/self/fd");
    bed->threads_before = loop_entries("/proc/self/task");
    bed->rig = rig_new_unkept(COUNT);
    bed->run = g_dir_make_tmp("unfreeze-XXXXXX", NULL);
    bed->path = g_build_filename(bed->run, "ledger", NULL);
    bed->ledger = ledger_open(bed->path, &error);
    g_assert_no_error(error);
}

static void tear_down(Bed *bed, gconstpointer data)
{
    (void)data;
    unfreeze_free(bed->unfreeze);
    for (unsigned i = 0; i < COUNT; i++)
        rig_write(bed->rig, i, ".release", "");
    loop_until(loop_entries("/proc/self/task") <= bed->threads_before);
    ledger_close(bed->ledger);
    (void)g_unlink(bed->path);
    g_assert_cmpint(g_rmdir(bed->run), ==, 0);
    g_free(bed->path);
    g_free(bed->run);
    rig_free(bed->rig);
    loop_until(loop_entries("/proc/self/fd") <= bed->fds_before);
}

/* Lays out an operation; what the ledger has as frozen is frozen. */
static void lay_out(Bed *bed, const KeeperFilesystemState states[COUNT])
{
    LedgerFilesystemSpec specs[COUNT];
    g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) error = NULL;

    for (unsigned i = 0; i < COUNT; i++) {
        char *path = rig_path(bed->rig, i, "");

        g_ptr_array_add(paths, path);
        specs[i] =
            (LedgerFilesystemSpec){8, i, bed->rig->ranks[i], path, "/dev/sda", "ext4", states[i]};
    }
    g_assert_true(ledger_begin(bed->ledger, "operation", specs, COUNT, NULL, 0, &error));
    g_assert_no_error(error);
    for (unsigned i = 0; i < COUNT; i++)
        if (states[i] == KEEPER_FS_FROZEN)
            rig_write(bed->rig, i, ".frozen", "");
}

static bool is_settled(gpointer user_data)
{
    Bed *bed = user_data;

    bed->rounds++; /* each begins with this question */
    return bed->settled;
}

static void on_thawed(unsigned index, int error_number, gpointer user_data)
{
    Bed *bed = user_data;

    bed->thawed[index]++;
    bed->errors[index] = error_number;
}

static void on_failed(unsigned index, int error_number, gpointer user_data)
{
    Bed *bed = user_data;

    bed->failed[index]++;
    bed->errors[index] = error_number;
}

static void on_done(gpointer user_data)
{
    Bed *bed = user_data;

    bed->done++;
    g_assert_cmpuint(unfreeze_left(bed->unfreeze), ==, 0);
    g_clear_pointer(&bed->unfreeze, unfreeze_free);
}

static void on_hopeless(gpointer user_data)
{
    ((Bed *)user_data)->hopeless++;
}

static void on_unreachable(gpointer user_data)
{
    ((Bed *)user_data)->unreachable++;
}

/* `n_fds`: of how many the fds are there. */
static void begin(Bed *bed, unsigned n_fds)
{
    const UnfreezeSpec spec = {
        .ledger = bed->ledger,
        .fds = n_fds > 0 ? bed->rig->fds : NULL,
        .n_fds = n_fds,
        .by_path = true,
        .settled = is_settled,
        .thawed = on_thawed,
        .failed = on_failed,
        .done = on_done,
        .hopeless = on_hopeless,
        .unreachable = on_unreachable,
        .user_data = bed,
    };

    bed->unfreeze = unfreeze_new(&spec);
    g_assert_cmpuint(bed->done, ==, 0);
}

static unsigned calls_of(const Bed *bed, unsigned index)
{
    return rig_call(bed->rig, index, "thaw").calls;
}

static void assert_thawed(const Bed *bed, unsigned index, int error_number)
{
    g_assert_false(rig_frozen(bed->rig, index));
    g_assert_cmpint(ledger_filesystem(bed->ledger, index)->state, ==, KEEPER_FS_THAWED);
    g_assert_cmpuint(bed->thawed[index], ==, 1);
    g_assert_cmpint(bed->errors[index], ==, error_number);
}

/* --- what is thawed ----------------------------------------------------------------------------
 */

static const KeeperFilesystemState ALL_FROZEN[COUNT] = {KEEPER_FS_FROZEN, KEEPER_FS_FROZEN,
                                                        KEEPER_FS_FROZEN, KEEPER_FS_FROZEN};
static const KeeperFilesystemState ALL_IN_FLIGHT[COUNT] = {
    KEEPER_FS_IN_FLIGHT, KEEPER_FS_IN_FLIGHT, KEEPER_FS_IN_FLIGHT, KEEPER_FS_IN_FLIGHT};

static void goes_down_the_ranks(Bed *bed, gconstpointer data)
{
    static const unsigned ORDER[COUNT] = {2, 0, 3, 1};

    (void)data;
    for (unsigned i = 0; i < COUNT; i++)
        bed->rig->ranks[ORDER[i]] = COUNT - i;
    bed->settled = true;
    lay_out(bed, ALL_FROZEN);
    begin(bed, COUNT);
    g_assert_cmpuint(unfreeze_left(bed->unfreeze), ==, COUNT);
    loop_until(bed->done == 1);
    for (unsigned i = 0; i < COUNT; i++)
        assert_thawed(bed, i, 0);
    for (unsigned i = 1; i < COUNT; i++)
        g_assert_cmpint(rig_call(bed->rig, ORDER[i - 1], "thaw").end, <=,
                        rig_call(bed->rig, ORDER[i], "thaw").start);
    (void)loop_for(MSEC(100));
    g_assert_cmpuint(bed->done, ==, 1);
}

/* A FIFREEZE that the dead keeper left in the kernel. */
static int64_t complete(Bed *bed, unsigned index)
{
    int64_t before = deadline_now();

    rig_write(bed->rig, index, ".frozen", "");
    loop_until(!rig_frozen(bed->rig, index));
    return deadline_now() - before;
}

static void in_flight_is_thawed_soon_after_it_completes(Bed *bed, gconstpointer data)
{
    int64_t best = INT64_MAX;

    (void)data;
    lay_out(bed, ALL_IN_FLIGHT);
    begin(bed, COUNT);
    (void)loop_for(MSEC(300));
    g_assert_cmpuint(unfreeze_left(bed->unfreeze), ==, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        int64_t took = complete(bed, i);

        g_test_message("thawed after %" G_GINT64_FORMAT " us", took);
        best = MIN(best, took);
        loop_until(bed->thawed[i] == 1);
        assert_thawed(bed, i, 0);
    }
    g_assert_cmpint(best, <, SOON_US);
    (void)loop_for(MSEC(200));
    g_assert_cmpuint(bed->done, ==, 0); /* nobody said that it is settled */
    bed->settled = true;
    loop_until(bed->done == 1);
}

static void not_done_before_it_is_settled(Bed *bed, gconstpointer data)
{
    (void)data;
    lay_out(bed, ALL_FROZEN);
    begin(bed, COUNT);
    loop_until(unfreeze_left(bed->unfreeze) == 0);
    (void)loop_for(MSEC(200));
    g_assert_cmpuint(bed->done, ==, 0);
    /* What is in flight by then is waited for. */
    ledger_set_filesystem(bed->ledger, 1, KEEPER_FS_IN_FLIGHT);
    (void)loop_for(MSEC(100));
    (void)complete(bed, 1);
    loop_until(bed->thawed[1] == 2);
    bed->settled = true;
    loop_until(bed->done == 1);
}

static void not_frozen_is_final_only_when_settled(Bed *bed, gconstpointer data)
{
    static const KeeperFilesystemState STATES[COUNT] = {KEEPER_FS_FROZEN, KEEPER_FS_IN_FLIGHT,
                                                        KEEPER_FS_INTENDED, KEEPER_FS_INTENDED};

    (void)data;
    lay_out(bed, STATES);
    g_assert_cmpint(unlinkat(bed->rig->fds[0], ".frozen", 0), ==, 0); /* somebody else did */
    begin(bed, COUNT);
    loop_until(bed->thawed[0] == 1);
    assert_thawed(bed, 0, EINVAL);
    loop_until(calls_of(bed, 1) >= 3); /* tried on and on */
    g_assert_cmpuint(bed->thawed[1], ==, 0);
    g_assert_cmpint(ledger_filesystem(bed->ledger, 1)->state, ==, KEEPER_FS_IN_FLIGHT);
    bed->settled = true;
    loop_until(bed->done == 1);
    g_assert_cmpuint(bed->thawed[1], ==, 1);
    g_assert_cmpint(bed->errors[1], ==, EINVAL);
    g_assert_cmpint(ledger_filesystem(bed->ledger, 1)->state, ==, KEEPER_FS_FAILED);
    g_assert_cmpuint(bed->failed[1], ==, 0);
}

/* The FIFREEZE may have completed after this FITHAW looked. */
static void a_try_begun_before_it_was_settled_is_not_final(Bed *bed, gconstpointer data)
{
    static const KeeperFilesystemState STATES[COUNT] = {KEEPER_FS_IN_FLIGHT};

    (void)data;
    lay_out(bed, STATES);
    rig_write(bed->rig, 0, ".inject", "thaw delay 200\n");
    begin(bed, COUNT);
    (void)loop_for(MSEC(100));
    bed->settled = true;
    loop_until(bed->done == 1);
    g_assert_cmpuint(calls_of(bed, 0), ==, 2);
    g_assert_cmpuint(bed->thawed[0], ==, 1);
}

static void what_was_not_frozen_by_it_is_never_touched(Bed *bed, gconstpointer data)
{
    static const KeeperFilesystemState STATES[COUNT] = {KEEPER_FS_INTENDED, KEEPER_FS_FOREIGN,
                                                        KEEPER_FS_THAWED, KEEPER_FS_FAILED};

    (void)data;
    lay_out(bed, STATES);
    for (unsigned i = 0; i < COUNT; i++)
        rig_write(bed->rig, i, ".frozen", "");
    begin(bed, 2); /* the others would be by path */
    g_assert_cmpuint(unfreeze_left(bed->unfreeze), ==, 0);
    (void)loop_for(MSEC(150));
    bed->settled = true;
    loop_until(bed->done == 1);
    for (unsigned i = 0; i < COUNT; i++) {
        g_assert_true(rig_frozen(bed->rig, i));
        g_assert_cmpuint(calls_of(bed, i), ==, 0);
        g_assert_cmpint(ledger_filesystem(bed->ledger, i)->state, ==, STATES[i]);
        g_assert_cmpuint(bed->thawed[i] + bed->failed[i], ==, 0);
    }
}

/* --- what fails --------------------------------------------------------------------------------
 */

static void an_error_is_told_once_and_tried_again(Bed *bed, gconstpointer data)
{
    (void)data;
    bed->settled = true;
    lay_out(bed, ALL_FROZEN);
    rig_write(bed->rig, 1, ".inject", "thaw EIO 3\n");
    begin(bed, COUNT);
    loop_until(bed->failed[1] == 1);
    g_assert_cmpint(bed->errors[1], ==, EIO);
    g_assert_cmpint(ledger_filesystem(bed->ledger, 1)->state, ==, KEEPER_FS_FROZEN);
    loop_until(bed->done == 1);
    g_assert_cmpuint(bed->failed[1], ==, 1);
    g_assert_cmpuint(calls_of(bed, 1), ==, 4);
    for (unsigned i = 0; i < COUNT; i++)
        assert_thawed(bed, i, 0);
    g_assert_cmpuint(bed->failed[0] + bed->failed[2] + bed->failed[3], ==, 0);
}

static void goes_by_path_without_an_fd(Bed *bed, gconstpointer data)
{
    g_autofree char *directory = rig_path(bed->rig, 3, "");
    g_autofree char *elsewhere = rig_path(bed->rig, 999, "");

    (void)data;
    bed->settled = true;
    lay_out(bed, ALL_FROZEN);
    g_assert_cmpint(g_rename(directory, elsewhere), ==, 0);
    begin(bed, 1);
    loop_until(bed->thawed[0] && bed->thawed[1] && bed->thawed[2] && bed->failed[3]);
    g_assert_cmpint(bed->errors[3], ==, ENOENT);
    loop_until(bed->unreachable == 1);
    (void)loop_for(MSEC(300));
    g_assert_cmpuint(bed->failed[3], ==, 1);
    g_assert_cmpuint(bed->unreachable, ==, 1);
    g_assert_cmpuint(unfreeze_left(bed->unfreeze), ==, 1);
    g_assert_cmpint(g_rename(elsewhere, directory), ==, 0);
    loop_until(bed->done == 1);
    for (unsigned i = 0; i < COUNT; i++)
        assert_thawed(bed, i, 0);
}

/* As long as anything else may be thawed it is not said. */
static void unreachable_is_said_when_nothing_else_is_left(Bed *bed, gconstpointer data)
{
    g_autofree char *directory = rig_path(bed->rig, 3, "");
    g_autofree char *elsewhere = rig_path(bed->rig, 999, "");

    (void)data;
    bed->settled = true;
    lay_out(bed, ALL_FROZEN);
    rig_write(bed->rig, 0, ".inject", "thaw hang\n");
    g_assert_cmpint(g_rename(directory, elsewhere), ==, 0);
    begin(bed, 0);
    loop_until(bed->thawed[1] && bed->thawed[2] && bed->failed[3]);
    (void)loop_for(MSEC(200));
    g_assert_cmpuint(bed->unreachable, ==, 0);
    rig_write(bed->rig, 0, ".release", "");
    loop_until(bed->unreachable == 1);
    g_assert_cmpuint(bed->thawed[0], ==, 1);
    g_assert_cmpuint(bed->done, ==, 0);
    g_assert_cmpint(g_rename(elsewhere, directory), ==, 0);
    loop_until(bed->done == 1);
    g_assert_cmpuint(bed->unreachable, ==, 1);
}

static void what_hangs_holds_up_nobody_else(Bed *bed, gconstpointer data)
{
    static const KeeperFilesystemState STATES[COUNT] = {KEEPER_FS_FROZEN, KEEPER_FS_IN_FLIGHT,
                                                        KEEPER_FS_FROZEN, KEEPER_FS_IN_FLIGHT};
    int64_t before = deadline_now();

    (void)data;
    bed->settled = true;
    bed->rig->ranks[0] = 1; /* the other one sits below */
    lay_out(bed, STATES);
    rig_write(bed->rig, 0, ".inject", "thaw hang\n");
    rig_write(bed->rig, 1, ".inject", "thaw hang\n");
    rig_write(bed->rig, 3, ".frozen", "");
    begin(bed, COUNT);
    loop_until(bed->thawed[2] && bed->thawed[3]);
    g_assert_cmpint(deadline_now() - before, <, HELD_UP_US);
    assert_thawed(bed, 2, 0);
    assert_thawed(bed, 3, 0);
    (void)loop_for(MSEC(300));
    g_assert_cmpuint(unfreeze_left(bed->unfreeze), ==, 2);
    g_assert_cmpuint(bed->done, ==, 0);
    for (unsigned i = 0; i < 2; i++) {
        rig_write(bed->rig, i, ".frozen", "");
        rig_write(bed->rig, i, ".release", "");
    }
    loop_until(bed->done == 1);
    for (unsigned i = 0; i < 2; i++) {
        assert_thawed(bed, i, 0);
        g_assert_cmpuint(calls_of(bed, i), ==, 1); /* one under way is enough */
    }
}

/* The one slow case: the times are what the administrator's last rung hangs on. */
static void hopeless_is_told_once_and_the_pace_slows(Bed *bed, gconstpointer data)
{
    unsigned calls;

    (void)data;
    bed->settled = true;
    lay_out(bed, ALL_FROZEN);
    rig_write(bed->rig, 2, ".inject", "thaw EIO\n");
    begin(bed, COUNT);
    (void)loop_for(UNFREEZE_PATIENT_US - MSEC(500));
    g_assert_cmpuint(bed->hopeless, ==, 0);
    loop_until(bed->hopeless == 1);
    g_assert_cmpuint(bed->failed[2], ==, 1);
    g_assert_cmpint(unlinkat(bed->rig->fds[2], ".calls", 0), ==, 0);
    (void)loop_for(MSEC(2000));
    calls = calls_of(bed, 2);
    g_assert_cmpuint(calls, >=, 1);
    g_assert_cmpuint(calls, <=, 5);
    g_assert_cmpuint(bed->hopeless, ==, 1);
    rig_write(bed->rig, 2, ".inject", "");
    loop_until(bed->done == 1);
    assert_thawed(bed, 2, 0);
}

/* --- given up ----------------------------------------------------------------------------------
 */

static unsigned told(const Bed *bed)
{
    unsigned sum = bed->done + bed->hopeless;

    for (unsigned i = 0; i < COUNT; i++)
        sum += bed->thawed[i] + bed->failed[i];
    return sum;
}

static void may_be_freed_at_any_time(Bed *bed, gconstpointer data)
{
    (void)data;
    unfreeze_free(NULL);
    lay_out(bed, ALL_FROZEN);
    rig_write(bed->rig, 0, ".inject", "thaw hang\n");
    begin(bed, COUNT); /* before its first round */
    g_clear_pointer(&bed->unfreeze, unfreeze_free);
    begin(bed, 0); /* with opens under way: their ends are seen by the next turn of the loop */
    while (bed->rounds == 0)
        (void)g_main_context_iteration(NULL, TRUE);
    g_clear_pointer(&bed->unfreeze, unfreeze_free);
    (void)loop_for(MSEC(50));
    g_assert_cmpuint(told(bed), ==, 0);

    bed->rig->ranks[0] = 9;
    begin(bed, COUNT); /* with one that hangs, and others */
    loop_until(bed->thawed[3] == 1);
    g_clear_pointer(&bed->unfreeze, unfreeze_free);
    for (unsigned i = 0; i < COUNT; i++)
        bed->thawed[i] = bed->failed[i] = 0;
    rig_write(bed->rig, 0, ".release", "");
    g_assert_true(rig_thawed_within(bed->rig, 0, 1000)); /* it ends by itself */
    (void)loop_for(MSEC(100));
    g_assert_cmpuint(told(bed), ==, 0);
}

static void *nothing(void *data)
{
    return data;
}

#define ADD(function) g_test_add("/unfreeze/" #function, Bed, NULL, set_up, function, tear_down)

int main(int argc, char **argv)
{
    pthread_t first;

    /* Sanitizers start a thread of their own with the first. */
    g_assert_cmpint(pthread_create(&first, NULL, nothing, NULL), ==, 0);
    g_assert_cmpint(pthread_join(first, NULL), ==, 0);
    g_test_init(&argc, &argv, NULL);
    ADD(goes_down_the_ranks);
    ADD(in_flight_is_thawed_soon_after_it_completes);
    ADD(not_done_before_it_is_settled);
    ADD(not_frozen_is_final_only_when_settled);
    ADD(a_try_begun_before_it_was_settled_is_not_final);
    ADD(what_was_not_frozen_by_it_is_never_touched);
    ADD(an_error_is_told_once_and_tried_again);
    ADD(goes_by_path_without_an_fd);
    ADD(unreachable_is_said_when_nothing_else_is_left);
    ADD(what_hangs_holds_up_nobody_else);
    ADD(hopeless_is_told_once_and_the_pace_slows);
    ADD(may_be_freed_at_any_time);
    return g_test_run();
}
