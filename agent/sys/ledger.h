/*
 * ledger: what is held, on tmpfs, so that whoever comes next can release it.
 *
 * A memory-mapped, locked file (/run/quiesced/ledger). It is laid out before the first verb, the
 * keeper maps the same file and writes the filesystems' states (ledger_layout.h has the layout),
 * the service writes participants, changed settings and the verdict (ledger_kept.h). Every write is
 * a store to mapped tmpfs memory: none waits, and all survive either process.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/error.h"
#include "keeper/message.h"
#include "sys/hookdir.h"

typedef struct Ledger Ledger;

typedef struct {
    unsigned major, minor, rank;
    const char *mountpoint, *device, *type;
    KeeperFilesystemState state; /* intended, but for what was frozen before the ledger was there */
} LedgerFilesystemSpec;

typedef struct {
    const char *name, *path; /* hook scripts: what to call at recovery */
    uint32_t kind;           /* HookKind */
    uint32_t verbs;
    uint32_t order, on_failure;
    const char *user; /* whom it runs as; NULL: the service's own */
} LedgerParticipantSpec;

/* Maps or creates the file and takes its lock; before the main loop, since it may wait a second for
 * it. Another holder: AGENT_ERROR_UNAVAILABLE naming its pid. A file that is not a ledger of this
 * version is set aside as FILE.bad and a new one made. */
Ledger *ledger_open(const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ledger_close(Ledger *ledger); /* unmaps, unlocks, keeps the file; NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Ledger, ledger_close)
int ledger_fd(const Ledger *ledger); /* for the keeper; owned by the ledger */

/* Lays out an operation of which no participant was called. */
bool ledger_begin(Ledger *ledger, const char *operation, const LedgerFilesystemSpec *filesystems,
                  unsigned n_filesystems, const LedgerParticipantSpec *participants,
                  unsigned n_participants, GError **error);
void ledger_end(Ledger *ledger); /* everything is released; the verdict stays */
bool ledger_active(const Ledger *ledger);
const char *ledger_operation(const Ledger *ledger); /* "" without one */

/* No thread is left of the keeper that armed this operation. */
bool ledger_keeper_gone(const Ledger *ledger);
uint32_t ledger_keeper_pid(const Ledger *ledger); /* 0: none armed */
void ledger_kill_keeper(const Ledger *ledger);    /* SIGKILL, if it is there */

unsigned ledger_filesystems(const Ledger *ledger);
const KeeperLedgerFilesystem *ledger_filesystem(const Ledger *ledger, unsigned index);
void ledger_set_filesystem(Ledger *ledger, unsigned index, KeeperFilesystemState state);

unsigned ledger_participants(const Ledger *ledger);
const KeeperLedgerParticipant *ledger_participant(const Ledger *ledger, unsigned index);
/* Before the verb is sent: `verb` is a HOOK_VERB_ bit; held until ledger_participant_released(). */
void ledger_participant_called(Ledger *ledger, unsigned index, uint32_t verb);
/* The process that holds for it, started at `started_us` (CLOCK_BOOTTIME). */
void ledger_participant_session(Ledger *ledger, unsigned index, uint32_t pid, int64_t started_us);
void ledger_participant_released(Ledger *ledger, unsigned index);
void ledger_participant_result(Ledger *ledger, unsigned index, uint32_t result); /* StepResult */

void ledger_set_frozen_since(Ledger *ledger, int64_t boottime_us, uint32_t limit_s);
int64_t ledger_frozen_since(const Ledger *ledger, uint32_t *ret_limit_s); /* 0: not frozen */
