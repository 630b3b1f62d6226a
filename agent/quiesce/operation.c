/*
 * operation: one freeze from request to held: survey, ledger, prepare, pre-sync, freeze.
 *
 * Two lines run side by side in PREPARING: participants (prepare, by order) and filesystems (open,
 * arm, pre-sync). They meet in operation_check_prepared(). What participants flushed in prepare is
 * synced once more before the freeze.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/coordinator_internal.h"
#include "quiesce/events.h"
#include "quiesce/hook_participant.h"

#include <string.h>
#include <sys/prctl.h>

static void operation_presync(Operation *operation);

/* --- answers of participants -------------------------------------------------------------------
 */

static bool member_begin(unsigned index, Verb *verb, gpointer user_data)
{
    Operation *operation = user_data;
    Participant *participant = g_ptr_array_index(operation->participants, index);
    Member *member = &operation->members[index];

    if (participant->refused || member->failed || !participant_wants(participant, *verb) ||
        !participant_concerned(participant, (const char *const *)operation->mountpoints))
        return false;
    member->called = true;
    member->step = report_step_begin(operation->report, member->entry, *verb);
    ledger_participant_called(operation->owner->spec.ledger, index, 1u << *verb);
    return true;
}

static const char *outcome_reason(const StepOutcome *outcome)
{
    return outcome->reason[0] ? outcome->reason : step_result_name(outcome->result);
}

static bool member_answered(unsigned index, Verb verb, const StepOutcome *outcome,
                            gpointer user_data)
{
    Operation *operation = user_data;
    Participant *participant = g_ptr_array_index(operation->participants, index);
    Member *member = &operation->members[index];

    report_step_end(operation->report, member->entry, member->step, outcome);
    ledger_participant_result(operation->owner->spec.ledger, index, member->entry->result);
    if (outcome->result == STEP_OK) {
        member->held = true;
        if (participant->holder > 0)
            ledger_participant_session(operation->owner->spec.ledger, index,
                                       (uint32_t)participant->holder,
                                       participant->holder_started_us);
        return true;
    }
    member->failed = true;
    member->held = false;
    if (operation->releasing)
        return false;
    report_lower(operation->report, LEVEL_FILESYSTEM, "%s: %s: %s", participant->name,
                 verb_name(verb), outcome_reason(outcome));
    event_participant(operation->owner->spec.log, operation->report, participant->name,
                      verb_name(verb), outcome_reason(outcome));
    if (participant->on_failure == ON_FAILURE_DEGRADE)
        return true;
    if (!operation->error)
        operation->error =
            coordinator_error_text(participant->name, verb_name(verb), outcome_reason(outcome), 0);
    else
        operation->error_more++;
    return false;
}

static void freeze_sequence_done(Sequence *sequence, gpointer user_data);

static void prepare_sequence_done(Sequence *sequence, gpointer user_data)
{
    Operation *operation = user_data;

    operation->sequence = NULL;
    sequence_free(sequence);
    if (operation->releasing) {
        operation_settle(operation);
        return;
    }
    if (operation->error) {
        (void)coordinator_event(operation->owner, EVENT_FAIL);
        return;
    }
    operation->members_prepared = true;
    operation->sync_is_fresh = false;
    operation_check_prepared(operation);
}

static void start_sequence(Operation *operation, Verb verb, Deadline deadline)
{
    static const SequenceEvents PREPARE = {member_begin, member_answered, prepare_sequence_done};
    static const SequenceEvents FREEZE = {member_begin, member_answered, freeze_sequence_done};
    SequenceSpec spec = {
        .participants = operation->participants,
        .verb = verb,
        .context = {.operation = operation->report->operation,
                    .mountpoints = (const char *const *)operation->mountpoints,
                    .rehearsal = operation->report->rehearsal,
                    .timeout_default_us =
                        operation->owner->spec.config->quiesce.participant_timeout_us},
        .deadline = deadline,
    };

    operation->sequence =
        sequence_start(&spec, verb == VERB_PREPARE ? &PREPARE : &FREEZE, operation);
}

/* --- events of the filesystem stage ------------------------------------------------------------
 */

static void stage_opened(FsStage *stage, gpointer user_data)
{
    Operation *operation = user_data;

    (void)stage;
    operation->opened = true;
    operation_presync(operation);
}

static void stage_synced(FsStage *stage, gpointer user_data)
{
    Operation *operation = user_data;

    (void)stage;
    operation->syncing = false;
    operation_check_prepared(operation);
}

static void stage_failed(FsStage *stage, gpointer user_data)
{
    Operation *operation = user_data;
    const char *name = NULL;
    unsigned more = 0;
    const char *reason = fs_stage_failure(stage, &name, &more);

    operation_fail(operation, name, "filesystem", reason, more);
}

static void stage_frozen(FsStage *stage, gpointer user_data)
{
    Operation *operation = user_data;

    (void)stage;
    if (operation_holding(operation) == 0) {
        /* Hosts never undo a freeze that answered 0, so nothing may be left behind. */
        operation->empty = true;
        (void)coordinator_event(operation->owner, EVENT_FAIL);
        return;
    }
    (void)coordinator_event(operation->owner, EVENT_HELD);
}

static void stage_thawed(FsStage *stage, gpointer user_data)
{
    (void)stage;
    operation_stage_thawed(user_data);
}

static void stage_settled(FsStage *stage, gpointer user_data)
{
    (void)stage;
    operation_stage_settled(user_data);
}

static void stage_hopeless(FsStage *stage, gpointer user_data)
{
    (void)stage;
    coordinator_emergency(((Operation *)user_data)->owner);
}

static void stage_lost(FsStage *stage, ReportEndedBy ended_by, const char *reason,
                       gpointer user_data)
{
    Operation *operation = user_data;

    (void)stage;
    if (operation->owner->state == STATE_FREEZING)
        operation_fail(operation, "keeper", "filesystem", reason, 0);
    else
        coordinator_lose(operation->owner, ended_by, reason);
}

/* --- survey and ledger -------------------------------------------------------------------------
 */

void operation_fail(Operation *operation, const char *name, const char *phase, const char *reason,
                    unsigned more)
{
    if (!operation->error)
        operation->error = coordinator_error_text(name, phase, reason, more);
    (void)coordinator_event(operation->owner, EVENT_FAIL);
}

static void add_participants(Operation *operation)
{
    const Config *config = operation->owner->spec.config;
    HookOptions options = {.runtime_dir = operation->owner->spec.runtime_dir,
                           .report_output = config->hooks.report_output,
                           .run_as = operation->owner->spec.paths.run_as};
    unsigned concerned = 0;

    for (unsigned i = 0; i < operation->survey->hooks->len; i++)
        g_ptr_array_add(
            operation->participants,
            hook_participant_new(g_ptr_array_index(operation->survey->hooks, i), &options));
    if (operation->owner->source.join)
        operation->owner->source.join(operation->participants, operation->owner->source.user_data);
    operation->members = g_new0(Member, operation->participants->len + 1);
    for (unsigned i = 0; i < operation->participants->len; i++) {
        Participant *participant = g_ptr_array_index(operation->participants, i);
        Member *member = &operation->members[i];

        member->entry = report_add_participant(operation->report, participant);
        participant->lost = operation_hold_lost;
        participant->lost_data = operation;
        concerned += !participant->refused;
        if (participant->refused) {
            StepOutcome refused = {.result = STEP_REFUSED, .exit_code = -1};

            g_strlcpy(refused.reason, participant->refused, sizeof(refused.reason));
            member->failed = true;
            report_step_end(operation->report, member->entry,
                            report_step_begin(operation->report, member->entry, VERB_PREPARE),
                            &refused);
            report_lower(operation->report, LEVEL_FILESYSTEM, "%s: refused: %s", participant->name,
                         participant->refused);
            if (config->hooks.abort_on_refused && !operation->error)
                operation->error =
                    coordinator_error_text(participant->name, "prepare", participant->refused, 0);
        }
    }
    if (concerned == 0)
        report_lower(operation->report, LEVEL_FILESYSTEM, "no participant is registered");
}

/* Mounts to work on: all, or those asked for. Unknown names fail the request. */
static GPtrArray *select_mounts(Operation *operation)
{
    g_autoptr(GPtrArray) selected = g_ptr_array_new();
    g_autofree char *unknown = NULL;
    GPtrArray *mounts = operation->survey->mounts;
    const char *const *wanted = (const char *const *)operation->requested;

    if (wanted && !mounts_find_unknown(mounts, wanted, &unknown)) {
        operation_fail(operation, unknown, "filesystem",
                       "no filesystem is mounted there; see guest-quiesce-plan", 0);
        return NULL;
    }
    for (unsigned i = 0; i < mounts->len; i++) {
        const Mount *mount = g_ptr_array_index(mounts, i);
        bool take = !wanted && mount->action != MOUNT_SKIP;

        for (unsigned k = 0; wanted && wanted[k] && !take; k++)
            take = mount_has_mountpoint(mount, wanted[k]);
        if (take)
            g_ptr_array_add(selected, (gpointer)mount);
    }
    return g_steal_pointer(&selected);
}

/* What recovery calls; it has no use for D-Bus ones, whose guards tell them by themselves. */
static HookKind hook_kind(const Participant *participant)
{
    if (participant->kind == PARTICIPANT_SESSION_HOOK)
        return HOOK_SESSION;
    return participant->kind == PARTICIPANT_STOCK_HOOK ? HOOK_STOCK : HOOK_PLAIN;
}

static bool lay_out_ledger(Operation *operation, GError **error)
{
    Ledger *ledger = operation->owner->spec.ledger;
    unsigned n_filesystems = fs_stage_ledger_count(operation->stage);
    unsigned n_participants = operation->participants->len;
    g_autofree LedgerFilesystemSpec *filesystems = g_new0(LedgerFilesystemSpec, n_filesystems + 1);
    g_autofree LedgerParticipantSpec *participants =
        g_new0(LedgerParticipantSpec, n_participants + 1);

    fs_stage_ledger_specs(operation->stage, filesystems);
    for (unsigned i = 0; i < n_participants; i++) {
        const Participant *participant = g_ptr_array_index(operation->participants, i);

        participants[i] = (LedgerParticipantSpec){
            .name = participant->name,
            .path = participant->source,
            .user = participant->user,
            .kind = hook_kind(participant),
            /* Not to be called by whoever comes next: its guard hangs up with us. */
            .verbs = participant->kind == PARTICIPANT_DBUS ? 0 : participant->verbs,
            .order = participant->order,
            .on_failure = participant->on_failure,
        };
    }
    if (!ledger_begin(ledger, operation->report->operation, filesystems, n_filesystems,
                      participants, n_participants, error))
        return false;
    ledger_set_origin(ledger, operation->report->channel, operation->report->started_unix_ms);
    for (unsigned i = 0; i < n_participants; i++)
        ledger_participant_result(ledger, i, operation->members[i].entry->result);
    return true;
}

static void collect_mountpoints(Operation *operation, GPtrArray *mounts)
{
    GPtrArray *list = g_ptr_array_new();

    for (unsigned i = 0; i < mounts->len; i++) {
        const Mount *mount = g_ptr_array_index(mounts, i);
        /* A path of another namespace means something else to a hook. */
        if (mount->action == MOUNT_FREEZE && mount->where.inode == 0)
            g_ptr_array_add(list, g_strdup(mount->mountpoint));
    }
    g_ptr_array_add(list, NULL);
    operation->mountpoints = (char **)g_ptr_array_free(list, FALSE);
}

static void survey_done(Survey *survey, gpointer user_data)
{
    static const FsStageEvents EVENTS = {
        .opened = stage_opened,
        .synced = stage_synced,
        .frozen = stage_frozen,
        .failed = stage_failed,
        .thawed = stage_thawed,
        .settled = stage_settled,
        .hopeless = stage_hopeless,
        .lost = stage_lost,
    };
    Operation *operation = user_data;
    Coordinator *coordinator = operation->owner;
    g_autoptr(GPtrArray) mounts = NULL;
    g_autoptr(GError) error = NULL;
    FsStageSpec spec = {0};

    operation->surveying = NULL;
    operation->survey = survey;
    if (survey->error) {
        operation_fail(operation, "agent", "prepare", survey->error->message, 0);
        return;
    }
    mounts = select_mounts(operation);
    if (!mounts)
        return;
    if (survey->unseen && !operation->requested)
        report_lower(operation->report, LEVEL_CRASH, "%s", survey->unseen);
    collect_mountpoints(operation, mounts);
    if (operation->report->rehearsal)
        g_ptr_array_set_size(mounts, 0);
    add_participants(operation);
    spec = (FsStageSpec){
        .log = coordinator->spec.log,
        .keeper = coordinator->keeper,
        .ledger = coordinator->spec.ledger,
        .store = coordinator->spec.store,
        .procfs = coordinator->spec.paths.procfs,
        .sysfs = coordinator->spec.paths.sysfs,
        .report = operation->report,
        .mounts = mounts,
        .skip_errors = coordinator->spec.config->filesystems.skip_errors,
        .pre_sync = coordinator->spec.config->filesystems.pre_sync,
        .check_mount_id = coordinator->spec.check_mount_id,
    };
    operation->stage = fs_stage_new(&spec, &EVENTS, operation);
    if (!operation->error && !lay_out_ledger(operation, &error))
        operation->error = coordinator_error_text("agent", "prepare", error->message, 0);
    if (operation->error) {
        (void)coordinator_event(coordinator, EVENT_FAIL);
        return;
    }
    operation->laid_out = true;
    /* A core dump onto a frozen filesystem never ends; without one the kernel closes our sockets
     * at once and the keeper knows. */
    (void)prctl(PR_SET_DUMPABLE, 0);
    fs_stage_open(operation->stage);
    start_sequence(operation, VERB_PREPARE,
                   deadline_in(coordinator->spec.config->quiesce.freeze_budget_us));
}

void operation_survey(Operation *operation)
{
    g_autoptr(GError) error = NULL;

    operation->surveying = survey_run(&operation->owner->spec.paths, operation->owner->spec.config,
                                      survey_done, operation, &error);
    if (!operation->surveying)
        operation_fail(operation, "agent", "prepare", error->message, 0);
}

/* --- prepared ----------------------------------------------------------------------------------
 */

static void operation_presync(Operation *operation)
{
    operation->syncing = true;
    operation->sync_is_fresh = operation->members_prepared;
    fs_stage_presync(operation->stage, deadline_in(COORDINATOR_PRESYNC_US));
}

/* Both lines are done: freeze if somebody waits, else wait to be joined. */
void operation_check_prepared(Operation *operation)
{
    if (operation->releasing || !operation->opened || operation->syncing ||
        !operation->members_prepared)
        return;
    if (!operation->sync_is_fresh) {
        operation_presync(operation);
        return;
    }
    operation->prepared = true;
    if (operation->owner->waiter.func)
        coordinator_prepared(operation->owner);
}

/* A request joined. What became dirty since the preparation ended is synced before the freeze. */
void operation_rejoin(Operation *operation)
{
    if (!operation->prepared)
        return;
    operation->prepared = false;
    operation_presync(operation);
}

/* --- freeze ------------------------------------------------------------------------------------
 */

static void freeze_sequence_done(Sequence *sequence, gpointer user_data)
{
    Operation *operation = user_data;
    Report *report = operation->report;

    operation->sequence = NULL;
    sequence_free(sequence);
    if (operation->releasing) {
        operation_settle(operation);
        return;
    }
    if (!operation->error && operation->level_wanted > (int)report->level)
        operation->error = coordinator_error_text(
            "agent", "freeze", report->level_reason ? report->level_reason : "level", 0);
    if (operation->error) {
        (void)coordinator_event(operation->owner, EVENT_FAIL);
        return;
    }
    log_hold(operation->owner->spec.log);
    fs_stage_freeze(operation->stage, operation->limit_us,
                    coordinator_freezing_deadline(operation->owner));
}

void operation_freeze(Operation *operation)
{
    const Config *config = operation->owner->spec.config;

    operation->freezing_us = deadline_now();
    operation->report->prepare_us = operation->freezing_us - operation->report->started_us;
    start_sequence(operation, VERB_FREEZE, deadline_in(config->quiesce.freeze_budget_us));
}
