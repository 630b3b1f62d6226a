/*
 * families: the command tables of each file under commands/, joined by commands.c.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "commands/ask.h"
#include "quiesce/coordinator_requests.h"

extern const Command CORE_COMMANDS[];
extern const unsigned CORE_COMMANDS_COUNT;
extern const Command FSFREEZE_COMMANDS[];
extern const unsigned FSFREEZE_COMMANDS_COUNT;
extern const Command QUIESCE_COMMANDS[];
extern const unsigned QUIESCE_COMMANDS_COUNT;
extern const Command SYSTEM_COMMANDS[];
extern const unsigned SYSTEM_COMMANDS_COUNT;
extern const Command HARDWARE_COMMANDS[];
extern const unsigned HARDWARE_COMMANDS_COUNT;
extern const Command NETWORK_COMMANDS[];
extern const unsigned NETWORK_COMMANDS_COUNT;
extern const Command STATISTICS_COMMANDS[];
extern const unsigned STATISTICS_COMMANDS_COUNT;
extern const Command STORAGE_COMMANDS[];
extern const unsigned STORAGE_COMMANDS_COUNT;

/* Asked ahead, as they must be known while filesystems are frozen. */
extern const Question OSINFO_QUESTION;
extern const Question TIMEZONE_QUESTION;
extern const Question FSINFO_QUESTION;
extern const Question DISKS_QUESTION;

extern const Command FILE_COMMANDS[];
extern const unsigned FILE_COMMANDS_COUNT;
extern const Command ACCOUNT_COMMANDS[];
extern const unsigned ACCOUNT_COMMANDS_COUNT;
extern const Command CLOCK_COMMANDS[];
extern const unsigned CLOCK_COMMANDS_COUNT;
extern const Command HOTPLUG_COMMANDS[];
extern const unsigned HOTPLUG_COMMANDS_COUNT;
extern const Command POWER_COMMANDS[];
extern const unsigned POWER_COMMANDS_COUNT;
extern const Command TRIM_COMMANDS[];
extern const unsigned TRIM_COMMANDS_COUNT;
extern const Command EXEC_COMMANDS[];
extern const unsigned EXEC_COMMANDS_COUNT;

/* fsfreeze.c, for quiesce.c too: a refused or failed freeze or thaw. */
void fsfreeze_answer_failed(Call *call, const Answer *answer);
