/*
 * coordinator: carries out quiesces. The one place that owns the state, the budgets and the
 * verdict.
 *
 * Its life is here; what it is asked to do is in coordinator_requests.h, what can be seen of it in
 * coordinator_view.h.
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
#include "keeper/message.h"
#include "quiesce/participant.h"
#include "quiesce/profile.h"
#include "quiesce/survey.h"
#include "sys/fdstore.h"
#include "sys/ledger.h"

#define COORDINATOR_JOIN_US    (15 * USEC_PER_SEC) /* a finished preparation waits this long */
#define COORDINATOR_PRESYNC_US (20 * USEC_PER_SEC) /* pre-sync at most; the budget may say less */
/* A freeze waits so long for a keeper that is being started (boot, restart). */
#define COORDINATOR_KEEPER_US (10 * USEC_PER_SEC)
/* With less left than this, or than an eighth of a short budget, a freeze is left to who joins. */
#define COORDINATOR_FREEZING_US (200 * USEC_PER_MSEC)
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

Coordinator *coordinator_new(const CoordinatorSpec *spec);
void coordinator_free(Coordinator *coordinator);
/* Recovers what the ledger says a predecessor left behind, then connects to the keeper. */
void coordinator_start(Coordinator *coordinator);
/* Nothing of an operation is left to be released. */
bool coordinator_is_clear(const Coordinator *coordinator);
/* Nothing but filesystems that are mounted nowhere: the next start may have fds of them. */
bool coordinator_leaves_the_rest(Coordinator *coordinator);
void coordinator_set_config(Coordinator *coordinator, const Config *config,
                            const HostProfile *profile);

/* Where participants come from besides the hook directories; asked at each operation. */
void coordinator_set_source(Coordinator *coordinator, const ParticipantSource *source);
/* Writes what is to be kept; `done` once, within ARCHIVE_FLUSH_US. */
void coordinator_save(Coordinator *coordinator, void (*done)(gpointer user_data),
                      gpointer user_data);
