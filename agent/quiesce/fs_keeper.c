/*
 * fs_keeper: the stage's talk with the keeper, and the rescue without it; see filesystems.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/filesystems_internal.h"
#include "quiesce/settings.h"

#include "sys/writeback.h"

#include <errno.h>
#include <limits.h>

static FsItem *item_of(FsStage *stage, const KeeperMessage *message)
{
    return message->index < stage->items->len ? g_ptr_array_index(stage->items, message->index)
                                              : NULL;
}

static gboolean freeze_stuck(gpointer user_data)
{
    FsStage *stage = user_data;

    deadline_source_clear(&stage->timer);
    (void)fs_stage_note_stuck(stage);
    if (stage->failures == 0)
        fs_stage_fail(stage, "keeper", "no answer to the freeze");
    fs_stage_report_failed(stage);
    return G_SOURCE_REMOVE;
}

static gboolean freeze_slow(gpointer user_data)
{
    FsStage *stage = user_data;

    deadline_source_clear(&stage->timer);
    fs_stage_suspects_look(stage, stage->freeze_given_up);
    fs_stage_timer(stage, stage->freeze_started_us + FS_STUCK_US - deadline_now(), freeze_stuck);
    return G_SOURCE_REMOVE;
}

void fs_stage_expedite_end(FsStage *stage)
{
    if (stage->expedited)
        stage->expedited = settings_expedite_end(stage->spec.ledger, stage->spec.sysfs);
}

void fs_stage_freeze(FsStage *stage, int64_t limit_us, Deadline give_up)
{
    int64_t patience_us = MIN(MIN(FS_STUCK_US, limit_us), deadline_left(give_up));
    WritebackLoad load;

    fs_stage_presync_end(stage);
    if (writeback_load(stage->spec.procfs, &load, NULL))
        stage->spec.report->dirty_after_bytes = (int64_t)(load.dirty_bytes + load.writeback_bytes);
    stage->state = FS_FREEZING;
    stage->freeze_started_us = deadline_now();
    stage->freeze_given_up = deadline_in(patience_us);
    stage->expedited = settings_expedite(stage->spec.ledger, stage->spec.sysfs);
    if (!keeper_freeze(stage->spec.keeper, limit_us)) {
        fs_stage_fail(stage, "keeper", "%s", keeper_unready_reason(stage->spec.keeper));
        fs_stage_report_failed(stage);
        return;
    }
    fs_stage_timer(stage, MAX(patience_us - FS_SUSPECTS_US, patience_us / 2), freeze_slow);
}

/* However it begins: a FIFREEZE that stays in the kernel keeps no setting changed. */
static void enter_thawing(FsStage *stage)
{
    fs_stage_presync_end(stage);
    fs_stage_expedite_end(stage);
    stage->state = FS_THAWING;
}

static gboolean thaw_wait_over(gpointer user_data)
{
    FsStage *stage = user_data;

    deadline_source_clear(&stage->timer);
    if (stage->pending == 0)
        stage->pending = fs_stage_frozen(stage);
    if (!stage->thaw_told) {
        stage->thaw_told = true;
        stage->events.thawed(stage, stage->user_data);
    }
    return G_SOURCE_REMOVE;
}

/* Everything is thawed. */
void fs_stage_thaw_over(FsStage *stage)
{
    deadline_source_clear(&stage->timer);
    fdstore_cancel(stage->spec.store);
    fdstore_remove(stage->spec.store, stage->items->len);
    stage->state = FS_OVER;
    stage->pending = 0;
    if (!stage->keeper_gone && stage->armed)
        (void)keeper_disarm(stage->spec.keeper);
    stage->armed = false;
    if (stage->thaw_told)
        stage->events.settled(stage, stage->user_data);
    else {
        stage->thaw_told = true;
        stage->events.thawed(stage, stage->user_data);
    }
}

static gboolean thaw_nothing(gpointer user_data)
{
    FsStage *stage = user_data;

    deadline_source_clear(&stage->timer);
    fs_stage_thaw_over(stage);
    return G_SOURCE_REMOVE;
}

void fs_stage_thaw(FsStage *stage)
{
    if (stage->state == FS_THAWING || stage->state == FS_OVER)
        return;
    enter_thawing(stage);
    if (!stage->armed && !stage->keeper_gone) {
        fs_stage_timer(stage, 0, thaw_nothing);
        return;
    }
    fs_stage_timer(stage, FS_THAW_WAIT_US, thaw_wait_over);
    if (stage->keeper_gone || !keeper_thaw(stage->spec.keeper))
        fs_stage_rescue(stage);
}

/* --- messages ----------------------------------------------------------------------------------
 */

static void on_synced(FsStage *stage, const KeeperMessage *message)
{
    FsItem *item = item_of(stage, message);

    if (!item || item->fd < 0)
        return;
    if (message->error == 0) {
        item->entry->presync_us = MAX(item->entry->presync_us, 0) + message->duration_us;
        return;
    }
    report_fs_reason(item->entry, FS_FAILED, "syncfs: %s", g_strerror(message->error));
    if (item->to_freeze && !stage->spec.skip_errors)
        fs_stage_fail(stage, item->mount->mountpoint, "%s", item->entry->reason);
    else
        report_lower(stage->spec.report, LEVEL_CRASH, "%s: %s", item->mount->mountpoint,
                     item->entry->reason);
}

static void froze_failed(FsStage *stage, FsItem *item, int error_number)
{
    if (error_number == EOPNOTSUPP) {
        /* Its type has no freeze: synced is the best there is, and does not lower the level. */
        item->to_freeze = false;
        report_fs_reason(item->entry, FS_SKIPPED, "%s cannot be frozen", item->mount->type);
        return;
    }
    if (error_number == EBUSY)
        report_fs_reason(item->entry, FS_BUSY, "frozen by somebody else");
    else
        report_fs_reason(item->entry, FS_FAILED, "FIFREEZE: %s", g_strerror(error_number));
    if (stage->spec.skip_errors)
        report_lower(stage->spec.report, LEVEL_CRASH, "%s: %s", item->mount->mountpoint,
                     item->entry->reason);
    else
        fs_stage_fail(stage, item->mount->mountpoint, "%s", item->entry->reason);
}

static void on_froze(FsStage *stage, const KeeperMessage *message)
{
    FsItem *item = item_of(stage, message);

    if (!item || !item->to_freeze)
        return;
    item->entry->start_us = report_offset(stage->spec.report, message->start_us);
    item->entry->freeze_us = message->duration_us;
    if (message->error) {
        froze_failed(stage, item, message->error);
        return;
    }
    item->frozen = item->was_frozen = true;
    item->frozen_at_us = message->start_us + message->duration_us;
    if (stage->state == FS_FREEZING) /* else the freeze was given up as stuck, and so it stays */
        item->entry->result = FS_FROZEN;
}

static void on_freeze_done(FsStage *stage)
{
    if (stage->state != FS_FREEZING)
        return;
    deadline_source_clear(&stage->timer);
    fs_stage_expedite_end(stage);
    if (stage->failures > 0) {
        fs_stage_report_failed(stage);
        return;
    }
    stage->state = FS_HELD;
    stage->events.frozen(stage, stage->user_data);
}

static void item_thawed(FsStage *stage, FsItem *item, int error_number, int64_t duration_us)
{
    if (error_number && error_number != EINVAL) {
        /* Still frozen; tried on until it succeeds, which is told by another message. */
        report_fs_reason(item->entry, FS_FAILED, "FITHAW: %s", g_strerror(error_number));
        return;
    }
    if (item->frozen)
        item->entry->frozen_us = deadline_now() - item->frozen_at_us;
    item->entry->thaw_us = duration_us;
    item->frozen = false;
    item->thawed = true;
    /* Without the keeper it may have been the keeper's last act. */
    if (error_number == EINVAL && item->was_frozen && !stage->keeper_gone) {
        item->foreign_thaw = true;
        g_free(item->entry->reason);
        item->entry->reason = g_strdup("was thawed by somebody else");
    }
}

const char *fs_stage_cause(int cause, ReportEndedBy *ret_ended_by)
{
    static const struct {
        ReportEndedBy ended_by;
        const char *reason;
    } CAUSES[] = {
        [KEEPER_CAUSE_REQUEST] = {ENDED_BY_NOTHING, NULL},
        [KEEPER_CAUSE_LIMIT] = {ENDED_BY_LIMIT, "the frozen limit passed"},
        [KEEPER_CAUSE_SILENCE] = {ENDED_BY_SERVICE_DEATH, "the service did not answer its keeper"},
        [KEEPER_CAUSE_EOF] = {ENDED_BY_SERVICE_DEATH, "the service ended"},
        [KEEPER_CAUSE_STOP] = {ENDED_BY_STOP, "the keeper was stopped"},
    };

    if (cause < 0 || cause >= (int)G_N_ELEMENTS(CAUSES))
        return NULL;
    *ret_ended_by = CAUSES[cause].ended_by;
    return CAUSES[cause].reason;
}

static void on_thaw_done(FsStage *stage, const KeeperMessage *message)
{
    ReportEndedBy ended_by = ENDED_BY_NOTHING;
    const char *reason = fs_stage_cause((int)MIN(message->cause, INT_MAX), &ended_by);

    stage->pending = message->pending;
    if (stage->state == FS_THAWING && !stage->thaw_told && reason && !stage->ended_reason) {
        stage->ended_by = ended_by;
        stage->ended_reason = reason;
    }
    if (stage->state == FS_FREEZING || stage->state == FS_HELD) {
        bool stuck = fs_stage_note_stuck(stage);

        enter_thawing(stage);
        if (stuck)
            stage->events.failed(stage, stage->user_data);
        else if (reason)
            stage->events.lost(stage, ended_by, reason, stage->user_data);
    }
    if (stage->state != FS_THAWING)
        return;
    if (message->pending == 0)
        fs_stage_thaw_over(stage);
    else if (!stage->thaw_told)
        thaw_wait_over(stage);
}

void fs_stage_message(FsStage *stage, const KeeperMessage *message)
{
    FsItem *item = NULL;

    if (stage->keeper_gone)
        return; /* said by a new one, which knows nothing of this stage */
    switch ((KeeperMessageType)message->type) {
    case KEEPER_ARMED:
        if (stage->state == FS_ARMING) {
            stage->state = FS_READY;
            stage->events.opened(stage, stage->user_data);
        }
        break;
    case KEEPER_COMMIT:
        fs_stage_committed(stage);
        break;
    case KEEPER_SYNCED:
        on_synced(stage, message);
        break;
    case KEEPER_SYNC_DONE:
        fs_stage_sync_done(stage);
        break;
    case KEEPER_FROZE:
        on_froze(stage, message);
        break;
    case KEEPER_FREEZE_DONE:
        on_freeze_done(stage);
        break;
    case KEEPER_THAWED:
        item = item_of(stage, message);
        if (item)
            item_thawed(stage, item, message->error, message->duration_us);
        break;
    case KEEPER_THAW_DONE:
        on_thaw_done(stage, message);
        break;
    case KEEPER_REFUSED:
        fs_stage_fail(stage, "keeper", "refused a request: %s", g_strerror(message->error));
        fs_stage_report_failed(stage);
        break;
    default:
        break;
    }
}

/* --- without the keeper ------------------------------------------------------------------------
 */

static void rescue_thawed(unsigned index, int error_number, gpointer user_data)
{
    FsStage *stage = user_data;

    item_thawed(stage, g_ptr_array_index(stage->items, index), error_number, 0);
    stage->pending = unfreeze_left(stage->unfreeze);
}

static void rescue_failed(unsigned index, int error_number, gpointer user_data)
{
    FsStage *stage = user_data;

    item_thawed(stage, g_ptr_array_index(stage->items, index), error_number, 0);
}

static void rescue_done(gpointer user_data)
{
    FsStage *stage = user_data;

    g_clear_pointer(&stage->unfreeze, unfreeze_free);
    fs_stage_thaw_over(stage);
}

static void rescue_hopeless(gpointer user_data)
{
    FsStage *stage = user_data;

    stage->events.hopeless(stage, stage->user_data);
}

static bool rescue_settled(gpointer user_data)
{
    const FsStage *stage = user_data;

    return keeper_others_gone(stage->spec.keeper);
}

void fs_stage_rescue(FsStage *stage)
{
    g_autofree int *fds = g_new0(int, stage->items->len + 1);
    UnfreezeSpec spec = {
        .ledger = stage->spec.ledger,
        .fds = fds,
        .n_fds = stage->items->len,
        .by_path = !stage->spec.check_mount_id,
        .settled = rescue_settled,
        .thawed = rescue_thawed,
        .failed = rescue_failed,
        .done = rescue_done,
        .hopeless = rescue_hopeless,
        .user_data = stage,
    };

    if (stage->unfreeze)
        return;
    for (unsigned i = 0; i < stage->items->len; i++)
        fds[i] = ((FsItem *)g_ptr_array_index(stage->items, i))->fd;
    stage->unfreeze = unfreeze_new(&spec);
    stage->pending = unfreeze_left(stage->unfreeze);
}

void fs_stage_keeper_lost(FsStage *stage, const char *reason)
{
    bool may_hold = stage->state == FS_FREEZING || stage->state == FS_HELD;
    bool thawing = stage->state == FS_THAWING;

    stage->keeper_gone = true;
    stage->armed = false;
    if (stage->state == FS_OVER)
        return;
    if (thawing) {
        fs_stage_rescue(stage);
        return;
    }
    if (!may_hold) {
        fs_stage_fail(stage, "keeper", "%s", reason);
        fs_stage_report_failed(stage);
        return;
    }
    /* First the filesystems, then the talk about it. */
    enter_thawing(stage);
    fs_stage_timer(stage, FS_THAW_WAIT_US, thaw_wait_over);
    fs_stage_rescue(stage);
    stage->events.lost(stage, ENDED_BY_KEEPER_DEATH, reason, stage->user_data);
}
