/*
 * coordinator_internal: what the coordinator's files share: coordinator.c (requests and state),
 * coordinator_thaw.c (thaws), operation.c (prepare and freeze), release.c (thaw, roll back, loss),
 * recovery.c, status_json.c.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "quiesce/archive.h"
#include "quiesce/completion.h"
#include "quiesce/coordinator.h"
#include "quiesce/sequence.h"
#include "quiesce/unfreeze.h"
#include "sys/ledger_kept.h"

typedef struct {
    ReportParticipant *entry;
    unsigned step;   /* of the call under way */
    bool called;     /* got prepare or freeze: is owed a thaw or abort */
    bool failed;     /* got abort instead of thaw, no further verb before */
    bool held;       /* its freeze (or prepare, when it wants no freeze) succeeded */
    bool letting_go; /* thaw or abort was called */
    bool released;
} Member;

typedef struct {
    Coordinator *owner;
    Report *report;
    char **requested;   /* mount points asked for; NULL: all */
    char **mountpoints; /* being frozen */
    int64_t limit_us;
    int level_wanted;
    Survey *survey;
    Offload *surveying;
    GPtrArray *participants; /* Participant *, owned; same index as members and the ledger */
    Member *members;
    Sequence *sequence;
    FsStage *stage;
    Unfreeze *unfreeze; /* instead of a stage, in recovery */
    GSource *unfreeze_wait;
    bool opened, syncing, members_prepared, sync_is_fresh, prepared;
    bool laid_out;      /* in the ledger */
    bool frozen;        /* HELD was reached */
    bool empty;         /* nothing holds: answered 0 */
    bool releasing;     /* release began */
    bool abort;         /* release by abort instead of thaw */
    bool stage_thawed;  /* as far as participants wait for it */
    bool stage_settled; /* nothing is pending in the kernel */
    bool members_released;
    int64_t freezing_us, frozen_us, release_us; /* CLOCK_MONOTONIC; 0: not yet */
    char *error;                                /* of the freeze, ready for the host */
    unsigned error_more;
    GSource *settle; /* operation_settle() under way; never from within a callback of a part */
    bool told;       /* EVENT_RELEASED was sent for it */
    bool recorded;   /* is in the history */
} Operation;

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

/* coordinator.c */
MachineAction coordinator_event(Coordinator *coordinator, MachineEvent event);
void coordinator_changed(Coordinator *coordinator);
void coordinator_answer_freeze(Coordinator *coordinator, const Answer *answer);
void coordinator_answer_error(Coordinator *coordinator, const char *text);
void coordinator_answer_thaws(Coordinator *coordinator, const Answer *answer);
/* The one error text: "quiesce failed: NAME: PHASE: REASON (and N more)", at most TEXT_LINE_MAX. */
char *coordinator_error_text(const char *name, const char *phase, const char *reason,
                             unsigned more);
/* `head` as one line with that tail. */
char *coordinator_error_line(const char *head, unsigned more);
char *coordinator_still_running_text(Coordinator *coordinator, const char *phase, bool host_waits);
void coordinator_refuse(Coordinator *coordinator, AnswerFunc answer, gpointer user_data);
void coordinator_ask_again(Coordinator *coordinator, bool cancelled);
void coordinator_roll_back(Coordinator *coordinator);
/* Surveys the waiting operation if nothing stands in its way any more. */
void coordinator_proceed(Coordinator *coordinator);
void coordinator_prepared(Coordinator *coordinator); /* operation.c: both lines are done */
/* Until when filesystems may go on freezing before the waiting host must be answered. */
Deadline coordinator_freezing_deadline(const Coordinator *coordinator);

/* coordinator_thaw.c: the operation is released */
void coordinator_answer_local(Coordinator *coordinator, Operation *operation);
void coordinator_forget_local_loss(Coordinator *coordinator, Operation *operation);

/* finish.c */
void coordinator_answer_frozen(Coordinator *coordinator);
void coordinator_finish(Coordinator *coordinator);
/* NULL, or why a thaw of it must not be answered with success yet. */
char *coordinator_unthawed_text(const Operation *operation);

/* operation_life.c */
Operation *operation_new(Coordinator *coordinator, const FreezeRequest *request);
void operation_free(Operation *operation);
void operation_record(Operation *operation); /* into the history, once */
void operation_survey(Operation *operation);
void operation_freeze(Operation *operation);
void operation_check_prepared(Operation *operation);
void operation_rejoin(Operation *operation);
void operation_fail(Operation *operation, const char *name, const char *phase, const char *reason,
                    unsigned more);
const char *operation_waiting_for(const Operation *operation); /* a name, for error texts */
const char *operation_straggling(const Operation *operation);  /* who is not released yet */
unsigned operation_holding(const Operation *operation);        /* filesystems and participants */
unsigned operation_count(const Operation *operation);          /* what hosts are told */

/* complete.c: before the operation is freed; takes its participants. */
void coordinator_keep_for_verdict(Coordinator *coordinator, Operation *operation);

/* hold.c */
/* Participant.lost of every participant of an operation. */
void operation_hold_lost(Participant *participant, const StepOutcome *outcome, gpointer user_data);
void coordinator_verify_holds(Coordinator *coordinator); /* in FROZEN; else nothing */

/* release.c */
void operation_release(Operation *operation, bool abort);
void operation_stage_thawed(Operation *operation);
void operation_stage_settled(Operation *operation);
void operation_settle(Operation *operation);
void coordinator_note_loss(Coordinator *coordinator, ReportEndedBy ended_by, const char *reason);
char *coordinator_verdict_text(const Coordinator *coordinator);
/* `told`: to the host; else its time is over, or a new freeze has made it moot. */
void coordinator_consume_verdict(Coordinator *coordinator, bool told);
void coordinator_watch_window(Coordinator *coordinator);

int64_t coordinator_boottime_us(void);

/* recovery.c */
void coordinator_recover(Coordinator *coordinator);
void coordinator_emergency(Coordinator *coordinator);   /* the last rung, where it is allowed */
void coordinator_drop_stored(Coordinator *coordinator); /* here and with the service manager */

/* recovery_report.c: of the ledger's last operation. */
Report *recovery_report(const Ledger *ledger);                          /* owned by the caller */
void recovery_report_filesystems(Report *report, const Ledger *ledger); /* as they are now */
/* How it ended, as the ledger has it; false: it did not. The report of a verdict that is still to
 * be told becomes the verdict's. */
bool recovery_report_ended(Coordinator *coordinator, Report *report);
