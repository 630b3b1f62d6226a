/*
 * machine: which state a quiesce is in, and what each event does to it.
 *
 * A pure table: no time, no fds, no GLib, no allocation. The coordinator asks it for every event
 * and carries out the action it names; nobody else changes the state.
 *
 *            FREEZE             PREPARED              HELD                THAW
 *   THAWED ────────► PREPARING ─────────► FREEZING ─────────► FROZEN ─────────► THAWING ──► THAWED
 *      ▲               │  ▲ │ DETACH         │                   │                 ▲ RELEASED
 *      │               │  └─┘ (asked again   │ FAIL, DETACH,     │ LOSE, HOLD_LOST │
 *      │     FAIL,THAW │      JOINs)         │ THAW, LOSE        ▼                 │ THAW
 *      │     LOSE      ▼                     │                  LOST ──────────────┘
 *      └──────────  ABORTING ◄───────────────┘                 │    │ FREEZE
 *        RELEASED                                       EXPIRE │    └───────► PREPARING
 *                                                              ▼
 *                                                            THAWED
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "quiesce/machine_event.h"

typedef enum {
    STATE_THAWED,
    STATE_PREPARING, /* participants prepare, filesystems are opened and synced */
    STATE_FREEZING,  /* participants freeze, then filesystems */
    STATE_FROZEN,
    STATE_THAWING,  /* on the host's thaw */
    STATE_ABORTING, /* undoing a freeze that did not succeed */
    STATE_LOST,     /* ended other than by the host's thaw; the next thaw is told so */
    STATE_COUNT,
} MachineState;

typedef enum {
    ACTION_INVALID, /* a bug in the caller; the state stays */
    ACTION_NONE,
    ACTION_START,         /* begin an operation */
    ACTION_JOIN,          /* attach the request to the preparation under way */
    ACTION_REFUSE_BUSY,   /* "operation UUID in progress" */
    ACTION_REFUSE_FROZEN, /* the stock refusal */
    ACTION_FREEZE,        /* stop participants, then freeze filesystems */
    ACTION_ANSWER_FROZEN, /* success to the waiting freeze */
    ACTION_ASK_AGAIN,     /* answer the waiting freeze, go on preparing */
    ACTION_ROLL_BACK,     /* undo, then answer the waiting freeze with the error */
    ACTION_RELEASE,       /* thaw, then answer the thaw (with the verdict if one is pending) */
    ACTION_JOIN_THAW,     /* answer this thaw too when the release under way ends */
    ACTION_ANSWER_THAWED, /* the thaw found nothing to do: 0 */
    ACTION_FINISH,        /* answer who waits for the release */
    ACTION_LOSE,          /* release everything, remember the verdict */
    ACTION_NOTE_LOSS,     /* remember the verdict, hold on */
    ACTION_FORGET,        /* drop the verdict */
} MachineAction;

typedef struct {
    MachineState next;
    MachineAction action;
} MachineStep;

/* ACTION_INVALID for an event that cannot happen in that state, and for values out of range. */
MachineStep machine_step(MachineState state, MachineEvent event);

const char *machine_state_name(MachineState state); /* "thawed", as in guest-quiesce-status */
