/*
 * recovery_report: the report of an operation whose service is gone, from the ledger.
 *
 * It has what the ledger has: who asked and when, the participants and how far they came, the
 * filesystems and for how long they were frozen, how it ended. Steps and their times went with the
 * service; those of the recovery follow.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/coordinator_internal.h"

static void describe(const Report *report, ReportFilesystem *entry,
                     const KeeperLedgerFilesystem *held)
{
    KeeperFilesystemState state = __atomic_load_n(&held->state, __ATOMIC_ACQUIRE);
    int64_t until_us = held->thawed_us > 0 ? held->thawed_us : deadline_now();

    switch (state) {
    case KEEPER_FS_INTENDED:
        report_fs_reason(entry, FS_SKIPPED, "was not frozen when the service ended");
        break;
    case KEEPER_FS_IN_FLIGHT:
        report_fs_reason(entry, FS_FAILED, "FIFREEZE had not returned when the service ended");
        break;
    case KEEPER_FS_FOREIGN:
        report_fs_reason(entry, FS_BUSY, "frozen by somebody else");
        break;
    case KEEPER_FS_FROZEN:
    case KEEPER_FS_THAWED:
        entry->result = FS_FROZEN;
        g_clear_pointer(&entry->reason, g_free);
        break;
    case KEEPER_FS_FAILED:
        report_fs_reason(entry, FS_FAILED, "FIFREEZE failed");
        break;
    }
    if (held->frozen_us <= 0)
        return;
    entry->start_us = report_offset(report, held->frozen_us);
    entry->frozen_us = MAX(until_us - held->frozen_us, 0);
}

void recovery_report_filesystems(Report *report, const Ledger *ledger)
{
    for (unsigned i = 0; i < report->filesystems->len; i++) {
        ReportFilesystem *entry = g_ptr_array_index(report->filesystems, i);

        describe(report, entry, ledger_filesystem(ledger, i));
        if (report->result !=
            REPORT_LOST) /* the verdict knows how long the host could rely on it */
            report->frozen_us = MAX(report->frozen_us, entry->frozen_us);
    }
}

static void add_filesystem(Report *report, const KeeperLedgerFilesystem *held)
{
    const Mount mount = {
        .mountpoint = (char *)held->mountpoint,
        .device = (char *)held->device,
        .type = (char *)held->type,
        .major = held->major,
        .minor = held->minor,
    };

    (void)report_add_filesystem(report, &mount);
}

static ParticipantKind kind_of(const KeeperLedgerParticipant *held)
{
    if (held->verbs == 0)
        return PARTICIPANT_DBUS;
    return held->kind == HOOK_STOCK ? PARTICIPANT_STOCK_HOOK : PARTICIPANT_HOOK;
}

static void add_participant(Report *report, const KeeperLedgerParticipant *held, bool until_thaw)
{
    const Participant participant = {
        .name = (char *)held->name,
        .kind = kind_of(held),
        .order = held->order,
        .on_failure = held->on_failure == ON_FAILURE_ABORT ? ON_FAILURE_ABORT : ON_FAILURE_DEGRADE,
    };
    ReportParticipant *entry = report_add_participant(report, &participant);

    entry->result = (StepResult)MIN(held->result, STEP_CANCELLED);
    /* Whoever was to hold it is gone. */
    if (held->held && !until_thaw && (entry->result == STEP_OK || entry->result == STEP_SKIPPED))
        entry->result = STEP_LOST;
}

Report *recovery_report(const Ledger *ledger)
{
    LedgerOperation last;
    Report *report = NULL;

    ledger_last(ledger, &last);
    report = report_new(last.operation, last.channel == NULL, last.channel);
    if (last.started_unix_ms > 0) {
        int64_t ago_ms = report->started_unix_ms - last.started_unix_ms;

        report->started_us -= MAX(ago_ms, 0) * USEC_PER_MSEC;
        report->started_unix_ms = last.started_unix_ms;
    }
    for (unsigned i = 0; i < last.n_participants; i++)
        add_participant(report, ledger_participant(ledger, i),
                        last.ended_by != 0 && last.result == REPORT_OK);
    for (unsigned i = 0; i < last.n_filesystems; i++)
        add_filesystem(report, ledger_filesystem(ledger, i));
    recovery_report_filesystems(report, ledger);
    return report;
}

static void describe_loss(Report *report, const LedgerVerdict *verdict)
{
    report->result = REPORT_LOST;
    report->ended_by = (ReportEndedBy)verdict->ended_by;
    report->frozen_us = verdict->held_us;
    report->verdict_delivered = verdict->told;
    report_lower(report, LEVEL_CRASH, "not held until thaw: %s", verdict->reason);
}

static void describe_end(Report *report, const LedgerOperation *last)
{
    report->result = (ReportResult)MIN(last->result, REPORT_LOST);
    report->ended_by = (ReportEndedBy)last->ended_by;
    report->verdict_delivered = report->result == REPORT_OK;
    if (report->ended_by == ENDED_BY_SERVICE_DEATH) {
        report->error = coordinator_error_text("agent", "agent", "the service ended meanwhile", 0);
        report_lower(report, LEVEL_CRASH, "%s", report->error);
        return;
    }
    report_lower(report, (Level)MIN(last->level, LEVEL_APPLICATION),
                 "the service that knew why was restarted");
}

bool recovery_report_ended(Coordinator *coordinator, Report *report)
{
    LedgerVerdict verdict;
    LedgerOperation last;

    if (!ledger_last_verdict(coordinator->spec.ledger, &verdict)) {
        ledger_last(coordinator->spec.ledger, &last);
        if (last.ended_by == ENDED_BY_NOTHING)
            return false;
        describe_end(report, &last);
        return true;
    }
    describe_loss(report, &verdict);
    if (coordinator->verdict) {
        g_clear_pointer(&coordinator->verdict_report, report_unref);
        coordinator->verdict_report = report_ref(report);
    }
    return true;
}
