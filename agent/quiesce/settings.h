/*
 * settings: the kernel's settings that a freeze changes for the time being.
 *
 *   pre-sync: write-back begins early (gentle)        freezing: grace periods are expedited
 *
 * Each is put into the ledger before it is changed, so that whoever recovers can put it back. What
 * somebody else changed meanwhile, to another value than ours, stays as he wants it. Without them a
 * freeze works, too, only slower: what cannot be read or written is left as it is. Waits for
 * nothing.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "sys/ledger.h"

/* True: changed, to be ended. One that could not be put back before is, first. */
bool settings_gentle(Ledger *ledger, const char *procfs);
bool settings_expedite(Ledger *ledger, const char *sysfs);
/* As the ledger says; nothing is done when it says nothing. True: could not be put back, to be
 * tried again. */
bool settings_gentle_end(Ledger *ledger, const char *procfs);
bool settings_expedite_end(Ledger *ledger, const char *sysfs);
