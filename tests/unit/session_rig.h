/*
 * session_rig: a session hook with a real script, for the tests of it and of its notify socket.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "script_rig.h"

#include "quiesce/hook_participant.h"

typedef struct {
    char *directory, *script, *runtime, *log;
    HookOptions options;
    Hook hook;
    Participant *participant;
    StepOutcome outcome, loss;
    unsigned answers, losses;
    bool answered, lost, settled, in_call, busy_when_answered;
} Fixture;

void set_up(Fixture *f, gconstpointer data);
void tear_down(Fixture *f, gconstpointer data);
/* In `body`: $log and $say, a program that says its argument to the notify socket. */
void make(Fixture *f, const char *body);
void begin(Fixture *f, Verb verb, int64_t timeout_us);
void call(Fixture *f, Verb verb, int64_t timeout_us);
void assert_reason(const Fixture *f, StepResult result, const char *reason);
void assert_log(const Fixture *f, const char *expected);
bool logged(const Fixture *f, const char *text);

#define LONG  MSEC(20000)
#define HOLDS "$say READY=1; cat >/dev/null; echo let go >>$log"

void hold(Fixture *f, const char *body);
