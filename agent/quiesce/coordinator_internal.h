/*
 * coordinator_internal: what the coordinator's files share: coordinator.c (requests and state),
 * coordinator_thaw.c (thaws), operation.c (prepare and freeze), release.c (thaw, roll back, loss),
 * recovery.c, status_json.c.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "quiesce/coordinator_state.h"
#include "quiesce/operation_steps.h"

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

/* complete.c: before the operation is freed; takes its participants. */
void coordinator_keep_for_verdict(Coordinator *coordinator, Operation *operation);

/* hold.c */
void coordinator_verify_holds(Coordinator *coordinator); /* in FROZEN; else nothing */

/* release.c */
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
