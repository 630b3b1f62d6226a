/*
 * ledger_internal: what ledger.c (the file, an operation) and ledger_kept.c (what outlives it)
 * share.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "sys/ledger.h"

struct Ledger {
    int lock_fd, fd;
    KeeperLedgerHeader *header; /* SIZE_MAX_ mapped; only the file's size may be touched */
};

static inline KeeperLedgerFilesystem *ledger_filesystem_at(const Ledger *ledger, unsigned index)
{
    return (KeeperLedgerFilesystem *)(void *)(ledger->header + 1) + index;
}

static inline KeeperLedgerParticipant *ledger_participant_at(const Ledger *ledger, unsigned index)
{
    return (KeeperLedgerParticipant *)(void *)ledger_filesystem_at(ledger,
                                                                   ledger->header->n_filesystems) +
           index;
}

static inline void ledger_store(uint32_t *flag, uint32_t value)
{
    __atomic_store_n(flag, value, __ATOMIC_RELEASE);
}

static inline uint32_t ledger_load(const uint32_t *flag)
{
    return __atomic_load_n(flag, __ATOMIC_ACQUIRE);
}

/* Cut at a character: the text is shown to people. */
void ledger_copy_text(char *target, size_t size, const char *source);
