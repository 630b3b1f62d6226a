/*
 * operation_steps: what the coordinator's files do to an operation, and what they ask of it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "quiesce/operation.h"

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

/* hold.c */
/* Participant.lost of every participant of an operation. */
void operation_hold_lost(Participant *participant, const StepOutcome *outcome, gpointer user_data);

/* release.c */
void operation_release(Operation *operation, bool abort);
void operation_stage_thawed(Operation *operation);
void operation_stage_settled(Operation *operation);
void operation_settle(Operation *operation);
