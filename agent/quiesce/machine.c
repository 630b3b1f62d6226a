/*
 * machine: see machine.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/machine.h"

#define STEP(state, action)                                                                        \
    {                                                                                              \
        STATE_##state, ACTION_##action                                                             \
    }

/* Absent entries are {STATE_THAWED, ACTION_INVALID}; machine_step() keeps the state for them. */
static const MachineStep TABLE[STATE_COUNT][EVENT_COUNT] = {
    [STATE_THAWED] =
        {
            [EVENT_FREEZE] = STEP(PREPARING, START),
            [EVENT_THAW] = STEP(THAWED, ANSWER_THAWED),
            [EVENT_LOSE] = STEP(THAWED, NONE),
            [EVENT_RELEASED] = STEP(THAWED, NONE), /* a straggler, after its budget */
            [EVENT_RECOVER] = STEP(LOST, LOSE),
        },
    [STATE_PREPARING] =
        {
            [EVENT_FREEZE] = STEP(PREPARING, JOIN),
            [EVENT_PREPARED] = STEP(FREEZING, FREEZE),
            [EVENT_FAIL] = STEP(ABORTING, ROLL_BACK),
            [EVENT_DETACH] = STEP(PREPARING, ASK_AGAIN),
            [EVENT_THAW] = STEP(ABORTING, ROLL_BACK),
            [EVENT_LOSE] = STEP(ABORTING, ROLL_BACK),
        },
    [STATE_FREEZING] =
        {
            [EVENT_FREEZE] = STEP(FREEZING, REFUSE_BUSY),
            [EVENT_HELD] = STEP(FROZEN, ANSWER_FROZEN),
            [EVENT_FAIL] = STEP(ABORTING, ROLL_BACK),
            [EVENT_DETACH] = STEP(ABORTING, ROLL_BACK),
            [EVENT_THAW] = STEP(ABORTING, ROLL_BACK),
            [EVENT_LOSE] = STEP(ABORTING, ROLL_BACK),
            [EVENT_HOLD_LOST] = STEP(ABORTING, ROLL_BACK),
        },
    [STATE_FROZEN] =
        {
            [EVENT_FREEZE] = STEP(FROZEN, REFUSE_FROZEN),
            [EVENT_THAW] = STEP(THAWING, RELEASE),
            [EVENT_LOSE] = STEP(LOST, LOSE),
            [EVENT_HOLD_LOST] = STEP(LOST, NOTE_LOSS),
        },
    [STATE_THAWING] =
        {
            [EVENT_FREEZE] = STEP(THAWING, REFUSE_BUSY),
            [EVENT_THAW] = STEP(THAWING, JOIN_THAW),
            [EVENT_RELEASED] = STEP(THAWED, FINISH),
            [EVENT_LOSE] = STEP(THAWING, NONE), /* is being released already */
            [EVENT_HOLD_LOST] = STEP(THAWING, NONE),
        },
    [STATE_ABORTING] =
        {
            [EVENT_FREEZE] = STEP(ABORTING, REFUSE_BUSY),
            [EVENT_THAW] = STEP(ABORTING, JOIN_THAW),
            [EVENT_RELEASED] = STEP(THAWED, FINISH),
            [EVENT_LOSE] = STEP(ABORTING, NONE),
            [EVENT_HOLD_LOST] = STEP(ABORTING, NONE),
        },
    [STATE_LOST] =
        {
            [EVENT_FREEZE] = STEP(PREPARING, START),
            [EVENT_THAW] = STEP(THAWING, RELEASE),
            [EVENT_LOSE] = STEP(LOST, LOSE), /* after NOTE_LOSS: the rest goes too */
            [EVENT_HOLD_LOST] = STEP(LOST, NONE),
            [EVENT_RELEASED] = STEP(LOST, NONE),
            [EVENT_EXPIRE] = STEP(THAWED, FORGET),
        },
};

MachineStep machine_step(MachineState state, MachineEvent event)
{
    MachineStep step = {state, ACTION_INVALID};

    if ((unsigned)state >= STATE_COUNT || (unsigned)event >= EVENT_COUNT)
        return step;
    if (TABLE[state][event].action != ACTION_INVALID)
        step = TABLE[state][event];
    return step;
}

const char *machine_state_name(MachineState state)
{
    static const char *const NAMES[STATE_COUNT] = {
        [STATE_THAWED] = "thawed", [STATE_PREPARING] = "preparing", [STATE_FREEZING] = "freezing",
        [STATE_FROZEN] = "frozen", [STATE_THAWING] = "thawing",     [STATE_ABORTING] = "aborting",
        [STATE_LOST] = "lost",
    };

    return (unsigned)state < STATE_COUNT ? NAMES[state] : "invalid";
}

const char *machine_event_name(MachineEvent event)
{
    static const char *const NAMES[EVENT_COUNT] = {
        [EVENT_FREEZE] = "freeze",       [EVENT_PREPARED] = "prepared",
        [EVENT_HELD] = "held",           [EVENT_FAIL] = "fail",
        [EVENT_DETACH] = "detach",       [EVENT_THAW] = "thaw",
        [EVENT_RELEASED] = "released",   [EVENT_LOSE] = "lose",
        [EVENT_HOLD_LOST] = "hold-lost", [EVENT_RECOVER] = "recover",
        [EVENT_EXPIRE] = "expire",
    };

    return (unsigned)event < EVENT_COUNT ? NAMES[event] : "invalid";
}
