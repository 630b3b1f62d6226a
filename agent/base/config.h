/*
 * config: what quiesced.conf and quiesced.conf.d/ *.conf, or the same keys as long options, say.
 *
 * config_read.h fills it. Times are kept in microseconds.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/error.h"
#include "base/keyfile.h"
#include "base/log.h"
#include <stdbool.h>
#include <stdint.h>

#define CONFIG_CHANNELS_MAX 16u
#define CONFIG_REPLY_AUTO   INT64_C(-1) /* by host profile */

typedef enum { LOST_STATUS_AUTO, LOST_STATUS_FROZEN, LOST_STATUS_THAWED } LostStatus;

typedef struct {
    char *name;
    char *method; /* one of the four names; after config_finish() neither is NULL */
    char *path;
    bool observe; /* commands=observe: nothing that changes state */
} ConfigChannel;

/* Lists are never NULL (rpc.allow excepted). */
typedef struct {
    struct {
        int64_t participant_timeout_us, freeze_budget_us, abort_budget_us, thaw_budget_us;
        int64_t reply_budget_us; /* CONFIG_REPLY_AUTO */
        int64_t frozen_limit_us, frozen_limit_max_us, lost_window_us;
        LostStatus lost_status;
        char *host;              /* "auto" or a profile name */
        bool disconnect_cancels; /* on-disconnect=cancel */
        bool absent_when_unable; /* when-unable=absent */
        bool emergency_thaw;
    } quiesce;
    struct {
        char **include, **exclude;
        bool skip_errors;    /* on-error=skip */
        bool all_namespaces; /* namespaces=all */
        bool pre_sync;
    } filesystems;
    struct {
        char **directories;
        char *stock_directory, *stock_hook; /* NULL: none */
        bool abort_on_refused;              /* on-refused=abort */
        bool report_output;
    } hooks;
    GPtrArray *channels; /* ConfigChannel *; at least one after config_finish() */
    struct {
        char **allow, **block; /* command names; NULL allow: all */
    } rpc;
    LogLevel log_level;
} Config;

Config *config_new(void); /* defaults */
void config_free(Config *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Config, config_free)
