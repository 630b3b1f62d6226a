/*
 * participant: see participant.h. What all kinds have in common.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/participant.h"

const char *participant_kind_name(ParticipantKind kind)
{
    static const char *const NAMES[] = {
        [PARTICIPANT_HOOK] = "hook",
        [PARTICIPANT_SESSION_HOOK] = "session-hook",
        [PARTICIPANT_STOCK_HOOK] = "stock-hook",
        [PARTICIPANT_DBUS] = "dbus",
    };

    g_return_val_if_fail((unsigned)kind < G_N_ELEMENTS(NAMES), "?");
    return NAMES[kind];
}

const char *verb_name(Verb verb)
{
    static const char *const NAMES[] = {
        [VERB_PREPARE] = "prepare", [VERB_FREEZE] = "freeze",     [VERB_THAW] = "thaw",
        [VERB_ABORT] = "abort",     [VERB_COMPLETE] = "complete",
    };

    G_STATIC_ASSERT(G_N_ELEMENTS(NAMES) == VERB_COUNT);
    g_return_val_if_fail((unsigned)verb < VERB_COUNT, "?");
    return NAMES[verb];
}

ParticipantKind participant_kind_of(HookKind kind)
{
    if (kind == HOOK_SESSION)
        return PARTICIPANT_SESSION_HOOK;
    return kind == HOOK_STOCK ? PARTICIPANT_STOCK_HOOK : PARTICIPANT_HOOK;
}

const char *participant_step_name(ParticipantKind kind, Verb verb)
{
    return kind == PARTICIPANT_SESSION_HOOK && verb == VERB_FREEZE ? "hold" : verb_name(verb);
}

const char *step_result_name(StepResult result)
{
    static const char *const NAMES[] = {
        [STEP_OK] = "ok",           [STEP_FAILED] = "failed",       [STEP_TIMED_OUT] = "timed-out",
        [STEP_REFUSED] = "refused", [STEP_LOST] = "lost",           [STEP_LATE] = "late",
        [STEP_SKIPPED] = "skipped", [STEP_CANCELLED] = "cancelled",
    };

    g_return_val_if_fail((unsigned)result < G_N_ELEMENTS(NAMES), "?");
    return NAMES[result];
}

void participant_free(Participant *participant)
{
    if (!participant)
        return;
    g_clear_pointer(&participant->name, g_free);
    g_clear_pointer(&participant->source, g_free);
    g_clear_pointer(&participant->mountpoints, g_strfreev);
    g_clear_pointer(&participant->refused, g_free);
    g_clear_pointer(&participant->user, g_free);
    participant->ops->free(participant);
}

bool participant_wants(const Participant *participant, Verb verb)
{
    G_STATIC_ASSERT(HOOK_VERB_PREPARE == 1 << VERB_PREPARE && HOOK_VERB_THAW == 1 << VERB_THAW &&
                    HOOK_VERB_COMPLETE == 1 << VERB_COMPLETE);
    return !participant->refused && (unsigned)verb < VERB_COUNT &&
           (participant->verbs & (1u << verb)) != 0;
}

bool participant_concerned(const Participant *participant, const char *const *mountpoints)
{
    if (!participant->mountpoints || !mountpoints)
        return true;
    for (char **own = participant->mountpoints; *own; own++)
        if (g_strv_contains(mountpoints, *own))
            return true;
    return false;
}

int64_t participant_timeout(const Participant *participant, const VerbContext *context)
{
    return participant->timeout_us > 0 ? participant->timeout_us : context->timeout_default_us;
}
