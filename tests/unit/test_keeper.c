/*
 * test_keeper: what the keeper freezes and thaws, in which order, and when nobody asks it to.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "keeper/hold.h"
#include "keeper_rig_files.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <sys/wait.h>

#define MSEC(n) ((gint64)(n)*1000)
#define SOON_MS 4000 /* some ms on a machine that does nothing else; silence thaws after 5 s */

static void freezes_by_ranks_and_thaws_in_reverse(void)
{
    g_autoptr(Rig) rig = rig_new(6);
    static const uint32_t RANKS[] = {2, 0, 1, 0, 1, 2};
    gint64 last_frozen[3] = {0}, first_freeze[3], last_thawed[3] = {0}, first_thaw[3];
    KeeperMessage done;

    for (unsigned i = 0; i < 6; i++) {
        rig->ranks[i] = RANKS[i];
        rig_write(rig, i, ".inject", "freeze delay 20\nthaw delay 10\n");
    }
    for (unsigned i = 0; i < 3; i++)
        first_freeze[i] = first_thaw[i] = G_MAXINT64;
    rig_arm(rig);
    rig_ask_freeze(rig, RIG_LIMIT_US);
    done = rig_expect(rig, KEEPER_FREEZE_DONE);
    g_assert_cmpuint(done.count, ==, 6);
    g_assert_cmpint(done.error, ==, 0);
    g_assert_cmpuint(rig_count(rig, KEEPER_FROZE), ==, 6);
    for (unsigned i = 0; i < 6; i++) {
        g_assert_true(rig_frozen(rig, i));
        g_assert_cmpint(rig_state(rig, i), ==, KEEPER_FS_FROZEN);
        g_assert_cmpint(rig_seen(rig, KEEPER_FROZE, i)->duration_us, >=, 20000);
    }
    rig_ask(rig, KEEPER_THAW);
    done = rig_expect_thawed(rig);
    g_assert_cmpuint(done.count, ==, 6);
    g_assert_cmpuint(done.cause, ==, KEEPER_CAUSE_REQUEST);
    g_assert_cmpint(done.duration_us, >, 0);
    g_assert_cmpuint(rig_count(rig, KEEPER_THAWED), ==, 6);
    for (unsigned i = 0; i < 6; i++) {
        RigCall freeze = rig_call(rig, i, "freeze"), thaw = rig_call(rig, i, "thaw");
        unsigned rank = RANKS[i];

        g_assert_cmpuint(freeze.calls, ==, 1);
        g_assert_cmpuint(thaw.calls, ==, 1);
        g_assert_cmpint(rig_state(rig, i), ==, KEEPER_FS_THAWED);
        first_freeze[rank] = MIN(first_freeze[rank], freeze.start);
        last_frozen[rank] = MAX(last_frozen[rank], freeze.end);
        first_thaw[rank] = MIN(first_thaw[rank], thaw.start);
        last_thawed[rank] = MAX(last_thawed[rank], thaw.end);
    }
    for (unsigned rank = 0; rank < 2; rank++) {
        g_assert_cmpint(last_frozen[rank], <=, first_freeze[rank + 1]);
        g_assert_cmpint(last_thawed[rank + 1], <=, first_thaw[rank]);
    }
    g_assert_cmpuint(rig->ledger->thaw_cause, ==, KEEPER_CAUSE_REQUEST + 1);
    g_assert_cmpuint(rig->ledger->keeper_pid, ==, (unsigned)rig->pid);
    rig_disarm(rig);
}

static void one_rank_goes_in_parallel(void)
{
    g_autoptr(Rig) rig = rig_new(10);

    for (unsigned i = 0; i < 10; i++)
        rig_write(rig, i, ".inject", "freeze hang\n");
    rig_arm(rig);
    rig_ask_freeze(rig, RIG_LIMIT_US);
    for (unsigned i = 0; i < 10; i++)
        rig_await(rig, i, KEEPER_FS_IN_FLIGHT); /* and none can end */
    for (unsigned i = 0; i < 10; i++)
        rig_write(rig, i, ".release", "");
    g_assert_cmpuint(rig_expect(rig, KEEPER_FREEZE_DONE).count, ==, 10);
}

static unsigned in_flight(const Rig *rig)
{
    unsigned count = 0;

    for (unsigned i = 0; i < rig->count; i++)
        count += rig_state(rig, i) == KEEPER_FS_IN_FLIGHT;
    return count;
}

/* As many at once as there are workers for it, and the rest after them. */
static void more_than_there_are_workers(void)
{
    enum { COUNT = HOLD_SLOW_MAX + 16 };
    g_autoptr(Rig) rig = rig_new(COUNT);

    for (unsigned i = 0; i < COUNT; i++)
        rig_write(rig, i, ".inject", "freeze hang\n");
    rig_arm(rig);
    rig_ask_freeze(rig, RIG_LIMIT_US);
    for (unsigned n = 0; n < SOON_MS && in_flight(rig) < HOLD_SLOW_MAX; n++)
        g_usleep(1000);
    g_usleep(100000); /* for one that would be too many */
    g_assert_cmpuint(in_flight(rig), ==, HOLD_SLOW_MAX);
    for (unsigned i = 0; i < COUNT; i++)
        rig_write(rig, i, ".release", "");
    rig_expect(rig, KEEPER_FREEZE_DONE);
    for (unsigned i = 0; i < COUNT; i++)
        g_assert_cmpuint(rig_call(rig, i, "freeze").calls, ==, 1);
    rig_ask(rig, KEEPER_THAW);
    g_assert_cmpuint(rig_expect_thawed(rig).count, ==, COUNT);
    rig_disarm(rig);
}

static void an_error_stops_the_freeze(void)
{
    g_autoptr(Rig) rig = rig_new(3);
    KeeperMessage done;

    for (unsigned i = 0; i < 3; i++)
        rig->ranks[i] = i;
    rig_write(rig, 1, ".inject", "freeze EIO\n");
    rig_arm(rig);
    rig_ask_freeze(rig, RIG_LIMIT_US);
    done = rig_expect(rig, KEEPER_FREEZE_DONE);
    g_assert_cmpuint(done.count, ==, 1);
    g_assert_cmpint(done.error, ==, EIO);
    g_assert_cmpint(rig_seen(rig, KEEPER_FROZE, 1)->error, ==, EIO);
    g_assert_null(rig_seen(rig, KEEPER_FROZE, 2));
    g_assert_cmpuint(rig_call(rig, 2, "freeze").calls, ==, 0);
    g_assert_cmpint(rig_state(rig, 1), ==, KEEPER_FS_FAILED);
    g_assert_cmpint(rig_state(rig, 2), ==, KEEPER_FS_INTENDED);
    g_assert_true(rig_frozen(rig, 0)); /* held until the service asks */
    rig_ask(rig, KEEPER_THAW);
    g_assert_cmpuint(rig_expect_thawed(rig).count, ==, 1);
    g_assert_cmpuint(rig_call(rig, 1, "thaw").calls, ==, 0);
}

static void an_error_that_may_be_goes_on(void)
{
    g_autoptr(Rig) rig = rig_new(4);
    KeeperMessage done;

    for (unsigned i = 0; i < 4; i++)
        rig->ranks[i] = i;
    rig->flags[0] = KEEPER_FS_MAY_FAIL;
    rig->flags[2] = KEEPER_FS_SYNC_ONLY;
    rig_write(rig, 0, ".inject", "freeze EIO\n");
    rig_write(rig, 1, ".inject", "freeze EOPNOTSUPP\n"); /* a type without freeze is no error */
    rig_arm(rig);
    rig_ask_freeze(rig, RIG_LIMIT_US);
    done = rig_expect(rig, KEEPER_FREEZE_DONE);
    g_assert_cmpuint(done.count, ==, 1);
    g_assert_true(rig_frozen(rig, 3));
    g_assert_cmpint(rig_seen(rig, KEEPER_FROZE, 1)->error, ==, EOPNOTSUPP);
    g_assert_null(rig_seen(rig, KEEPER_FROZE, 2));
    g_assert_cmpuint(rig_call(rig, 2, "freeze").calls, ==, 0);
}

static void a_foreign_freeze_is_never_thawed(void)
{
    g_autoptr(Rig) rig = rig_new(2);

    rig->flags[0] = KEEPER_FS_MAY_FAIL;
    rig_write(rig, 0, ".frozen", "");
    rig_arm(rig);
    rig_freeze(rig);
    g_assert_cmpint(rig_seen(rig, KEEPER_FROZE, 0)->error, ==, EBUSY);
    g_assert_cmpint(rig_state(rig, 0), ==, KEEPER_FS_FOREIGN);
    rig_ask(rig, KEEPER_THAW);
    g_assert_cmpuint(rig_expect_thawed(rig).count, ==, 1);
    rig_disarm(rig);
    rig_hang_up(rig);
    g_assert_cmpint(rig_exit_status(rig, RIG_WAIT_MS), ==, 0);
    g_assert_true(rig_frozen(rig, 0));
    g_assert_cmpuint(rig_call(rig, 0, "thaw").calls, ==, 0);
}

/* The first THAW_DONE, and THAWED of two: of those it may have counted as pending yet. */
static KeeperMessage expect_the_thaw_of(Rig *rig, unsigned one, unsigned another)
{
    KeeperMessage message;

    while (rig_count(rig, KEEPER_THAW_DONE) == 0 || !rig_seen(rig, KEEPER_THAWED, one) ||
           !rig_seen(rig, KEEPER_THAWED, another))
        g_assert_true(rig_receive(rig, &message, RIG_WAIT_MS));
    return *rig_seen(rig, KEEPER_THAW_DONE, 0);
}

static void a_stuck_freeze_is_thawed_when_it_completes(void)
{
    g_autoptr(Rig) rig = rig_new(4);
    gint64 released;
    KeeperMessage done;

    rig->ranks[3] = 1;
    rig_write(rig, 1, ".inject", "freeze hang\n");
    rig_arm(rig);
    rig_ask_freeze(rig, RIG_LIMIT_US);
    rig_await(rig, 0, KEEPER_FS_FROZEN);
    rig_await(rig, 2, KEEPER_FS_FROZEN);
    g_assert_cmpint(rig_state(rig, 1), ==, KEEPER_FS_IN_FLIGHT);
    rig_ask(rig, KEEPER_THAW);
    g_assert_true(rig_thawed_within(rig, 0, SOON_MS));
    g_assert_true(rig_thawed_within(rig, 2, SOON_MS));
    g_assert_cmpint(rig_call(rig, 1, "freeze").calls, ==, 0);
    done = expect_the_thaw_of(rig, 0, 2);
    g_assert_cmpuint(done.count + done.pending, ==, 3);
    g_assert_cmpuint(done.pending, >=, 1);
    g_assert_null(rig_seen(rig, KEEPER_THAWED, 1));

    released = g_get_monotonic_time();
    rig_write(rig, 1, ".release", "");
    done = rig_expect(rig, KEEPER_THAW_DONE);
    g_assert_cmpuint(done.count, ==, 3);
    g_assert_cmpuint(done.pending, ==, 0);
    g_assert_cmpint(rig_call(rig, 1, "thaw").end - released, <, MSEC(SOON_MS));
    g_assert_cmpint(rig_seen(rig, KEEPER_THAWED, 1)->error, ==, 0);
    g_assert_cmpint(rig_state(rig, 1), ==, KEEPER_FS_THAWED);
    g_assert_cmpuint(rig_call(rig, 3, "freeze").calls, ==, 0); /* none was begun any more */
    g_assert_cmpuint(rig_count(rig, KEEPER_FREEZE_DONE), ==, 0);
}

/* What fanotify listeners and loop devices do: it completes only when others are thawed. */
static void thawing_the_others_frees_a_stuck_one(void)
{
    g_autoptr(Rig) rig = rig_new(3);

    rig_write(rig, 2, ".inject", "freeze hang-until-other-thaw\n");
    rig_arm(rig);
    rig_ask_freeze(rig, 2000000);
    g_assert_cmpuint(rig_expect_thawed(rig).cause, ==, KEEPER_CAUSE_LIMIT);
    for (unsigned i = 0; i < 3; i++)
        g_assert_false(rig_frozen(rig, i));
    g_assert_cmpint(rig_seen(rig, KEEPER_THAWED, 2)->error, ==, 0);
}

static void a_late_level_does_not_hold_up_the_next(void)
{
    g_autoptr(Rig) rig = rig_new(3);
    KeeperMessage done;
    gint64 asked;

    rig->ranks[1] = 1;
    rig->ranks[2] = 2;
    rig_write(rig, 2, ".inject", "thaw hang\n");
    rig_arm(rig);
    rig_freeze(rig);
    asked = g_get_monotonic_time();
    rig_ask(rig, KEEPER_THAW);
    done = expect_the_thaw_of(rig, 0, 1);
    g_assert_cmpint(rig_call(rig, 1, "thaw").start - asked, >=, KEEPER_LEVEL_WAIT_US);
    g_assert_cmpint(rig_call(rig, 0, "thaw").end - asked, <, KEEPER_LEVEL_WAIT_US + MSEC(SOON_MS));
    g_assert_cmpuint(done.count + done.pending, ==, 3);
    g_assert_cmpuint(done.pending, >=, 1);
    rig_write(rig, 2, ".release", "");
    g_assert_cmpuint(rig_expect(rig, KEEPER_THAW_DONE).pending, ==, 0);
}

/* A storage that died under more filesystems than there are workers. */
static void stuck_thaws_do_not_use_up_the_workers(void)
{
    enum { STUCK = HOLD_SLOW_MAX + HOLD_THAW_KEPT + 16, COUNT = STUCK + 1 };
    g_autoptr(Rig) rig = rig_new(COUNT);

    for (unsigned i = 1; i < COUNT; i++)
        rig_write(rig, i, ".inject", "thaw hang\n");
    for (unsigned i = 2; i < COUNT; i++)
        rig->ranks[i] = i < COUNT / 2 ? 1 : 2;
    rig_arm(rig);
    rig_freeze(rig);
    rig_ask(rig, KEEPER_THAW);
    g_assert_true(rig_thawed_within(rig, 0, 1500));
    for (unsigned i = 1; i < COUNT; i++)
        rig_write(rig, i, ".release", "");
    rig_expect_thawed(rig);
    rig_disarm(rig);
}

static void a_failing_thaw_is_repeated(void)
{
    g_autoptr(Rig) rig = rig_new(3);
    g_autofree char *third = rig_path(rig, 2, ".frozen");
    KeeperMessage done;

    rig_write(rig, 0, ".inject", "thaw EIO 2\n");
    rig_write(rig, 1, ".inject", "thaw EIO\n");
    rig_arm(rig);
    rig_freeze(rig);
    g_assert_cmpint(g_unlink(third), ==, 0);
    rig_ask(rig, KEEPER_THAW);
    done = expect_the_thaw_of(rig, 0, 1);
    g_assert_cmpuint(done.pending, >=, 1);
    g_assert_cmpint(rig_seen(rig, KEEPER_THAWED, 0)->error, ==, 0);
    g_assert_cmpint(rig_seen(rig, KEEPER_THAWED, 1)->error, ==, EIO);
    g_assert_cmpint(rig_seen(rig, KEEPER_THAWED, 2)->error, ==, EINVAL); /* by somebody else */
    g_assert_cmpint(rig_state(rig, 2), ==, KEEPER_FS_THAWED);
    g_assert_cmpint(rig_state(rig, 1), ==, KEEPER_FS_FROZEN);
    rig_write(rig, 1, ".inject", "");
    rig_expect_thawed(rig);
    g_assert_cmpint(rig_state(rig, 1), ==, KEEPER_FS_THAWED);
    g_assert_cmpuint(rig_count(rig, KEEPER_THAWED), ==, 4); /* failed once, and then not */
}

/* --- nobody asks --- */

static void the_limit_thaws(void)
{
    enum { LIMIT_US = 2000000 };
    g_autoptr(Rig) rig = rig_new(5);
    gint64 asked, last = 0;
    KeeperMessage done;

    rig_arm(rig);
    asked = g_get_monotonic_time();
    rig_ask_freeze(rig, LIMIT_US);
    rig_expect(rig, KEEPER_FREEZE_DONE);
    done = rig_expect_thawed(rig);
    g_assert_cmpuint(done.cause, ==, KEEPER_CAUSE_LIMIT);
    g_assert_cmpuint(done.count, ==, 5);
    for (unsigned i = 0; i < 5; i++) {
        gint64 thawed = rig_call(rig, i, "thaw").end - asked;

        last = MAX(last, asked + thawed);
        g_assert_cmpint(thawed, >=, LIMIT_US);
        g_assert_cmpint(thawed, <, LIMIT_US + MSEC(SOON_MS));
    }
    g_test_message("limit to last thaw: %" G_GINT64_FORMAT " us", last - asked - LIMIT_US);
    /* The host's thaw that comes too late is told the true cause. */
    rig_ask(rig, KEEPER_THAW);
    done = rig_expect(rig, KEEPER_THAW_DONE);
    g_assert_cmpuint(done.cause, ==, KEEPER_CAUSE_LIMIT);
    g_assert_cmpuint(rig->ledger->thaw_cause, ==, KEEPER_CAUSE_LIMIT + 1);
    rig_ask_freeze(rig, RIG_LIMIT_US);
    rig_refused(rig, EALREADY);
}

static void a_paused_machine_gets_grace(void)
{
    g_autoptr(Rig) rig = NULL;

    g_setenv("QUIESCED_FAKE_LATE_MS", "100", TRUE);
    g_setenv("QUIESCED_FAKE_GRACE_MS", "2500", TRUE);
    rig = rig_new(2);
    g_unsetenv("QUIESCED_FAKE_LATE_MS");
    g_unsetenv("QUIESCED_FAKE_GRACE_MS");
    rig_arm(rig);
    rig_ask_freeze(rig, 1500000);
    rig_expect(rig, KEEPER_FREEZE_DONE);
    kill(rig->pid, SIGSTOP);
    g_usleep(2000000);
    kill(rig->pid, SIGCONT);
    g_usleep(200000);
    g_assert_true(rig_frozen(rig, 0));
    g_assert_cmpuint(rig_expect_thawed(rig).cause, ==, KEEPER_CAUSE_LIMIT);
    g_assert_false(rig_frozen(rig, 0));
}

static void silence_thaws_and_any_message_breaks_it(void)
{
    g_autoptr(Rig) rig = NULL;
    KeeperMessage done;

    g_setenv("QUIESCED_FAKE_TICK_MS", "200", TRUE);
    rig = rig_new(2);
    g_unsetenv("QUIESCED_FAKE_TICK_MS");
    rig_arm(rig);
    g_usleep(2500000); /* nothing is held yet: silence is no reason to give up */
    rig_freeze(rig);
    for (unsigned i = 0; i < 5; i++) {
        g_usleep(500000);
        rig_ask(rig, KEEPER_BEAT);
        rig_expect(rig, KEEPER_BEAT);
    }
    g_assert_true(rig_frozen(rig, 0));
    while ((done = rig_expect(rig, KEEPER_THAW_DONE)).pending > 0)
        continue;
    g_assert_cmpuint(done.cause, ==, KEEPER_CAUSE_SILENCE);
    g_assert_false(rig_frozen(rig, 0));
    rig_disarm(rig); /* the connection is still there */
}

static void end_of_file_thaws(void)
{
    g_autoptr(Rig) rig = rig_new(5);
    gint64 closed;

    rig_arm(rig);
    rig_freeze(rig);
    closed = g_get_monotonic_time();
    rig_hang_up(rig);
    g_assert_cmpint(rig_exit_status(rig, RIG_WAIT_MS), ==, 0);
    for (unsigned i = 0; i < 5; i++) {
        g_assert_false(rig_frozen(rig, i));
        g_assert_cmpint(rig_call(rig, i, "thaw").end - closed, <, MSEC(SOON_MS));
        g_assert_cmpint(rig_state(rig, i), ==, KEEPER_FS_THAWED);
    }
    g_assert_cmpuint(rig->ledger->thaw_cause, ==, KEEPER_CAUSE_EOF + 1);
}

static void end_of_file_waits_for_a_stuck_freeze(void)
{
    g_autoptr(Rig) rig = rig_new(2);

    rig_write(rig, 1, ".inject", "freeze hang\n");
    rig_arm(rig);
    rig_ask_freeze(rig, RIG_LIMIT_US);
    rig_await(rig, 0, KEEPER_FS_FROZEN);
    rig_hang_up(rig);
    g_assert_true(rig_thawed_within(rig, 0, SOON_MS));
    g_assert_cmpint(rig_exit_status(rig, 300), ==, -1);
    rig_write(rig, 1, ".release", "");
    g_assert_cmpint(rig_exit_status(rig, RIG_WAIT_MS), ==, 0);
    g_assert_cmpuint(rig_call(rig, 1, "thaw").calls, ==, 1);
    g_assert_false(rig_frozen(rig, 1));
}

static void what_was_said_before_the_end_is_not_obeyed(void)
{
    g_autoptr(Rig) rig = rig_new(1);

    rig_arm(rig);
    kill(rig->pid, SIGSTOP);
    /* The signal alone is not enough: it would still read what comes before it stops. */
    g_assert_cmpint(waitpid(rig->pid, NULL, WUNTRACED), ==, rig->pid);
    rig_ask_freeze(rig, RIG_LIMIT_US);
    rig_hang_up(rig);
    kill(rig->pid, SIGCONT);
    g_assert_cmpint(rig_exit_status(rig, RIG_WAIT_MS), ==, 0);
    g_assert_cmpuint(rig_call(rig, 0, "freeze").calls, ==, 0);
}

static void stop_thaws_tells_and_ends(void)
{
    g_autoptr(Rig) rig = rig_new(3);

    rig_arm(rig);
    rig_freeze(rig);
    kill(rig->pid, SIGHUP); /* means nothing */
    g_usleep(20000);
    g_assert_true(rig_frozen(rig, 0));
    kill(rig->pid, SIGTERM);
    g_assert_cmpuint(rig_expect_thawed(rig).cause, ==, KEEPER_CAUSE_STOP);
    g_assert_cmpint(rig_exit_status(rig, RIG_WAIT_MS), ==, 0);
    for (unsigned i = 0; i < 3; i++)
        g_assert_false(rig_frozen(rig, i));
    g_assert_cmpuint(rig->ledger->thaw_cause, ==, KEEPER_CAUSE_STOP + 1);
}

static void killed_it_leaves_a_true_ledger(void)
{
    g_autoptr(Rig) rig = rig_new(3);

    rig->ranks[1] = rig->ranks[2] = 1;
    rig_write(rig, 2, ".inject", "freeze hang\n");
    rig_arm(rig);
    rig_ask_freeze(rig, RIG_LIMIT_US);
    rig_await(rig, 1, KEEPER_FS_FROZEN);
    rig_await(rig, 2, KEEPER_FS_IN_FLIGHT);
    kill(rig->pid, SIGKILL);
    g_assert_cmpint(rig_exit_status(rig, RIG_WAIT_MS), ==, 128 + SIGKILL);
    g_assert_cmpint(rig_state(rig, 0), ==, KEEPER_FS_FROZEN);
    g_assert_cmpint(rig_state(rig, 1), ==, KEEPER_FS_FROZEN);
    g_assert_cmpint(rig_state(rig, 2), ==, KEEPER_FS_IN_FLIGHT);
    g_assert_true(rig_frozen(rig, 0));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/keeper/freezes_by_ranks_and_thaws_in_reverse",
                    freezes_by_ranks_and_thaws_in_reverse);
    g_test_add_func("/keeper/one_rank_goes_in_parallel", one_rank_goes_in_parallel);
    g_test_add_func("/keeper/more_than_there_are_workers", more_than_there_are_workers);
    g_test_add_func("/keeper/an_error_stops_the_freeze", an_error_stops_the_freeze);
    g_test_add_func("/keeper/an_error_that_may_be_goes_on", an_error_that_may_be_goes_on);
    g_test_add_func("/keeper/a_foreign_freeze_is_never_thawed", a_foreign_freeze_is_never_thawed);
    g_test_add_func("/keeper/a_stuck_freeze_is_thawed_when_it_completes",
                    a_stuck_freeze_is_thawed_when_it_completes);
    g_test_add_func("/keeper/thawing_the_others_frees_a_stuck_one",
                    thawing_the_others_frees_a_stuck_one);
    g_test_add_func("/keeper/a_late_level_does_not_hold_up_the_next",
                    a_late_level_does_not_hold_up_the_next);
    g_test_add_func("/keeper/stuck_thaws_do_not_use_up_the_workers",
                    stuck_thaws_do_not_use_up_the_workers);
    g_test_add_func("/keeper/a_failing_thaw_is_repeated", a_failing_thaw_is_repeated);
    g_test_add_func("/keeper/the_limit_thaws", the_limit_thaws);
    g_test_add_func("/keeper/a_paused_machine_gets_grace", a_paused_machine_gets_grace);
    g_test_add_func("/keeper/silence_thaws_and_any_message_breaks_it",
                    silence_thaws_and_any_message_breaks_it);
    g_test_add_func("/keeper/end_of_file_thaws", end_of_file_thaws);
    g_test_add_func("/keeper/end_of_file_waits_for_a_stuck_freeze",
                    end_of_file_waits_for_a_stuck_freeze);
    g_test_add_func("/keeper/what_was_said_before_the_end_is_not_obeyed",
                    what_was_said_before_the_end_is_not_obeyed);
    g_test_add_func("/keeper/stop_thaws_tells_and_ends", stop_thaws_tells_and_ends);
    g_test_add_func("/keeper/killed_it_leaves_a_true_ledger", killed_it_leaves_a_true_ledger);
    return g_test_run();
}
