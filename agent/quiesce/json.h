/*
 * json: the shapes of guest-quiesce-status, -plan and -report (docs/host.md describes every
 * member).
 *
 * Optional members are absent, never null. Each function returns a new reference. Lists stop when
 * the whole would pass QUIESCE_JSON_MAX; `truncated` then says so.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "quiesce/coordinator_requests.h"
#include "quiesce/coordinator_view.h"
#include <jansson.h>

#define QUIESCE_JSON_MAX                                                                           \
    ((size_t)1 << 20) /* hosts parse whole lines; libvirt drops us at 10 MiB                       \
                       */

json_t *quiesce_status_json(const Coordinator *coordinator);
/* One of them; takes what it needs from `*budget` bytes. NULL: it did not fit. */
json_t *quiesce_one_report_json(const Report *report, size_t *budget, bool *truncated);
/* `operation` NULL: the newest `limit` ones. */
json_t *quiesce_report_json(Coordinator *coordinator, const char *operation, unsigned limit);
/* Of a finished survey and its warnings; `mountpoints` NULL: all. */
json_t *quiesce_plan_json(Coordinator *coordinator, const Survey *survey, const Warnings *warnings,
                          const char *const *mountpoints);

/* Of ANSWER_OK to a freeze, or to a thaw. */
json_t *quiesce_freeze_json(const Coordinator *coordinator, const Answer *answer);
json_t *quiesce_thaw_json(const Answer *answer);
/* One participant as in a plan. */
json_t *quiesce_participant_json(const Config *config, const Participant *participant);

/* Appends and takes over `item` unless `*budget` bytes do not hold it; false: it was dropped. */
bool json_append_within(json_t *array, json_t *item, size_t *budget);
void json_set_text(json_t *object, const char *key, const char *text); /* NULL: left out */
void json_set_ms(json_t *object, const char *key, int64_t us);         /* < 0: left out */
