/*
 * coordinator_rig_requests: freezes and thaws of a coordinator under test, and what became of them.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/text.h"
#include "coordinator_rig.h"

/* One request; its address names it. */
typedef struct {
    Rig *rig;
    unsigned calls, turn; /* turn: which answer of the rig it was, from 1 */
    AnswerKind kind;
    char text[TEXT_LINE_MAX + 1];
    unsigned count;
    bool held;
    int64_t asked_us, took_us;
} Reply;

void rig_freeze(Rig *rig, const FreezeRequest *request, Reply *reply); /* NULL: a plain one */
void rig_thaw(Rig *rig, Reply *reply);
void rig_thaw_by(Rig *rig, const char *operation, bool verdict_as_data, Reply *reply);
void rig_hold(Rig *rig);                           /* a freeze that must succeed, answer included */
void rig_told_once(Rig *rig, const char *pattern); /* a thaw gets the verdict, the next one 0 */
void rig_thaws(Rig *rig, unsigned count);          /* a thaw that must succeed */

#define rig_answered(rig, reply) rig_await(rig, (reply)->calls > 0)

void assert_ok(const Reply *reply, unsigned count);
void assert_failed(const Reply *reply, const char *text);
void assert_failed_like(const Reply *reply, const char *pattern); /* of the whole text */
