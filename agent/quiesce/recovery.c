/*
 * recovery: what a predecessor left behind, from the ledger, at start.
 *
 * The keeper has thawed (or is thawing) what it held when the predecessor's socket closed; here the
 * same filesystems are thawed once more by path, for the case that both died, settings changed for
 * the time being are put back, and every participant that was called gets its abort. When the host
 * had been told that the system is frozen, its next thaw is told that this did not hold.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/coordinator_internal.h"

#include <errno.h>
#include <unistd.h>

#define RECOVERY_OPEN_US (5 * USEC_PER_SEC)

typedef struct {
    Coordinator *coordinator;
    GArray *list; /* KeeperRescueFilesystem, fds owned */
    unsigned opening;
} Recovery;

typedef struct {
    Recovery *recovery;
    unsigned index, rank;
    OffloadOpen *open; /* ends by itself at its deadline */
} RecoveryItem;

static void recovery_thawed(unsigned index, int error_number, gpointer user_data)
{
    Recovery *recovery = user_data;
    Coordinator *coordinator = recovery->coordinator;

    /* EINVAL: not frozen, which is what we are here for. Anything else stays in the ledger. */
    if (error_number != 0 && error_number != EINVAL)
        return;
    ledger_set_filesystem(coordinator->spec.ledger, index, KEEPER_FS_THAWED);
    if (error_number == 0)
        log_warning(coordinator->spec.log, "%s was still frozen by a predecessor; thawed it",
                    ledger_filesystem(coordinator->spec.ledger, index)->mountpoint);
}

static void recovery_done(unsigned pending, gpointer user_data)
{
    Recovery *recovery = user_data;
    Coordinator *coordinator = recovery->coordinator;
    Operation *operation = coordinator->operation ? coordinator->operation : coordinator->straggler;

    if (pending > 0)
        log_error(coordinator->spec.log,
                  "%u filesystems could not be thawed yet; see guest-quiesce-status", pending);
    g_array_unref(recovery->list);
    g_free(recovery);
    coordinator->recovering = false;
    operation->stage_thawed = operation->stage_settled = true;
    operation_settle(operation);
}

static void recovery_rescue(Recovery *recovery)
{
    keeper_rescue((const KeeperRescueFilesystem *)(void *)recovery->list->data, recovery->list->len,
                  deadline_in(FS_THAW_WAIT_US), recovery_thawed, recovery_done, recovery);
    for (unsigned i = 0; i < recovery->list->len; i++)
        (void)close(g_array_index(recovery->list, KeeperRescueFilesystem, i).fd);
}

static void recovery_opened(int fd, int error_number, gpointer user_data)
{
    g_autofree RecoveryItem *item = user_data;
    Recovery *recovery = item->recovery;
    KeeperRescueFilesystem entry = {fd, item->rank, item->index};

    if (fd >= 0)
        g_array_append_val(recovery->list, entry);
    else
        log_error(recovery->coordinator->spec.log,
                  "%s may be frozen and cannot be opened: %s; thaw it with fsfreeze --unfreeze",
                  ledger_filesystem(recovery->coordinator->spec.ledger, item->index)->mountpoint,
                  g_strerror(error_number));
    if (--recovery->opening == 0)
        recovery_rescue(recovery);
}

static void recover_filesystems(Coordinator *coordinator)
{
    Ledger *ledger = coordinator->spec.ledger;
    Recovery *recovery = g_new0(Recovery, 1);

    recovery->coordinator = coordinator;
    recovery->list = g_array_new(FALSE, FALSE, sizeof(KeeperRescueFilesystem));
    recovery->opening = 1;
    for (unsigned i = 0; i < ledger_filesystems(ledger); i++) {
        const KeeperLedgerFilesystem *entry = ledger_filesystem(ledger, i);
        /* By its device, in whatever namespace: what is at the path by now may be another's. */
        bool exact = coordinator->spec.check_mount_id;
        ReachPlace place = {.path = entry->mountpoint,
                            .mount_id = -1,
                            .major = exact ? entry->major : 0,
                            .minor = exact ? entry->minor : 0};
        RecoveryItem *item = NULL;

        if (entry->state != KEEPER_FS_FROZEN && entry->state != KEEPER_FS_IN_FLIGHT)
            continue;
        item = g_new0(RecoveryItem, 1);
        *item = (RecoveryItem){recovery, i, entry->rank, NULL};
        recovery->opening++;
        item->open = offload_open(&place, deadline_in(RECOVERY_OPEN_US), recovery_opened, item);
    }
    if (--recovery->opening == 0)
        recovery_rescue(recovery);
}

static void recover_participants(Coordinator *coordinator, Operation *operation)
{
    Ledger *ledger = coordinator->spec.ledger;
    HookOptions options = {coordinator->spec.runtime_dir, true};
    unsigned count = ledger_participants(ledger);

    operation->members = g_new0(Member, count + 1);
    for (unsigned i = 0; i < count; i++) {
        const KeeperLedgerParticipant *entry = ledger_participant(ledger, i);
        Hook hook = {
            .name = (char *)entry->name,
            .path = (char *)entry->path,
            .kind = (HookKind)entry->kind,
            .order = HOOKDIR_ORDER,
            .verbs = entry->verbs,
        };

        g_ptr_array_add(operation->participants, hook_participant_new(&hook, &options));
        operation->members[i].entry = report_add_participant(
            operation->report, g_ptr_array_index(operation->participants, i));
        operation->members[i].called = entry->held != 0;
    }
}

static void recover_settings(Coordinator *coordinator)
{
    WritebackSettings before;

    if (ledger_saved_writeback(coordinator->spec.ledger, &before) &&
        writeback_apply(coordinator->spec.paths.procfs, &before, NULL))
        ledger_clear_writeback(coordinator->spec.ledger);
}

static void recover_operation(Coordinator *coordinator)
{
    FreezeRequest request = {.channel = "recovered", .level = -1};
    Operation *operation = operation_new(coordinator, &request);
    uint32_t limit_s = 0;
    int64_t since_us = ledger_frozen_since(coordinator->spec.ledger, &limit_s);

    g_strlcpy(operation->report->operation, ledger_operation(coordinator->spec.ledger),
              sizeof(operation->report->operation));
    recover_participants(coordinator, operation);
    operation->laid_out = true;
    coordinator->recovering = true;
    if (since_us > 0) {
        operation->frozen = true;
        operation->limit_us = (int64_t)limit_s * USEC_PER_SEC;
        operation->frozen_us = deadline_now() - (coordinator_boottime_us() - since_us);
        coordinator->operation = operation;
        (void)coordinator_event(coordinator, EVENT_RECOVER);
        coordinator_note_loss(coordinator, ENDED_BY_SERVICE_DEATH, "the service was restarted");
        history_add(coordinator->history, operation->report);
        operation->recorded = true;
    } else {
        /* The host got no answer to its freeze, so it is owed no verdict. */
        log_warning(coordinator->spec.log,
                    "Releasing operation %s, which a predecessor did not finish",
                    operation->report->operation);
        coordinator->straggler = operation;
        operation->told = true;
    }
    operation_release(operation, true);
    recover_filesystems(coordinator);
}

void coordinator_recover(Coordinator *coordinator)
{
    Ledger *ledger = coordinator->spec.ledger;

    if (!ledger)
        return;
    recover_settings(coordinator);
    if (ledger_verdict(ledger, &coordinator->verdict_data)) {
        coordinator->verdict = true;
        (void)coordinator_event(coordinator, EVENT_RECOVER);
        coordinator_watch_window(coordinator);
    }
    if (ledger_active(ledger) && !coordinator->verdict)
        recover_operation(coordinator);
    else if (ledger_active(ledger)) {
        /* Lost before, and the predecessor died while releasing: go on with that. */
        Operation *operation = NULL;
        FreezeRequest request = {.channel = "recovered", .level = -1};

        operation = operation_new(coordinator, &request);
        recover_participants(coordinator, operation);
        operation->laid_out = true;
        operation->told = true;
        coordinator->recovering = true;
        coordinator->straggler = operation;
        operation_release(operation, true);
        recover_filesystems(coordinator);
    }
}
