/*
 * coordinator: carries out quiesces. The one place that owns the state, the budgets and the
 * verdict.
 *
 * At most one operation at a time, plus the stragglers of the one before. Requests come from the
 * commands layer (and later the bus), each is answered exactly once, from the main loop, possibly
 * from within the call. Nothing here blocks: participants, keeper and threads report back.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/config.h"
#include "base/log.h"
#include "quiesce/filesystems.h"
#include "quiesce/machine.h"
#include "quiesce/profile.h"
#include "quiesce/report.h"
#include "quiesce/survey.h"
#include "quiesce/warnings.h"
#include "sys/fdstore.h"

#define COORDINATOR_JOIN_US    (15 * USEC_PER_SEC) /* a finished preparation waits this long */
#define COORDINATOR_PRESYNC_US (20 * USEC_PER_SEC) /* pre-sync at most; the budget may say less */
/* A keeper that is being started (boot, restart) answers within this; a freeze waits so long. */
#define COORDINATOR_KEEPER_US   (5 * USEC_PER_SEC)
#define COORDINATOR_WAITERS_MAX 64u /* thaws waiting for one release; more are refused */
#define COORDINATOR_GRACE_US    KEEPER_GRACE_US

typedef struct Coordinator Coordinator;

typedef struct {
    Log *log;
    Ledger *ledger; /* NULL: could not be opened; then unable */
    const char *ledger_error;
    FdStore *store;  /* takes the filesystems' fds for the next start; NULL: nobody does */
    int *stored_fds; /* of the start before, by ledger index, -1: none; closed when not needed */
    unsigned n_stored_fds;
    const char *keeper_socket, *keeper_program;
    SurveyPaths paths;
    const char *runtime_dir;
    const char *state_dir; /* keeps the history over restarts; NULL: it is not kept */
    bool check_mount_id;
    const HostProfile *profile;
    const Config *config; /* borrowed; replaced by coordinator_set_config() */
    /* Told after every change of the state, and when ready/unready changes. */
    void (*changed)(gpointer user_data);
    gpointer user_data;
} CoordinatorSpec;

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

Coordinator *coordinator_new(const CoordinatorSpec *spec);
void coordinator_free(Coordinator *coordinator);
/* Recovers what the ledger says a predecessor left behind, then connects to the keeper. */
void coordinator_start(Coordinator *coordinator);
/* Nothing of an operation is left to be released. */
bool coordinator_is_clear(const Coordinator *coordinator);
void coordinator_set_config(Coordinator *coordinator, const Config *config,
                            const HostProfile *profile);

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

/* Where participants come from besides the hook directories; asked at each operation. */
void coordinator_set_source(Coordinator *coordinator, const ParticipantSource *source);
GPtrArray *coordinator_participants(const Coordinator *coordinator); /* Participant *, new ones */
/* Of the operation under way; NULL: none. */
const Report *coordinator_report(const Coordinator *coordinator);
int64_t coordinator_frozen_us(const Coordinator *coordinator); /* since when; 0: not */
MachineState coordinator_state(const Coordinator *coordinator);
const char *coordinator_fsfreeze_status(const Coordinator *coordinator); /* "frozen", "thawed" */
bool coordinator_verdict_pending(const Coordinator *coordinator);
bool coordinator_ready(const Coordinator *coordinator, const char **ret_reason);
/* Writes what is to be kept; `done` once, within ARCHIVE_FLUSH_US. */
void coordinator_save(Coordinator *coordinator, void (*done)(gpointer user_data),
                      gpointer user_data);
char *coordinator_metrics_text(const Coordinator *coordinator); /* OpenMetrics */
/* The host's verdict on the snapshot of an operation that was held, once, within COMPLETION_US of
 * its end; participants that want it are called. */
bool coordinator_complete(Coordinator *coordinator, const char *operation, bool success,
                          GError **error);
History *coordinator_history(Coordinator *coordinator);
bool coordinator_commands_limited(const Coordinator *coordinator); /* disks must not be touched */
int64_t coordinator_reply_budget(const Coordinator *coordinator);
int64_t coordinator_frozen_limit(const Coordinator *coordinator); /* of the operation under way */
/* The limit a freeze gets that asks for `wanted_us` (0: nothing): see hungtask.h. */
int64_t coordinator_limit(const Coordinator *coordinator, int64_t wanted_us);
/* A survey for guest-quiesce-plan, by the coordinator's paths and configuration. */
bool coordinator_survey(Coordinator *coordinator, SurveyDone done, gpointer user_data,
                        GError **error);
/* What is likely to hurt when `mountpoints` (NULL: all) of the survey's mounts are frozen. */
bool coordinator_warnings(Coordinator *coordinator, GPtrArray *mounts,
                          const char *const *mountpoints, WarningsDone done, gpointer user_data,
                          GError **error);
