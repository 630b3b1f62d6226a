/*
 * status_json: guest-quiesce-status and -plan; see json.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/coordinator_internal.h"
#include "quiesce/hook_participant.h"
#include "quiesce/json.h"

#include "sys/mount_kind.h"
#include "sys/writeback.h"

#include <string.h>

static void set_bool(json_t *object, const char *key, bool value)
{
    (void)json_object_set_new(object, key, json_boolean(value));
}

static void set_int(json_t *object, const char *key, int64_t value)
{
    (void)json_object_set_new(object, key, json_integer(value));
}

/* --- status ------------------------------------------------------------------------------------
 */

static json_t *status_participant(const Operation *operation, unsigned index)
{
    const Participant *participant = g_ptr_array_index(operation->participants, index);
    const Member *member = &operation->members[index];
    bool running = operation->sequence && sequence_running(operation->sequence, index);
    json_t *object = json_object();

    json_set_text(object, "name", participant->name);
    json_set_text(object, "kind", participant_kind_name(participant->kind));
    set_int(object, "order", participant->order);
    json_set_text(object, "on-failure",
                  participant->on_failure == ON_FAILURE_ABORT ? "abort" : "degrade");
    set_bool(object, "running", running);
    set_bool(object, "held", member->held && !member->released);
    if (member->entry->steps->len > 0) {
        const ReportStep *step =
            &g_array_index(member->entry->steps, ReportStep, member->entry->steps->len - 1);

        json_set_text(object, "verb", participant_step_name(participant->kind, step->verb));
        if (step->duration_us >= 0) {
            json_set_text(object, "result", step_result_name(step->result));
            json_set_ms(object, "elapsed-ms", step->duration_us);
        } else {
            json_set_ms(object, "elapsed-ms",
                        report_offset(operation->report, deadline_now()) - step->start_us);
        }
        json_set_text(object, "reason", step->reason);
    }
    return object;
}

static void status_waiting(const Operation *operation, json_t *waiting)
{
    if (!operation || !operation->members)
        return;
    for (unsigned i = 0; i < operation->participants->len; i++) {
        const Participant *participant = g_ptr_array_index(operation->participants, i);
        bool running = operation->sequence && sequence_running(operation->sequence, i);

        if (running || (operation->releasing && participant->ops->busy(participant)))
            (void)json_array_append_new(waiting, json_string(participant->name));
    }
    if (operation->stage && (operation->syncing || fs_stage_pending(operation->stage) > 0))
        (void)json_array_append_new(waiting, json_string("filesystems"));
}

static void status_operation(const Coordinator *coordinator, json_t *object)
{
    const Operation *operation = coordinator->operation;
    const Report *report = operation->report;

    json_set_text(object, "operation", report->operation);
    json_set_text(object, "origin", report->local ? "local" : "host");
    json_set_text(object, "channel", report->channel);
    json_set_ms(object, "elapsed-ms", report_offset(report, deadline_now()));
    if (operation->sequence)
        set_int(object, "order", sequence_order(operation->sequence));
    if (operation->frozen && !operation->stage_thawed) {
        int64_t frozen_us = deadline_now() - operation->frozen_us;

        json_set_ms(object, "frozen-ms", frozen_us);
        json_set_ms(object, "frozen-left-ms", MAX(operation->limit_us - frozen_us, 0));
    }
    if (coordinator->waiter.func)
        json_set_ms(object, "budget-left-ms", deadline_left(coordinator->reply_deadline));
    if (operation->frozen) {
        json_set_text(object, "level", level_name(report->level));
        json_set_text(object, "level-reason", report->level_reason);
    }
}

static const char *status_verb(const Coordinator *coordinator)
{
    static const char *const VERBS[STATE_COUNT] = {
        [STATE_PREPARING] = "prepare",
        [STATE_FREEZING] = "freeze",
        [STATE_THAWING] = "thaw",
        [STATE_ABORTING] = "abort",
    };

    return VERBS[coordinator->state];
}

json_t *quiesce_status_json(const Coordinator *coordinator)
{
    const Operation *operation = coordinator->operation;
    json_t *object = json_object(), *waiting = json_array(), *participants = json_array();
    const char *reason = NULL;
    bool ready = coordinator_ready(coordinator, &reason);
    size_t budget = QUIESCE_JSON_MAX / 2;
    bool truncated = false;

    json_set_text(object, "state", machine_state_name(coordinator->state));
    json_set_text(object, "fsfreeze-status", coordinator_fsfreeze_status(coordinator));
    set_bool(object, "ready", ready);
    json_set_text(object, "unready-reason", reason);
    json_set_text(object, "host-profile", coordinator->spec.profile->name);
    json_set_text(object, "verb", status_verb(coordinator));
    if (operation)
        status_operation(coordinator, object);
    json_set_ms(object, "frozen-limit-ms", coordinator_frozen_limit(coordinator));
    set_bool(object, "verdict-pending", coordinator->verdict);
    set_int(object, "filesystems-frozen",
            operation && operation->stage ? fs_stage_frozen(operation->stage) : 0);
    set_int(object, "filesystems-total",
            operation && operation->stage ? fs_stage_count(operation->stage) : 0);
    status_waiting(operation, waiting);
    status_waiting(coordinator->straggler, waiting);
    for (unsigned i = 0; operation && operation->members && i < operation->participants->len; i++)
        truncated |= !json_append_within(participants, status_participant(operation, i), &budget);
    (void)json_object_set_new(object, "waiting-for", waiting);
    (void)json_object_set_new(object, "participants", participants);
    set_bool(object, "truncated", truncated);
    return object;
}

/* --- plan --------------------------------------------------------------------------------------
 */

static json_t *verbs_json(unsigned verbs)
{
    json_t *array = json_array();

    for (unsigned verb = 0; verb < VERB_COUNT; verb++)
        if (verbs & (1u << verb))
            (void)json_array_append_new(array, json_string(verb_name((Verb)verb)));
    return array;
}

json_t *quiesce_participant_json(const Config *config, const Participant *participant)
{
    json_t *object = json_object();
    int64_t timeout = participant->timeout_us > 0 ? participant->timeout_us
                                                  : config->quiesce.participant_timeout_us;

    json_set_text(object, "name", participant->name);
    json_set_text(object, "kind", participant_kind_name(participant->kind));
    json_set_text(object, "source", participant->source);
    set_int(object, "order", participant->order);
    json_set_text(object, "on-failure",
                  participant->on_failure == ON_FAILURE_ABORT ? "abort" : "degrade");
    json_set_ms(object, "timeout-ms", timeout);
    (void)json_object_set_new(object, "verbs", verbs_json(participant->verbs));
    json_set_text(object, "action", participant->refused ? "refused" : "run");
    json_set_text(object, "reason", participant->refused);
    return object;
}

static json_t *plan_filesystem(const Mount *mount)
{
    json_t *object = json_object(), *carriers = json_array();
    bool freeze = mount->action == MOUNT_FREEZE && !mount->unfit;

    json_set_text(object, "mountpoint", mount->mountpoint);
    json_set_text(object, "device", mount->device);
    set_int(object, "major", mount->major);
    set_int(object, "minor", mount->minor);
    json_set_text(object, "type", mount->type);
    json_set_text(object, "action", freeze ? "freeze" : "skip");
    json_set_text(object, "reason", mount->action == MOUNT_FREEZE ? mount->unfit : mount->reason);
    set_int(object, "rank", mount->rank);
    for (unsigned i = 0; i < mount->carriers->len; i++)
        (void)json_array_append_new(carriers, json_string(g_ptr_array_index(mount->carriers, i)));
    (void)json_object_set_new(object, "carriers", carriers);
    set_bool(object, "foreign-namespace", mount->where.inode != 0);
    return object;
}

static void add_note(json_t *array, const char *code, const char *text, const char *subject)
{
    json_t *object = json_object();

    json_set_text(object, "code", code);
    json_set_text(object, "text", text);
    json_set_text(object, "subject", subject);
    (void)json_array_append_new(array, object);
}

static bool selected(const Mount *mount, const char *const *mountpoints)
{
    for (unsigned i = 0; mountpoints && mountpoints[i]; i++)
        if (mount_has_mountpoint(mount, mountpoints[i]))
            return true;
    return !mountpoints &&
           (mount->action != MOUNT_SKIP || mount->major != 0 || !mount_kind_is_noise(mount->type));
}

/* The lists of a plan and what it says as a whole. */
typedef struct {
    const Coordinator *coordinator;
    json_t *blockers, *notes, *participants, *filesystems;
    size_t budget;
    unsigned running, refused, unfit;
    bool unseen, truncated;
} Plan;

static void plan_participants(Plan *plan, const GPtrArray *hooks)
{
    const Config *config = plan->coordinator->spec.config;
    HookOptions options = {.runtime_dir = plan->coordinator->spec.runtime_dir};
    g_autoptr(GPtrArray) participants = coordinator_participants(plan->coordinator);

    for (unsigned i = 0; i < hooks->len; i++)
        g_ptr_array_insert(participants, (int)i,
                           hook_participant_new(g_ptr_array_index(hooks, i), &options));
    for (unsigned i = 0; i < participants->len; i++) {
        const Participant *participant = g_ptr_array_index(participants, i);

        plan->running += !participant->refused;
        plan->refused += participant->refused != NULL;
        if (participant->refused)
            add_note(plan->notes, "hook-refused", participant->refused, participant->source);
        plan->truncated |= !json_append_within(
            plan->participants, quiesce_participant_json(config, participant), &plan->budget);
    }
}

/* What a freeze will stumble upon, or should know. */
static void plan_notes(Plan *plan, const Mount *mount)
{
    bool skip_errors = plan->coordinator->spec.config->filesystems.skip_errors;

    if (mount->action != MOUNT_FREEZE)
        return;
    if (mount->unfit) {
        plan->unfit++;
        add_note(skip_errors ? plan->notes : plan->blockers, "state-on-filesystem", mount->unfit,
                 mount->mountpoint);
    }
    if (mount->carries_swap)
        add_note(plan->notes, "swap-on-filesystem", "a swap file lies on it; it is frozen last",
                 mount->mountpoint);
}

static void plan_filesystems(Plan *plan, const GPtrArray *mounts, const char *const *mountpoints)
{
    for (unsigned i = 0; i < mounts->len; i++) {
        const Mount *mount = g_ptr_array_index(mounts, i);

        if (!selected(mount, mountpoints))
            continue;
        plan_notes(plan, mount);
        plan->truncated |=
            !json_append_within(plan->filesystems, plan_filesystem(mount), &plan->budget);
    }
}

static Level plan_level(const Plan *plan)
{
    if (plan->unfit > 0 || plan->unseen)
        return LEVEL_CRASH;
    return plan->refused || plan->running == 0 ? LEVEL_FILESYSTEM : LEVEL_APPLICATION;
}

static void plan_budgets(const Coordinator *coordinator, const Warnings *warnings, json_t *object)
{
    const Config *config = coordinator->spec.config;
    WritebackLoad load = {0};

    json_set_ms(object, "reply-budget-ms", coordinator_reply_budget(coordinator));
    json_set_ms(object, "freeze-budget-ms", config->quiesce.freeze_budget_us);
    json_set_ms(object, "thaw-budget-ms", config->quiesce.thaw_budget_us);
    json_set_ms(object, "frozen-limit-ms", coordinator_limit(coordinator, 0));
    (void)writeback_load(coordinator->spec.paths.procfs, &load, NULL);
    set_int(object, "dirty-bytes", (int64_t)load.dirty_bytes);
    set_int(object, "writeback-bytes", (int64_t)load.writeback_bytes);
    json_set_ms(object, "estimated-flush-ms", warnings->flush_us);
}

json_t *quiesce_plan_json(Coordinator *coordinator, const Survey *survey, const Warnings *warnings,
                          const char *const *mountpoints)
{
    json_t *object = json_object();
    const char *reason = NULL;
    Plan plan = {
        .coordinator = coordinator,
        .blockers = json_array(),
        .notes = json_array(),
        .participants = json_array(),
        .filesystems = json_array(),
        .budget = QUIESCE_JSON_MAX - 65536,
        .unseen = survey->unseen && !mountpoints,
        .truncated = !warnings->complete,
    };

    if (!coordinator_ready(coordinator, &reason))
        add_note(plan.blockers, "keeper-missing", reason, NULL);
    plan_participants(&plan, survey->hooks);
    if (plan.unseen)
        add_note(plan.notes, "namespace-unseen", survey->unseen, NULL);
    plan_filesystems(&plan, survey->mounts, mountpoints);
    for (unsigned i = 0; i < warnings->list->len; i++) {
        const Warning *warning = g_ptr_array_index(warnings->list, i);

        add_note(plan.notes, warning->code, warning->text, warning->subject);
    }
    set_bool(object, "possible", json_array_size(plan.blockers) == 0);
    json_set_text(object, "level", level_name(plan_level(&plan)));
    (void)json_object_set_new(object, "blockers", plan.blockers);
    (void)json_object_set_new(object, "warnings", plan.notes);
    plan_budgets(coordinator, warnings, object);
    (void)json_object_set_new(object, "participants", plan.participants);
    (void)json_object_set_new(object, "filesystems", plan.filesystems);
    set_bool(object, "truncated", plan.truncated);
    return object;
}
