/*
 * keeper_rig_files: what a test of the keeper sees of its "filesystems" from outside: their files
 * and the ledger.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "keeper_rig.h"

/* The last call of one kind, and how many there were. */
typedef struct {
    gint64 start, end;
    char result[16];
    unsigned calls;
} RigCall;

/* A file of the fake's in filesystem `index`; to be freed. */
char *rig_path(const Rig *rig, unsigned index, const char *name);
void rig_write(const Rig *rig, unsigned index, const char *name, const char *text);

bool rig_frozen(const Rig *rig, unsigned index);
bool rig_thawed_within(const Rig *rig, unsigned index, int ms);
/* `verb`: "sync", "freeze", "thaw". All 0 when there was none. */
RigCall rig_call(const Rig *rig, unsigned index, const char *verb);

/* In the ledger. */
KeeperFilesystemState rig_state(const Rig *rig, unsigned index);
void rig_await(const Rig *rig, unsigned index, KeeperFilesystemState state);
