/*
 * coordinator_state: what the coordinator knows between two events.
 *
 * For the coordinator's files, and tests of them.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "quiesce/archive.h"
#include "quiesce/completion.h"
#include "quiesce/coordinator_view.h"
#include "quiesce/operation.h"
#include "sys/ledger_kept.h"

typedef struct {
    AnswerFunc func;
    gpointer user_data;
    bool as_data;
} Waiter;

struct Coordinator {
    CoordinatorSpec spec;
    Keeper *keeper;
    MachineState state;
    Operation *operation; /* the one the state speaks of; NULL in THAWED and, released, in LOST */
    Operation *straggler; /* released past its budget, still not gone */
    Waiter waiter;        /* of the freeze; func NULL: nobody */
    Deadline reply_deadline;
    int64_t reply_asked_us, reply_budget_us;
    GArray *thaw_waiters;  /* Waiter */
    GArray *local_waiters; /* Waiter: thaws that end a freeze of the host */
    ParticipantSource source;
    GSource *reply_timer, *budget_timer, *join_timer, *release_timer, *limit_timer, *window_timer,
        *keeper_timer;
    int64_t limit_at_us; /* of limit_timer, CLOCK_MONOTONIC */
    bool limit_extended;
    History *history;
    Metrics metrics;
    Archive *archive;
    Completion *completion; /* of the last operation that was held; NULL: none */
    bool verdict;           /* pending; text in the ledger */
    LedgerVerdict verdict_data;
    Report *verdict_report; /* of the lost operation, NULL after a restart */
    bool starting;          /* a straggler has to go, or the keeper to come, before the survey */
    bool recovering;
    GArray *stops; /* CoordinatorStop; NULL: nobody waits for the release */
};

/* Who asked for a stop: the service that ends, the host that shuts the machine down. */
typedef struct {
    void (*done)(gpointer user_data);
    gpointer user_data;
} CoordinatorStop;
