/*
 * recovery: what a predecessor left behind, from the ledger, at start.
 *
 * The keeper has thawed (or is thawing) what it held when the predecessor's socket closed; here the
 * same filesystems are thawed once more, for the case that both died: by the fds that the service
 * manager kept, or by path. Settings changed for the time being are put back, and every participant
 * that was called gets its abort. When the host had been told that the system is frozen, its next
 * thaw is told that this did not hold. The report of what a predecessor began is made of the ledger
 * (recovery_report.c).
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/coordinator_internal.h"
#include "quiesce/events.h"
#include "quiesce/hook_participant.h"
#include "quiesce/recovery_orphans.h"
#include "quiesce/settings.h"

#include "sys/closer.h"
#include "sys/ready_socket.h"
#include "sys/sysrq.h"

#include <unistd.h>

/* A keeper that was let go of and is neither gone nor to be talked to after this long hangs. */
#define RECOVERY_KEEPER_US (KEEPER_TICKS_MAX * KEEPER_BEAT_US)

static const char *mountpoint_of(const Coordinator *coordinator, unsigned index)
{
    return ledger_filesystem(coordinator->spec.ledger, index)->mountpoint;
}

/* --- filesystems -------------------------------------------------------------------------------
 */

static bool recovery_settled(gpointer user_data)
{
    const Operation *operation = user_data;
    const Ledger *ledger = operation->owner->spec.ledger;
    Keeper *keeper = operation->owner->keeper;

    if (ledger_keeper_gone(ledger))
        return true;
    if (keeper_pid(keeper) == ledger_keeper_pid(ledger))
        return keeper_is_idle(keeper);
    /* One that serves nobody ends, or serves us; this one hangs, and could freeze something yet. */
    if (deadline_now() - operation->release_us > RECOVERY_KEEPER_US)
        ledger_kill_keeper(ledger);
    return false;
}

static void recovery_thawed(unsigned index, int error_number, gpointer user_data)
{
    const Operation *operation = user_data;

    if (error_number == 0)
        log_warning(operation->owner->spec.log, "%s was still frozen by a predecessor; thawed it",
                    mountpoint_of(operation->owner, index));
}

static void recovery_failed(unsigned index, int error_number, gpointer user_data)
{
    const Operation *operation = user_data;

    log_error(operation->owner->spec.log,
              "%s may be frozen and cannot be thawed: %s; tried on by this or the next start",
              mountpoint_of(operation->owner, index), g_strerror(error_number));
}

void coordinator_emergency(Coordinator *coordinator)
{
    g_autoptr(GError) error = NULL;

    if (!coordinator->spec.config->quiesce.emergency_thaw)
        return;
    if (sysrq_thaw_all(coordinator->spec.paths.procfs, &error))
        log_error(coordinator->spec.log,
                  "Filesystems could not be thawed one by one; made the kernel thaw all "
                  "(emergency-thaw=yes)");
    else
        log_error(coordinator->spec.log, "emergency-thaw: %s", error->message);
}

static void recovery_hopeless(gpointer user_data)
{
    coordinator_emergency(((Operation *)user_data)->owner);
}

static void recovery_done(gpointer user_data)
{
    Operation *operation = user_data;

    g_clear_pointer(&operation->unfreeze, unfreeze_free);
    deadline_source_clear(&operation->unfreeze_wait);
    operation->owner->recovering = false;
    recovery_report_filesystems(operation->report, operation->owner->spec.ledger);
    operation->stage_thawed = operation->stage_settled = true;
    operation_settle(operation);
}

/* Participants are not kept waiting for a filesystem that hangs. */
static gboolean recovery_waited(gpointer user_data)
{
    Operation *operation = user_data;

    deadline_source_clear(&operation->unfreeze_wait);
    operation->stage_thawed = true;
    operation_settle(operation);
    return G_SOURCE_REMOVE;
}

/* Participants wait for it even less. */
static void recovery_unreachable(gpointer user_data)
{
    (void)recovery_waited(user_data);
}

static void recover_filesystems(Operation *operation)
{
    Coordinator *coordinator = operation->owner;
    UnfreezeSpec spec = {
        .ledger = coordinator->spec.ledger,
        .fds = coordinator->spec.stored_fds,
        .n_fds = coordinator->spec.n_stored_fds,
        .by_path = !coordinator->spec.check_mount_id,
        .settled = recovery_settled,
        .thawed = recovery_thawed,
        .failed = recovery_failed,
        .done = recovery_done,
        .hopeless = recovery_hopeless,
        .unreachable = recovery_unreachable,
        .user_data = operation,
    };

    coordinator->recovering = true;
    operation->unfreeze = unfreeze_new(&spec);
    operation->unfreeze_wait =
        deadline_source_new(deadline_in(FS_THAW_WAIT_US), recovery_waited, operation);
}

/* --- participants and settings -----------------------------------------------------------------
 */

static void recover_participants(Operation *operation)
{
    Coordinator *coordinator = operation->owner;
    Ledger *ledger = coordinator->spec.ledger;
    unsigned count = ledger_participants(ledger);

    operation->members = g_new0(Member, count + 1);
    for (unsigned i = 0; i < count; i++) {
        const KeeperLedgerParticipant *entry = ledger_participant(ledger, i);
        const HookOptions options = {
            .runtime_dir = coordinator->spec.runtime_dir,
            .report_output = true,
            .run_as = coordinator->spec.paths.run_as,
            .holder = (pid_t)entry->session_pid,
            .holder_started_us = entry->session_started_us,
        };
        Hook hook = {
            .name = (char *)entry->name,
            .path = (char *)entry->path,
            .kind = (HookKind)entry->kind,
            .order = entry->order,
            .verbs = entry->verbs,
            .user = entry->user[0] ? (char *)entry->user : NULL,
        };

        g_ptr_array_add(operation->participants, hook_participant_new(&hook, &options));
        if (entry->verbs == 0) /* on D-Bus; the hang-up of its guard has let it go */
            ((Participant *)g_ptr_array_index(operation->participants, i))->kind = PARTICIPANT_DBUS;
        operation->members[i].entry = g_ptr_array_index(operation->report->participants, i);
        operation->members[i].called = entry->held != 0;
    }
}

static void recover_settings(Coordinator *coordinator)
{
    (void)settings_gentle_end(coordinator->spec.ledger, coordinator->spec.paths.procfs);
    (void)settings_expedite_end(coordinator->spec.ledger, coordinator->spec.paths.sysfs);
}

/* --- together ----------------------------------------------------------------------------------
 */

static void say_recovered(Coordinator *coordinator, const Operation *operation)
{
    g_autofree char *text = g_strdup_printf(
        "Releasing operation %s, which a predecessor did not finish", operation->report->operation);

    event_operation(coordinator->spec.log, LOG_WARNING, EVENT_ID_RECOVERED, operation->report, NULL,
                    text);
}

static Operation *recovered_operation(Coordinator *coordinator)
{
    FreezeRequest request = {.channel = "recovered", .level = -1};
    Operation *operation = operation_new(coordinator, &request);

    report_unref(operation->report);
    operation->report = recovery_report(coordinator->spec.ledger);
    recover_participants(operation);
    operation->laid_out = true;
    return operation;
}

/* The host was told that the system is frozen and has not thawed it. `why`, if the keeper has no
 * better cause. */
static void lose_recovered(Operation *operation, int64_t since_us, uint32_t limit_s,
                           const char *why)
{
    Coordinator *coordinator = operation->owner;
    ReportEndedBy ended_by = ENDED_BY_SERVICE_DEATH;
    const char *cause = NULL;
    LedgerOperation last;

    operation->frozen = true;
    operation->limit_us = (int64_t)limit_s * USEC_PER_SEC;
    operation->frozen_us = deadline_now() - (coordinator_boottime_us() - since_us);
    coordinator->operation = operation;
    (void)coordinator_event(coordinator, EVENT_RECOVER);
    ledger_last(coordinator->spec.ledger, &last);
    /* The keeper may have ended it before the service died, and then says why. */
    cause = fs_stage_cause(last.thaw_cause, &ended_by);
    if (!cause || ended_by == ENDED_BY_SERVICE_DEATH) {
        ended_by = ENDED_BY_SERVICE_DEATH;
        cause = why;
    }
    coordinator_note_loss(coordinator, ended_by, cause);
    operation->report->frozen_us = coordinator->verdict_data.held_us;
}

/* Lost, or answered, or never to be answered: no verdict is owed for it that was not owed before.
 */
static void release_recovered(Operation *operation)
{
    Coordinator *coordinator = operation->owner;

    coordinator->straggler = operation;
    operation->told = true;
    if (recovery_report_ended(coordinator, operation->report))
        return;
    ledger_set_ended(coordinator->spec.ledger, REPORT_FAILED, ENDED_BY_SERVICE_DEATH, LEVEL_CRASH);
    (void)recovery_report_ended(coordinator, operation->report);
}

/* The last of a predecessor's, released by it or by `--recover`: the history begins with it. */
static void remember_last(Coordinator *coordinator)
{
    Report *report = recovery_report(coordinator->spec.ledger);

    report->sketch = true;
    if (recovery_report_ended(coordinator, report))
        history_add(coordinator->history, report);
    report_unref(report);
}

/* An open fd would keep its filesystem from being unmounted. */
void coordinator_drop_stored(Coordinator *coordinator)
{
    const CoordinatorSpec *spec = &coordinator->spec;
    unsigned count = 0;
    int *fds = NULL;

    if (spec->n_stored_fds == 0)
        return;
    fds = g_new(int, spec->n_stored_fds + 1);
    for (unsigned i = 0; i < spec->n_stored_fds; i++)
        if (spec->stored_fds[i] >= 0)
            fds[count++] = spec->stored_fds[i];
    fds[count] = -1;
    closer_close(CLOSER_OWN, fds);
    fdstore_remove(spec->store, spec->n_stored_fds);
    coordinator->spec.n_stored_fds = 0;
}

void coordinator_recover(Coordinator *coordinator)
{
    Ledger *ledger = coordinator->spec.ledger;
    Operation *operation = NULL;
    int64_t since_us = 0;
    uint32_t limit_s = 0;
    Orphanage orphans = ORPHANS_NONE;

    if (!ledger)
        return;
    ready_socket_clean(coordinator->spec.runtime_dir);
    recover_settings(coordinator);
    orphans = coordinator_adopt_orphans(coordinator);
    if (ledger_verdict(ledger, &coordinator->verdict_data)) {
        coordinator->verdict = true;
        (void)coordinator_event(coordinator, EVENT_RECOVER);
        coordinator_watch_window(coordinator);
    }
    if (!ledger_active(ledger)) {
        remember_last(coordinator);
        if (orphans != ORPHANS_FAILED)
            coordinator_drop_stored(coordinator);
        return;
    }
    operation = recovered_operation(coordinator);
    say_recovered(coordinator, operation);
    since_us = ledger_frozen_since(ledger, &limit_s);
    if (since_us > 0)
        lose_recovered(operation, since_us, limit_s,
                       orphans == ORPHANS_ADOPTED
                           ? "the service was restarted and its ledger is lost; released"
                           : "the service was restarted");
    else
        release_recovered(operation);
    operation_record(operation);
    coordinator->recovering = true;
    operation_release(operation, true);
    recover_filesystems(operation);
}
