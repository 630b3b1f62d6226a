/*
 * participant: one application in a quiesce, whatever its kind.
 *
 * The coordinator knows only this: a name, an order, a policy, and verbs that are called with a
 * deadline and answered once. Kinds (hook scripts here, D-Bus later) fill ParticipantOps.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "quiesce/participant_ops.h"
#include "sys/hookdir.h"
#include <stdbool.h>

typedef enum {
    PARTICIPANT_HOOK,
    PARTICIPANT_SESSION_HOOK,
    PARTICIPANT_STOCK_HOOK,
    PARTICIPANT_DBUS,
} ParticipantKind;
const char *participant_kind_name(ParticipantKind kind); /* "hook", "session-hook", … */
ParticipantKind participant_kind_of(HookKind kind);
/* As in reports: the freeze of a session hook is its "hold". */
const char *participant_step_name(ParticipantKind kind, Verb verb);

struct Participant {
    const ParticipantOps *ops;
    char *name;
    char *source; /* path of the script, or bus name */
    ParticipantKind kind;
    unsigned order;
    unsigned verbs;     /* HOOK_VERB_ bits: which verbs it wants */
    int64_t timeout_us; /* 0: default */
    OnFailure on_failure;
    char **mountpoints; /* run only when one of these is being frozen; NULL: always */
    char *refused;      /* reason; such a participant is never called */
    char *user;         /* whom its scripts run as; NULL: the service's own */
    /* The process that holds, while a freeze was answered STEP_OK; 0: none. */
    pid_t holder;
    int64_t holder_started_us; /* CLOCK_BOOTTIME */
    /* Told when busy() went from true to false; set by the owner. */
    void (*settled)(Participant *participant, gpointer user_data);
    gpointer settled_data;
    /* Told once when what prepare or freeze holds (both were answered STEP_OK) is lost before thaw
     * or abort was called: a session that ended, a bus name that is gone. Never from within call();
     * set by the owner, NULL: nobody asks. thaw or abort is called all the same. */
    ParticipantAnswered lost;
    gpointer lost_data;
};

/* Frees the common fields, then calls ops->free for the rest and the memory. NULL is fine. A call
 * that runs is not answered any more; its process is killed. */
void participant_free(Participant *participant);
bool participant_wants(const Participant *participant, Verb verb);
/* Whether one of its mountpoints is among those being frozen; true when it named none, and when
 * `mountpoints` is NULL. */
bool participant_concerned(const Participant *participant, const char *const *mountpoints);
int64_t participant_timeout(const Participant *participant, const VerbContext *context);

/* Who else takes part, besides the scripts: adds a new Participant for each, for one operation. */
typedef struct {
    void (*join)(GPtrArray *participants, gpointer user_data); /* NULL: nobody */
    gpointer user_data;
} ParticipantSource;
