/*
 * recovery_orphans: fds of a predecessor whose ledger is lost become an operation of a new ledger.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "quiesce/coordinator_state.h"

typedef enum {
    ORPHANS_NONE,    /* the ledger knows of an operation, or nothing was stored */
    ORPHANS_ADOPTED, /* the ledger's operation is made of them; when it froze is not known */
    ORPHANS_FAILED,  /* logged; the fds are all that the next start has */
} Orphanage;

/* The stored fds of the coordinator's spec, which keep their indices. */
Orphanage coordinator_adopt_orphans(Coordinator *coordinator);
