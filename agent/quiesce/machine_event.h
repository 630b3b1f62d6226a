/*
 * machine_event: what can happen to a quiesce.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

typedef enum {
    EVENT_FREEZE,    /* a freeze was asked for */
    EVENT_PREPARED,  /* everything is prepared and somebody waits for the freeze */
    EVENT_HELD,      /* every participant and filesystem is held */
    EVENT_FAIL,      /* a participant, filesystem or budget failed */
    EVENT_DETACH,    /* nobody waits for the freeze's answer any more */
    EVENT_THAW,      /* a thaw was asked for */
    EVENT_RELEASED,  /* everything is released, or the budget for it is over */
    EVENT_LOSE,      /* limit, death of the keeper, stop, suspend, local thaw */
    EVENT_HOLD_LOST, /* a participant lost its hold; filesystems stay frozen until the thaw */
    EVENT_RECOVER,   /* start found an operation that a predecessor left behind */
    EVENT_EXPIRE,    /* the window for the verdict ended */
    EVENT_COUNT,
} MachineEvent;

const char *machine_event_name(MachineEvent event);
