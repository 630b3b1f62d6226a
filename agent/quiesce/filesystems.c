/*
 * filesystems: the life of the stage; see filesystems.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/filesystems_internal.h"

#include "sys/closer.h"
#include "sys/ledger_kept.h"

#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

void fs_stage_fail(FsStage *stage, const char *name, const char *format, ...)
{
    va_list args;

    if (stage->failures++ > 0)
        return;
    va_start(args, format);
    stage->failure_reason = g_strdup_vprintf(format, args);
    va_end(args);
    stage->failure_name = g_strdup(name);
}

void fs_stage_timer(FsStage *stage, int64_t delay_us, GSourceFunc func)
{
    deadline_source_clear(&stage->timer);
    stage->timer = deadline_source_new(deadline_in(delay_us), func, stage);
}

static void fs_item_free(FsItem *item)
{
    if (item->open)
        offload_open_cancel(item->open);
    g_free(item);
}

/* Of one that was unmounted meanwhile, that is the umount. */
static void close_items(const FsStage *stage)
{
    int *fds = g_new(int, stage->items->len + 1);
    unsigned count = 0;

    for (unsigned i = 0; i < stage->items->len; i++) {
        const FsItem *item = g_ptr_array_index(stage->items, i);

        if (item->fd >= 0)
            fds[count++] = item->fd;
    }
    fds[count] = -1;
    closer_close(CLOSER_OWN, fds);
}

FsStage *fs_stage_new(const FsStageSpec *spec, const FsStageEvents *events, gpointer user_data)
{
    FsStage *stage = g_new0(FsStage, 1);

    stage->spec = *spec;
    stage->events = *events;
    stage->user_data = user_data;
    stage->items = g_ptr_array_new_with_free_func((GDestroyNotify)fs_item_free);
    for (unsigned i = 0; i < spec->mounts->len; i++) {
        const Mount *mount = g_ptr_array_index(spec->mounts, i);
        ReportFilesystem *entry = report_add_filesystem(spec->report, mount);
        FsItem *item = NULL;

        if (mount->action == MOUNT_SKIP) {
            report_fs_reason(entry, FS_SKIPPED, "%s", mount->reason);
            continue;
        }
        item = g_new0(FsItem, 1);
        *item = (FsItem){.stage = stage, .mount = mount, .entry = entry, .fd = -1};
        item->to_freeze = mount->action == MOUNT_FREEZE;
        if (!item->to_freeze)
            report_fs_reason(entry, FS_SKIPPED, "%s", mount->reason);
        g_ptr_array_add(stage->items, item);
    }
    return stage;
}

void fs_stage_free(FsStage *stage)
{
    if (!stage)
        return;
    fs_stage_presync_end(stage);
    fs_stage_expedite_end(stage);
    deadline_source_clear(&stage->timer);
    fs_stage_suspects_end(stage);
    unfreeze_free(stage->unfreeze);
    fdstore_cancel(stage->spec.store);
    close_items(stage);
    g_ptr_array_unref(stage->items);
    g_free(stage->failure_name);
    g_free(stage->failure_reason);
    g_free(stage);
}

unsigned fs_stage_count(const FsStage *stage)
{
    unsigned count = 0;

    for (unsigned i = 0; i < stage->items->len; i++)
        count += ((FsItem *)g_ptr_array_index(stage->items, i))->to_freeze;
    return count;
}

unsigned fs_stage_ledger_count(const FsStage *stage)
{
    return stage->items->len;
}

void fs_stage_ledger_specs(const FsStage *stage, LedgerFilesystemSpec *specs)
{
    for (unsigned i = 0; i < stage->items->len; i++) {
        const Mount *mount = ((FsItem *)g_ptr_array_index(stage->items, i))->mount;

        specs[i] = (LedgerFilesystemSpec){.major = mount->major,
                                          .minor = mount->minor,
                                          .rank = mount->rank,
                                          .mountpoint = mount->mountpoint,
                                          .device = mount->device,
                                          .type = mount->type};
    }
}

/* The manager has all the time of the pre-sync, and none of the writers' time, to take the fds. */
void fs_stage_maybe_synced(FsStage *stage)
{
    if (stage->state != FS_SYNCING || !stage->synced || !stage->stored)
        return;
    fs_stage_presync_end(stage);
    stage->state = FS_READY;
    stage->events.synced(stage, stage->user_data);
}

static void stored(bool stored, gpointer user_data)
{
    FsStage *stage = user_data;

    stage->stored = true;
    if (!stored)
        log_debug(stage->spec.log, "The service manager does not keep the filesystems' fds");
    fs_stage_maybe_synced(stage);
}

static void fs_stage_store(FsStage *stage)
{
    g_autofree int *fds = g_new0(int, stage->items->len + 1);
    g_autofree dev_t *devices = g_new0(dev_t, stage->items->len + 1);

    stage->stored = stage->spec.store == NULL;
    if (stage->stored)
        return;
    for (unsigned i = 0; i < stage->items->len; i++) {
        const FsItem *item = g_ptr_array_index(stage->items, i);

        fds[i] = item->to_freeze ? item->fd : -1;
        devices[i] = makedev(item->mount->major, item->mount->minor);
    }
    fdstore_put(stage->spec.store, fds, devices, stage->items->len, deadline_in(FS_STORE_US),
                stored, stage);
}

/* The ledger was laid out before the opens and the keeper counts as the ledger does, so what could
 * not be opened keeps its place: the ledger's own fd stands for it, on tmpfs, only "synced". */
static void fs_stage_arm(FsStage *stage)
{
    g_autofree KeeperFilesystem *list = g_new0(KeeperFilesystem, MAX(stage->items->len, 1));

    for (unsigned i = 0; i < stage->items->len; i++) {
        FsItem *item = g_ptr_array_index(stage->items, i);

        list[i].fd = item->fd >= 0 ? item->fd : ledger_fd(stage->spec.ledger);
        list[i].rank = item->mount->rank;
        list[i].flags =
            (stage->spec.skip_errors ? KEEPER_FS_MAY_FAIL : 0) |
            (item->to_freeze && item->fd >= 0 ? 0 : KEEPER_FS_SYNC_ONLY) |
            (item->fd >= 0 && fs_stage_has_journal(item->mount) ? KEEPER_FS_JOURNAL : 0);
    }
    stage->state = FS_ARMING;
    stage->armed = true;
    fs_stage_store(stage);
    if (!keeper_arm(stage->spec.keeper, ledger_fd(stage->spec.ledger), list, stage->items->len)) {
        fs_stage_fail(stage, "keeper", "%s", keeper_unready_reason(stage->spec.keeper));
        fs_stage_report_failed(stage);
    }
}

void fs_stage_report_failed(FsStage *stage)
{
    if (stage->state != FS_THAWING && stage->state != FS_OVER)
        stage->events.failed(stage, stage->user_data);
}

static void fs_stage_opens_done(FsStage *stage)
{
    if (stage->failures > 0)
        fs_stage_report_failed(stage);
    else
        fs_stage_arm(stage);
}

/* An error or a skip, by policy; `item->entry->reason` says why. */
static void fs_item_unreachable(FsItem *item)
{
    FsStage *stage = item->stage;

    if (item->to_freeze && stage->spec.skip_errors)
        report_lower(stage->spec.report, LEVEL_CRASH, "%s: %s", item->mount->mountpoint,
                     item->entry->reason);
    else if (item->to_freeze)
        fs_stage_fail(stage, item->mount->mountpoint, "%s", item->entry->reason);
}

static const char *open_problem(int error_number)
{
    switch (error_number) {
    case EXDEV:
    case EBUSY:
        return "mounted over by what cannot be moved aside";
    case ETIMEDOUT:
        return "no answer; is its disk or server there?";
    default:
        return g_strerror(error_number);
    }
}

static void fs_item_opened(int fd, int error_number, gpointer user_data)
{
    FsItem *item = user_data;
    FsStage *stage = item->stage;

    item->open = NULL;
    item->fd = fd;
    stage->opening--;
    if (fd < 0 && error_number == ENODEV) {
        item->to_freeze = false;
        report_fs_reason(item->entry, FS_SKIPPED, "unmounted meanwhile");
    } else if (fd < 0) {
        report_fs_reason(item->entry, FS_FAILED, "cannot be opened: %s",
                         open_problem(error_number));
        fs_item_unreachable(item);
    }
    if (stage->opening == 0 && stage->state == FS_OPENING)
        fs_stage_opens_done(stage);
}

static void fs_item_open(FsItem *item)
{
    const FsStageSpec *spec = &item->stage->spec;
    ReachPlace place = reach_place(item->mount, spec->procfs, spec->check_mount_id);

    item->open = offload_open(&place, deadline_in(FS_OPEN_US), fs_item_opened, item);
}

static gboolean nothing_to_open(gpointer user_data)
{
    FsStage *stage = user_data;

    deadline_source_clear(&stage->timer);
    fs_stage_opens_done(stage);
    return G_SOURCE_REMOVE;
}

void fs_stage_open(FsStage *stage)
{
    stage->state = FS_OPENING;
    stage->opening = stage->items->len;
    for (unsigned i = 0; i < stage->items->len; i++) {
        FsItem *item = g_ptr_array_index(stage->items, i);

        if (item->to_freeze && item->mount->unfit) {
            stage->opening--;
            report_fs_reason(item->entry, FS_FAILED, "%s", item->mount->unfit);
            fs_item_unreachable(item);
        } else {
            fs_item_open(item);
        }
    }
    /* Never from within: the caller is not done with starting the operation. */
    if (stage->opening == 0)
        fs_stage_timer(stage, 0, nothing_to_open);
}

/* --- what others ask ---------------------------------------------------------------------------
 */

static unsigned count_items(const FsStage *stage, bool (*test)(const FsItem *item))
{
    unsigned count = 0;

    for (unsigned i = 0; i < stage->items->len; i++)
        count += test(g_ptr_array_index(stage->items, i));
    return count;
}

static bool is_frozen(const FsItem *item)
{
    return item->frozen;
}

static bool was_frozen(const FsItem *item)
{
    return item->was_frozen;
}

static bool is_thawed(const FsItem *item)
{
    return item->thawed && !item->foreign_thaw;
}

unsigned fs_stage_frozen(const FsStage *stage)
{
    return count_items(stage, is_frozen);
}

unsigned fs_stage_held(const FsStage *stage)
{
    return count_items(stage, was_frozen);
}

unsigned fs_stage_thawed_count(const FsStage *stage)
{
    return count_items(stage, is_thawed);
}

unsigned fs_stage_pending(const FsStage *stage)
{
    return stage->pending;
}

const char *fs_stage_stuck(const FsStage *stage)
{
    for (unsigned i = 0; i < stage->items->len; i++) {
        const FsItem *item = g_ptr_array_index(stage->items, i);
        const KeeperLedgerFilesystem *entry = ledger_filesystem(stage->spec.ledger, i);

        if (item->frozen || (entry && entry->state == KEEPER_FS_IN_FLIGHT))
            return item->mount->mountpoint;
    }
    return "filesystems";
}

const char *fs_stage_unthawed(const FsStage *stage, const char **ret_reason, unsigned *ret_more)
{
    const FsItem *first = NULL;
    unsigned count = 0;

    for (unsigned i = 0; i < stage->items->len; i++) {
        const FsItem *item = g_ptr_array_index(stage->items, i);

        if (item->frozen && count++ == 0)
            first = item;
    }
    if (!first)
        return NULL;
    *ret_reason = first->entry->result == FS_FAILED && first->entry->reason
                      ? first->entry->reason
                      : "FITHAW is still in the kernel";
    *ret_more = count - 1;
    return first->mount->mountpoint;
}

bool fs_stage_thaws(const FsStage *stage)
{
    for (unsigned i = 0; i < stage->items->len; i++) {
        const FsItem *item = g_ptr_array_index(stage->items, i);

        if (item->frozen && item->entry->result != FS_FAILED)
            return true;
    }
    return false;
}

const char *fs_stage_ended(const FsStage *stage, ReportEndedBy *ret_ended_by)
{
    *ret_ended_by = stage->ended_by;
    return stage->ended_reason;
}

bool fs_stage_foreign_thaw(const FsStage *stage, const char **ret_mountpoint)
{
    for (unsigned i = 0; i < stage->items->len; i++) {
        const FsItem *item = g_ptr_array_index(stage->items, i);

        if (item->foreign_thaw) {
            *ret_mountpoint = item->mount->mountpoint;
            return true;
        }
    }
    return false;
}

const char *fs_stage_failure(const FsStage *stage, const char **ret_name, unsigned *ret_more)
{
    *ret_name = stage->failure_name ? stage->failure_name : "filesystems";
    *ret_more = stage->failures > 0 ? stage->failures - 1 : 0;
    return stage->failure_reason ? stage->failure_reason : "failed";
}
