/*
 * coordinator_requests: freezes and thaws, and what else ends an operation.
 *
 * Each freeze and each thaw is answered exactly once, from the main loop, possibly from within the
 * call.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "quiesce/coordinator.h"
#include "quiesce/report.h"

typedef struct {
    const char *channel; /* NULL: local */
    char **mountpoints;  /* NULL: all; borrowed */
    int64_t limit_us;    /* 0: configured */
    int64_t budget_us;   /* 0: reply budget of the profile */
    int level;           /* Level demanded, -1: none */
    bool rehearsal;      /* all participants, no filesystem */
} FreezeRequest;

typedef enum {
    ANSWER_OK,
    ANSWER_ERROR,  /* text */
    ANSWER_FROZEN, /* a freeze while frozen: the stock refusal */
} AnswerKind;

typedef struct {
    AnswerKind kind;
    const char *text;
    unsigned count;
    Report *report; /* of the operation, borrowed; NULL: none */
    bool held;      /* thaw: held from freeze until now */
} Answer;

typedef void (*AnswerFunc)(const Answer *answer, gpointer user_data);

/* `user_data` also names the request for coordinator_detach(). */
void coordinator_freeze(Coordinator *coordinator, const FreezeRequest *request, AnswerFunc answer,
                        gpointer user_data);
/* `operation` NULL: whichever. `verdict_as_data`: a pending verdict is an ANSWER_OK with held
 * false instead of an error (guest-quiesce-thaw); either way it is consumed. */
void coordinator_thaw(Coordinator *coordinator, const char *operation, bool verdict_as_data,
                      AnswerFunc answer, gpointer user_data);
/* Somebody in the machine, user `uid`, ends what is under way. A freeze of the host is lost by that
 * and the host is told; the answer comes when all is released, its `held` is only true for a local
 * freeze that held. */
void coordinator_thaw_local(Coordinator *coordinator, const char *operation, uid_t uid,
                            AnswerFunc answer, gpointer user_data);
/* Nobody waits any more: the freeze is answered (cancelled) and rolled back, a preparation goes on.
 * `gone`: the answer must not be given, its channel is no more (for freezes and thaws alike). */
void coordinator_detach(Coordinator *coordinator, gpointer user_data, bool gone);
/* Releases everything because the service must end; `done` when it is, within abort-budget. */
void coordinator_stop(Coordinator *coordinator, ReportEndedBy ended_by, const char *reason,
                      void (*done)(gpointer user_data), gpointer user_data);

/* The freeze must end now, other than by the host's thaw; nothing happens where none is under way.
 */
void coordinator_lose(Coordinator *coordinator, ReportEndedBy ended_by, const char *reason);

/* The host's verdict on the snapshot of an operation that was held, once, within COMPLETION_US of
 * its end; participants that want it are called. */
bool coordinator_complete(Coordinator *coordinator, const char *operation, bool success,
                          GError **error);
