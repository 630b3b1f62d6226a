/*
 * families: the command tables of each file under commands/, joined by commands.c.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "commands/call.h"

extern const Command CORE_COMMANDS[];
extern const unsigned CORE_COMMANDS_COUNT;
extern const Command FSFREEZE_COMMANDS[];
extern const unsigned FSFREEZE_COMMANDS_COUNT;
extern const Command QUIESCE_COMMANDS[];
extern const unsigned QUIESCE_COMMANDS_COUNT;

/* fsfreeze.c, for quiesce.c too: a refused or failed freeze or thaw. */
void fsfreeze_answer_failed(Call *call, const Answer *answer);
