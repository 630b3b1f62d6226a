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

#include "base/text.h"
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

/* One request; its address names it. */
typedef struct {
    Rig *rig;
    unsigned calls, turn; /* turn: which answer of the rig it was, from 1 */
    AnswerKind kind;
    char text[TEXT_LINE_MAX + 1];
    unsigned count;
    bool held;
    int64_t asked_us, took_us;
} Reply;

Rig *rig_new(const char *filesystems); /* "a b"; not started */
void rig_free(Rig *rig);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Rig, rig_free)
void rig_start(Rig *rig);       /* a coordinator with a connected keeper */
void rig_start_early(Rig *rig); /* the same; the keeper may not be there yet */
void rig_stop(Rig *rig);        /* coordinator_stop(); rig->stopped when done */
void rig_settle(Rig *rig);      /* until nothing is left to be released */
void rig_end(Rig *rig);         /* settles, then frees the coordinator as if the service ended */

/* Body of a hook: at `verb` it stands still until the file go-VERB exists; not for ever, should the
 * test have failed meanwhile. */
#define RIG_STANDS_AT(verb)                                                                        \
    "[ $1 != " verb " ] || for n in $(seq 3000); do [ ! -e go-$1 ] || break; sleep 0.01; done\n"
/* A script that appends "NAME VERB" to hook.log, then runs `body` in rig->root. */
void rig_hook(const Rig *rig, const char *name, const char *body);
void rig_hook_conf(const Rig *rig, const char *name, const char *conf);
char *rig_hooks(const Rig *rig); /* what was called, ", " between */
bool rig_called(const Rig *rig, const char *call);
void rig_write(const Rig *rig, const char *path, const char *text);
char *rig_path(const Rig *rig, const char *path);
char *rig_text(const Rig *rig, const char *path); /* "" when it is not there */
void rig_write_program(const Rig *rig, const char *path, const char *text);
bool rig_exists(const Rig *rig, const char *path);
char *rig_calls(const Rig *rig, const char *filesystem); /* "sync freeze thaw" */
bool rig_frozen(const Rig *rig);                         /* any of the filesystems */

void rig_freeze(Rig *rig, const FreezeRequest *request, Reply *reply); /* NULL: a plain one */
void rig_thaw(Rig *rig, Reply *reply);
void rig_thaw_by(Rig *rig, const char *operation, bool verdict_as_data, Reply *reply);
void rig_hold(Rig *rig);                           /* a freeze that must succeed, answer included */
void rig_told_once(Rig *rig, const char *pattern); /* a thaw gets the verdict, the next one 0 */
void rig_thaws(Rig *rig, unsigned count);          /* a thaw that must succeed */
/* The timer will fire `after_us` from now, a second sooner at most. */
void rig_due_in(GSource *timer, int64_t after_us);
void rig_fires_after(GSource *timer, int64_t after_us); /* and now it does at once */
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
#define rig_answered(rig, reply) rig_await(rig, (reply)->calls > 0)

void assert_ok(const Reply *reply, unsigned count);
void assert_failed(const Reply *reply, const char *text);
void assert_failed_like(const Reply *reply, const char *pattern); /* of the whole text */
void assert_hooks(const Rig *rig, const char *expected);
