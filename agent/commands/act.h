/*
 * act: commands that change something by calls that may block: done in a thread, answered once.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "commands/call.h"

/* In a thread. A new reference, NULL for {}, or NULL with `error`, whose text the host gets. */
typedef json_t *(*ActFunc)(const AskPaths *paths, gpointer input, GError **error);

/* Answers `call`, at `wait_us` at the latest. `input` is taken over. */
void act(Call *call, ActFunc func, gpointer input, GDestroyNotify input_free, int64_t wait_us);
