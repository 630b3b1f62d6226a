/*
 * logind: keeps the machine from suspending or going down while something is frozen, for the moment
 * that a thaw takes.
 *
 * A delay inhibitor of systemd-logind, taken over D-Bus without waiting for it: when the bus or
 * logind is not there nothing is inhibited, and nothing fails. The bus is connected to at the first
 * hold, so that an agent that never froze anything has no connection.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#define LOGIND_CALL_MS 2000 /* logind takes milliseconds; one that hangs is no reason to wait */

typedef struct Logind Logind;

/* The machine is about to suspend, or to go down; whoever holds has seconds to release. */
typedef void (*LogindGoing)(bool suspend, gpointer user_data);

Logind *logind_new(LogindGoing going, gpointer user_data);
void logind_free(Logind *logind);           /* releases; NULL is fine */
void logind_hold(Logind *logind);           /* from now on `going` is told; again is no harm */
void logind_release(Logind *logind);        /* the machine may go; so is this */
bool logind_inhibits(const Logind *logind); /* logind has granted it */
