/*
 * config_read: fills a Config from files and options, checks it, and writes it out again.
 *
 * Unknown groups, unknown keys and bad values are errors "FILE:LINE: …" that say what would be
 * right; never ignored. Later files win over earlier ones, options over files. Reading touches
 * disks: at start, on SIGHUP (offloaded) and in --dump-conf only.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/config.h"

/* Reads `path` (must exist when `required`) and then `path`.d/ *.conf in lexical order. On error
 * what came before it has been taken: throw the Config away. */
bool config_read(Config *config, const char *path, bool required, GError **error);
/* One option of the command line: group and key as in the file; `origin` is "--frozen-limit" (then
 * errors are AGENT_ERROR_USAGE) or "FILE:LINE" of a file read elsewhere. */
bool config_set(Config *config, const char *group, const char *key, const char *value,
                const char *origin, GError **error);
/* Finds the group of an option name ("frozen-limit" -> "quiesce"); NULL: no such option. Keys that
 * stand in several groups have no option. */
const char *config_group_of(const char *key);
/* Checks across keys (frozen-limit <= frozen-limit-max, …), adds the default channel. */
bool config_finish(Config *config, GError **error);
/* The whole configuration as a file that config_read() takes. */
char *config_dump(const Config *config);

/* "10", "2.5", "5m", "500ms", "1h" -> microseconds; false on anything else. */
bool config_parse_time(const char *text, int64_t *ret_us);
char **config_split_list(const char *text); /* ',' or ';', blanks trimmed, empty items dropped */
