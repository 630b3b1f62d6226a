/*
 * hold_report: what the Hold tells the service, one message at a time; see hold.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "keeper/hold.h"

static bool report_call(Hold *hold, KeeperMessage *message)
{
    static const uint32_t TYPES[] = {
        [JOB_SYNC] = KEEPER_SYNCED, [JOB_FREEZE] = KEEPER_FROZE, [JOB_THAW] = KEEPER_THAWED};

    for (uint32_t n = 0; n < hold->count; n++) {
        HoldEntry *entry = &hold->entries[hold->report_next];

        for (unsigned kind = JOB_SYNC; kind <= JOB_THAW; kind++) {
            if (!(entry->reports & (1u << kind)))
                continue;
            entry->reports &= (uint8_t) ~(1u << kind);
            message->type = TYPES[kind];
            message->index = hold->report_next;
            message->error = entry->calls[kind].error;
            message->start_us = entry->calls[kind].start_us;
            message->duration_us = entry->calls[kind].duration_us;
            return true;
        }
        hold->report_next = (hold->report_next + 1) % hold->count;
    }
    return false;
}

static bool report_thaw_done(Hold *hold, int64_t now_us, KeeperMessage *message)
{
    unsigned pending;

    if (hold->phase != HOLD_THAW || (hold->thaw_told && hold->settled_told))
        return false;
    pending = hold_pending(hold);
    if (pending > 0 && (hold->thaw_told || hold->thaw_left > 0 || now_us < hold_patience_us(hold)))
        return false;
    hold->thaw_told = true;
    hold->settled_told = pending == 0;
    message->type = KEEPER_THAW_DONE;
    message->count = hold->thawed;
    message->pending = pending;
    message->cause = hold->cause;
    message->start_us = hold->thaw_start_us;
    if (hold->frozen > 0)
        message->duration_us = (pending > 0 ? now_us : hold->thawed_us) - hold->frozen_us;
    return true;
}

bool hold_report(Hold *hold, int64_t now_us, KeeperMessage *ret_message)
{
    *ret_message = (KeeperMessage){.version = KEEPER_VERSION};
    if (report_call(hold, ret_message))
        return true;
    if (!hold->sync_told && hold->sync_next == hold->count && hold->slow == 0) {
        hold->sync_told = true;
        hold->sync_round = false;
        ret_message->type = hold->commit_round ? KEEPER_COMMIT : KEEPER_SYNC_DONE;
        ret_message->count = hold->synced;
        return true;
    }
    if (!hold->freeze_told && hold->phase >= HOLD_HELD) {
        hold->freeze_told = true;
        ret_message->type = KEEPER_FREEZE_DONE;
        ret_message->count = hold->frozen;
        ret_message->error = hold->freeze_error;
        return true;
    }
    return report_thaw_done(hold, now_us, ret_message);
}

void hold_unreport(Hold *hold, const KeeperMessage *message)
{
    switch (message->type) {
    case KEEPER_SYNCED:
        hold->entries[message->index].reports |= 1u << JOB_SYNC;
        break;
    case KEEPER_FROZE:
        hold->entries[message->index].reports |= 1u << JOB_FREEZE;
        break;
    case KEEPER_THAWED:
        hold->entries[message->index].reports |= 1u << JOB_THAW;
        break;
    case KEEPER_COMMIT:
    case KEEPER_SYNC_DONE:
        hold->sync_told = false;
        break;
    case KEEPER_FREEZE_DONE:
        hold->freeze_told = false;
        break;
    default:
        hold->thaw_told = hold->settled_told = false;
        break;
    }
}
