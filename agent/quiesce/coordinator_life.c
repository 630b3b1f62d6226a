/*
 * coordinator_life: construction, the keeper's events, and what others may ask.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/coordinator_internal.h"

#include "sys/hungtask.h"

#include <string.h>

static void keeper_ready(Keeper *keeper, gpointer user_data)
{
    (void)keeper;
    coordinator_proceed(user_data);
    coordinator_changed(user_data);
}

/* The filesystems belong to the operation under way, or to the straggler when that has none. */
static FsStage *current_stage(Coordinator *coordinator)
{
    if (coordinator->operation && coordinator->operation->stage)
        return coordinator->operation->stage;
    return coordinator->straggler ? coordinator->straggler->stage : NULL;
}

static void keeper_lost(Keeper *keeper, const char *reason, gpointer user_data)
{
    Coordinator *coordinator = user_data;
    FsStage *stage = current_stage(coordinator);

    (void)keeper;
    if (stage)
        fs_stage_keeper_lost(stage, reason);
    log_warning(coordinator->spec.log, "Keeper lost: %s", reason);
    coordinator_changed(coordinator);
}

static void keeper_message(Keeper *keeper, const KeeperMessage *message, gpointer user_data)
{
    FsStage *stage = current_stage(user_data);

    (void)keeper;
    if (stage)
        fs_stage_message(stage, message);
}

Coordinator *coordinator_new(const CoordinatorSpec *spec)
{
    static const KeeperEvents EVENTS = {keeper_ready, keeper_lost, keeper_message};
    Coordinator *coordinator = g_new0(Coordinator, 1);

    coordinator->spec = *spec;
    coordinator->thaw_waiters = g_array_new(FALSE, FALSE, sizeof(Waiter));
    coordinator->local_waiters = g_array_new(FALSE, FALSE, sizeof(Waiter));
    coordinator->history = history_new();
    coordinator->archive =
        archive_new(spec->state_dir, spec->log, coordinator->history, &coordinator->metrics);
    coordinator->keeper =
        keeper_new(spec->keeper_socket, spec->keeper_program, &EVENTS, coordinator);
    return coordinator;
}

void coordinator_free(Coordinator *coordinator)
{
    GSource **timers[] = {&coordinator->reply_timer, &coordinator->budget_timer,
                          &coordinator->join_timer,  &coordinator->release_timer,
                          &coordinator->limit_timer, &coordinator->window_timer,
                          &coordinator->keeper_timer};

    for (unsigned i = 0; i < G_N_ELEMENTS(timers); i++)
        deadline_source_clear(timers[i]);
    keeper_free(coordinator->keeper);
    operation_free(coordinator->operation);
    operation_free(coordinator->straggler);
    g_clear_pointer(&coordinator->verdict_report, report_unref);
    g_clear_pointer(&coordinator->stops, g_array_unref);
    g_array_unref(coordinator->thaw_waiters);
    g_array_unref(coordinator->local_waiters);
    completion_free(coordinator->completion);
    archive_free(coordinator->archive);
    history_free(coordinator->history);
    g_free(coordinator);
}

void coordinator_start(Coordinator *coordinator)
{
    archive_load(coordinator->archive);
    coordinator_recover(coordinator);
    keeper_connect(coordinator->keeper);
}

bool coordinator_is_clear(const Coordinator *coordinator)
{
    return !coordinator->operation && !coordinator->straggler &&
           !completion_running(coordinator->completion);
}

void coordinator_set_config(Coordinator *coordinator, const Config *config,
                            const HostProfile *profile)
{
    coordinator->spec.config = config;
    coordinator->spec.profile = profile;
}

void coordinator_set_source(Coordinator *coordinator, const ParticipantSource *source)
{
    coordinator->source = *source;
}

GPtrArray *coordinator_participants(const Coordinator *coordinator)
{
    GPtrArray *participants = g_ptr_array_new_with_free_func((GDestroyNotify)participant_free);

    if (coordinator->source.join)
        coordinator->source.join(participants, coordinator->source.user_data);
    return participants;
}

const Report *coordinator_report(const Coordinator *coordinator)
{
    return coordinator->operation ? coordinator->operation->report : NULL;
}

int64_t coordinator_frozen_us(const Coordinator *coordinator)
{
    const Operation *operation = coordinator->operation;

    return operation && operation->frozen && !operation->stage_thawed ? operation->frozen_us : 0;
}

MachineState coordinator_state(const Coordinator *coordinator)
{
    return coordinator->state;
}

const char *coordinator_fsfreeze_status(const Coordinator *coordinator)
{
    const Operation *operation = coordinator->operation;
    const Operation *straggler = coordinator->straggler;
    /* Of a thaw that was answered with an error; hosts that ask again must not be told otherwise.
     */
    bool frozen = straggler && straggler->stage && fs_stage_frozen(straggler->stage) > 0;

    switch (coordinator->state) {
    case STATE_FROZEN:
        /* Hosts take "frozen" for held, and their snapshot for good; a rehearsal holds no disk. */
        frozen = !operation->report->rehearsal;
        break;
    case STATE_THAWING:
        frozen = frozen || (operation && operation->stage && fs_stage_frozen(operation->stage) > 0);
        break;
    case STATE_LOST:
        /* A participant lost its hold; the filesystems wait for the thaw, whatever is configured:
         * a host that does not thaw because of the answer would leave them so. */
        if (operation && !operation->releasing)
            frozen = true;
        else if (coordinator->spec.config->quiesce.lost_status == LOST_STATUS_AUTO)
            frozen = coordinator->spec.profile->lost_is_frozen;
        else
            frozen = coordinator->spec.config->quiesce.lost_status == LOST_STATUS_FROZEN;
        break;
    default:
        break;
    }
    return frozen ? "frozen" : "thawed";
}

bool coordinator_verdict_pending(const Coordinator *coordinator)
{
    return coordinator->verdict;
}

bool coordinator_ready(const Coordinator *coordinator, const char **ret_reason)
{
    const char *reason = NULL;

    if (!coordinator->spec.ledger)
        reason = coordinator->spec.ledger_error;
    else
        reason = keeper_unready_reason(coordinator->keeper);
    if (ret_reason)
        *ret_reason = reason;
    return reason == NULL;
}

void coordinator_save(Coordinator *coordinator, void (*done)(gpointer user_data),
                      gpointer user_data)
{
    archive_flush(coordinator->archive, done, user_data);
}

char *coordinator_metrics_text(const Coordinator *coordinator)
{
    return metrics_text(&coordinator->metrics);
}

History *coordinator_history(Coordinator *coordinator)
{
    return coordinator->history;
}

bool coordinator_commands_limited(const Coordinator *coordinator)
{
    switch (coordinator->state) {
    case STATE_FREEZING:
    case STATE_FROZEN:
    case STATE_THAWING:
    case STATE_ABORTING:
        return true;
    case STATE_LOST:
        return coordinator->operation && !coordinator->operation->stage_thawed;
    default:
        return false;
    }
}

int64_t coordinator_reply_budget(const Coordinator *coordinator)
{
    int64_t configured = coordinator->spec.config->quiesce.reply_budget_us;

    return configured == CONFIG_REPLY_AUTO ? coordinator->spec.profile->reply_budget_us
                                           : configured;
}

int64_t coordinator_frozen_limit(const Coordinator *coordinator)
{
    return coordinator->operation ? coordinator->operation->limit_us
                                  : coordinator_limit(coordinator, 0);
}

int64_t coordinator_limit(const Coordinator *coordinator, int64_t wanted_us)
{
    int64_t configured_us = coordinator->spec.config->quiesce.frozen_limit_us;

    return MIN(wanted_us > 0 ? wanted_us : configured_us,
               hungtask_limit(coordinator->spec.paths.procfs, NULL));
}

bool coordinator_survey(Coordinator *coordinator, SurveyDone done, gpointer user_data,
                        GError **error)
{
    return survey_run(&coordinator->spec.paths, coordinator->spec.config, done, user_data, error) !=
           NULL;
}

bool coordinator_warnings(Coordinator *coordinator, GPtrArray *mounts,
                          const char *const *mountpoints, WarningsDone done, gpointer user_data,
                          GError **error)
{
    const CoordinatorSpec *own = &coordinator->spec;
    WarningsSpec spec = {
        .paths = own->paths,
        .mounts = mounts,
        .mountpoints = mountpoints,
        .log_in_journal = log_to_journal(own->log),
        .reply_budget_us = coordinator_reply_budget(coordinator),
        .limit_us = own->config->quiesce.frozen_limit_us,
    };

    return warnings_run(&spec, done, user_data, error) != NULL;
}
