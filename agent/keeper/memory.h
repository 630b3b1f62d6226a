/*
 * memory: what the keeper needs while something is frozen is there before.
 *
 * One anonymous mapping per operation, sized by its filesystems; the ledger's mapping; and the lock
 * on it all. Pages are locked as they are touched (MCL_ONFAULT): what stays untouched costs
 * nothing, code is read in ahead, and the tables are written to before the first freeze. Not being
 * allowed to lock (tests, containers) is no error.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "keeper/message.h"
#include <stddef.h>

void *memory_new(size_t size); /* zeroed, touched; NULL: errno */
void memory_free(void *memory, size_t size);

void memory_lock(void);
void memory_unlock(void);

/* Maps the ledger up to its `count` filesystems and checks that it is one. One mapping at a time.
 * If the file is cut short meanwhile the mapping becomes private memory instead of a SIGBUS: the
 * states are lost then, the thaw is not. Returns an errno value; keeps no reference to `fd`. */
int memory_ledger(int fd, uint32_t count, KeeperLedgerHeader **ret_ledger);
void memory_ledger_end(void);
KeeperLedgerFilesystem *memory_ledger_filesystems(KeeperLedgerHeader *ledger);
