/*
 * coordinator_rig: a coordinator with invented mounts, real hook scripts, and a keeper that cannot
 * freeze (tests/fake/keeper_fake_ops.c). For the tests of the coordinator only.
 *
 * Everything is below rig->root: fs/NAME are the "filesystems", hooks/ the scripts, hook.log what
 * was called; a file keeper-late or keeper-mute makes the next keeper come late or say nothing.
 * rig_free() waits until nothing is left of any operation and fails the test when something is
 * frozen then, or when the coordinator logged a defect.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "quiesce/coordinator_internal.h"

#define RIG_WAIT_US (20 * USEC_PER_SEC) /* for what must happen; only a failure takes so long */

#define MSEC(n) ((n)*USEC_PER_MSEC)

typedef struct {
    char *root;
    GPtrArray *filesystems; /* names */
    GPtrArray *kept;
    Config *config;
    HostProfile profile;
    Log *log;
    int journal;
    Ledger *ledger;
    Coordinator *coordinator;
    GString *states; /* entered, ", " between */
    unsigned answers;
    guint ticker;
    bool stopped, is_victim;
    pid_t victim;
} Rig;

Rig *rig_new(const char *filesystems); /* "a b"; not started */
void rig_free(Rig *rig);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Rig, rig_free)
void rig_start(Rig *rig);       /* a coordinator with a connected keeper */
void rig_start_early(Rig *rig); /* the same; the keeper may not be there yet */
void rig_stop(Rig *rig);        /* coordinator_stop(); rig->stopped when done */
void rig_settle(Rig *rig);      /* until nothing is left to be released */
void rig_end(Rig *rig);         /* settles, then frees the coordinator as if the service ended */

/* The timer will fire `after_us` from now, a second sooner at most. */
void rig_due_in(GSource *timer, int64_t after_us);
void rig_fires_after(GSource *timer, int64_t after_us); /* and now it does at once */
void rig_fires_in(GSource *timer, int64_t left_us);     /* whenever it was to */
pid_t rig_keeper(const Rig *rig);                       /* the last one started */
void rig_signal_keeper(const Rig *rig, int signal);
const Report *rig_report(Rig *rig); /* of the newest operation that ended */

/* A service in a process of its own, to be killed: `act` runs there, then its main loop. Only where
 * no coordinator has run before. */
void rig_victim(Rig *rig, void (*act)(Rig *rig), const char *until_state);
bool rig_victim_is(const Rig *rig, const char *state);
void rig_kill_victim(Rig *rig);

void rig_turn(Rig *rig); /* one turn of the main loop, 5 ms at most */
#define rig_await(rig, condition)                                                                  \
    do {                                                                                           \
        Deadline rig_end_ = deadline_in(RIG_WAIT_US);                                              \
        while (!(condition) && !deadline_passed(rig_end_))                                         \
            rig_turn(rig);                                                                         \
        g_assert_true(condition);                                                                  \
    } while (0)
