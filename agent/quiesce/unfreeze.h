/*
 * unfreeze: thaws what the ledger says is frozen, without the keeper that froze it, until it is
 * certain that nothing is left.
 *
 * What the ledger has as frozen is thawed down the ranks. What it has as in flight is tried again
 * and again: a FIFREEZE that a dead keeper left in the kernel may complete at any time. One round
 * that finds nothing after `settled` said that nobody can freeze any more is the end. Entries
 * that are only intended, and those frozen by others, are never touched: the ledger is written
 * before the call.
 *
 * By fds where there are any, else opened anew: the ledger's path, or its device wherever that is
 * mounted, in whatever namespace. Calls that may hang are made by
 * threads; nothing here blocks.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/deadline.h"
#include "sys/ledger.h"

/* A FITHAW of what is not frozen yet costs a microsecond; what completes is thawed this soon. */
#define UNFREEZE_AGAIN_US (50 * USEC_PER_MSEC)
/* From this long on a tenth of the pace: what takes that long takes longer still. */
#define UNFREEZE_PATIENT_US (10 * USEC_PER_SEC)
#define UNFREEZE_OPEN_US    (3 * USEC_PER_SEC) /* one open by path, tried again in each round */
/* So often in turn no mount of it was found: one look may miss a namespace that just ends. */
#define UNFREEZE_LOOKS 3u

typedef struct Unfreeze Unfreeze;

typedef struct {
    Ledger *ledger;
    const int *fds; /* by ledger index, -1: none; NULL: none at all. Borrowed until the end. */
    unsigned n_fds;
    bool by_path; /* the ledger's devices are invented (tests): only its paths count */
    /* No thread of the keeper that froze is left, or it says that it is idle. */
    bool (*settled)(gpointer user_data);
    /* One is thawed now. `error_number`: 0 by us, EINVAL it was not frozen any more. */
    void (*thawed)(unsigned index, int error_number, gpointer user_data);
    /* One could not be thawed and is tried again; told once per filesystem. */
    void (*failed)(unsigned index, int error_number, gpointer user_data);
    /* Nothing is left; the Unfreeze is to be freed by the callee. Never from unfreeze_new(). */
    void (*done)(gpointer user_data);
    /* After UNFREEZE_PATIENT_US something is still frozen; told once. NULL: nobody to tell. */
    void (*hopeless)(gpointer user_data);
    /* unfreeze_is_unreachable() became true; told once. NULL: nobody to tell. */
    void (*unreachable)(gpointer user_data);
    gpointer user_data;
} UnfreezeSpec;

Unfreeze *unfreeze_new(const UnfreezeSpec *spec);
void unfreeze_free(Unfreeze *unfreeze); /* no callback follows; calls under way end by themselves */
unsigned unfreeze_left(const Unfreeze *unfreeze); /* frozen or in flight, by the ledger */
/* Nobody can freeze or thaw any more, and nothing is left but what has no fd and was not found
 * mounted anywhere. Tries go on. */
bool unfreeze_is_unreachable(const Unfreeze *unfreeze);
