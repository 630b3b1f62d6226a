/*
 * unfreeze: see unfreeze.h.
 *
 * A round looks through the ledger: all that is frozen becomes one batch, thawed by ranks; what is
 * in flight becomes a batch each, because its FITHAW may hang until the FIFREEZE is over and must
 * not hold up others. An entry in a batch under way is left out of the next rounds.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/unfreeze.h"

#include "sys/closer.h"
#include "sys/keeper_rescue.h"
#include "sys/offload.h"

#include <errno.h>
#include <unistd.h>

typedef struct {
    Unfreeze *unfreeze;
    unsigned index;
    int fd; /* -1: not open */
    bool owned, busy, told;
    unsigned lost; /* opens in turn that found no mount of it */
    OffloadOpen *open;
} Item;

/* FITHAWs under way; freed by its end, or cancelled by unfreeze_free(). */
typedef struct {
    Unfreeze *unfreeze;
    KeeperRescue *rescue;
    bool certain; /* `settled` was true before it began */
} Batch;

struct Unfreeze {
    UnfreezeSpec spec;
    Item *items;
    unsigned count;
    GPtrArray *batches;
    int64_t started_us;
    bool hopeless, unreachable; /* were told */
    bool certain;               /* `settled`, at the last round */
    GSource *timer;
};

static gboolean round_begin(gpointer user_data);

static KeeperFilesystemState state_of(const Unfreeze *unfreeze, unsigned index)
{
    const KeeperLedgerFilesystem *entry = ledger_filesystem(unfreeze->spec.ledger, index);

    return entry ? (KeeperFilesystemState)__atomic_load_n(&entry->state, __ATOMIC_ACQUIRE)
                 : KEEPER_FS_FAILED;
}

static bool is_left(const Unfreeze *unfreeze, unsigned index)
{
    KeeperFilesystemState state = state_of(unfreeze, index);

    return state == KEEPER_FS_FROZEN || state == KEEPER_FS_IN_FLIGHT;
}

unsigned unfreeze_left(const Unfreeze *unfreeze)
{
    unsigned left = 0;

    for (unsigned i = 0; i < unfreeze->count; i++)
        left += is_left(unfreeze, i);
    return left;
}

static bool is_patient(const Unfreeze *unfreeze)
{
    return deadline_now() - unfreeze->started_us > UNFREEZE_PATIENT_US;
}

static void again(Unfreeze *unfreeze, bool soon)
{
    int64_t delay = UNFREEZE_AGAIN_US;

    if (is_patient(unfreeze))
        delay *= 10;
    if (unfreeze->timer && !soon)
        return;
    deadline_source_clear(&unfreeze->timer);
    unfreeze->timer = deadline_source_new(deadline_in(soon ? 0 : delay), round_begin, unfreeze);
}

/* --- FITHAW ------------------------------------------------------------------------------------
 */

static void tell_failed(Unfreeze *unfreeze, unsigned index, int error_number)
{
    if (unfreeze->items[index].told)
        return;
    unfreeze->items[index].told = true;
    unfreeze->spec.failed(index, error_number, unfreeze->spec.user_data);
}

static void batch_thawed(unsigned index, int error_number, gpointer user_data)
{
    const Batch *batch = user_data;
    Unfreeze *unfreeze = batch->unfreeze;
    KeeperFilesystemState state = state_of(unfreeze, index);

    unfreeze->items[index].busy = false;
    if (error_number != 0 && error_number != EINVAL) {
        tell_failed(unfreeze, index, error_number);
        return;
    }
    /* Not frozen: the end of one that was; of one in flight only when it cannot complete later. */
    if (error_number == EINVAL && state == KEEPER_FS_IN_FLIGHT && !batch->certain)
        return;
    ledger_set_filesystem(unfreeze->spec.ledger, index,
                          error_number == EINVAL && state == KEEPER_FS_IN_FLIGHT
                              ? KEEPER_FS_FAILED
                              : KEEPER_FS_THAWED);
    unfreeze->spec.thawed(index, error_number, unfreeze->spec.user_data);
}

bool unfreeze_is_unreachable(const Unfreeze *unfreeze)
{
    unsigned lost = 0;

    for (unsigned i = 0; i < unfreeze->count; i++)
        lost += is_left(unfreeze, i) && unfreeze->items[i].lost >= UNFREEZE_LOOKS;
    return unfreeze->certain && lost > 0 && lost == unfreeze_left(unfreeze);
}

static void maybe_unreachable(Unfreeze *unfreeze)
{
    if (unfreeze->unreachable || !unfreeze_is_unreachable(unfreeze))
        return;
    unfreeze->unreachable = true;
    if (unfreeze->spec.unreachable)
        unfreeze->spec.unreachable(unfreeze->spec.user_data);
}

static void batch_done(unsigned pending, gpointer user_data)
{
    Batch *batch = user_data;
    Unfreeze *unfreeze = batch->unfreeze;

    (void)pending;
    (void)g_ptr_array_remove_fast(unfreeze->batches, batch); /* frees it */
    again(unfreeze, unfreeze->batches->len == 0 && unfreeze_left(unfreeze) == 0);
    maybe_unreachable(unfreeze);
}

static void batch_begin(Unfreeze *unfreeze, const KeeperRescueFilesystem *list, unsigned count,
                        bool certain)
{
    Batch *batch = NULL;

    if (count == 0)
        return;
    batch = g_new0(Batch, 1);
    *batch = (Batch){.unfreeze = unfreeze, .certain = certain};
    g_ptr_array_add(unfreeze->batches, batch);
    for (unsigned i = 0; i < count; i++)
        unfreeze->items[list[i].index].busy = true;
    batch->rescue = keeper_rescue(list, count, DEADLINE_NEVER, batch_thawed, batch_done, batch);
}

/* --- fds ---------------------------------------------------------------------------------------
 */

static void item_opened(int fd, int error_number, gpointer user_data)
{
    Item *item = user_data;
    const int not_mounted = item->unfreeze->spec.by_path ? ENOENT : ENODEV;

    item->open = NULL;
    item->fd = fd;
    item->owned = fd >= 0;
    item->lost = fd < 0 && error_number == not_mounted ? item->lost + 1 : 0;
    if (fd < 0)
        tell_failed(item->unfreeze, item->index, error_number);
    again(item->unfreeze, fd >= 0);
    maybe_unreachable(item->unfreeze);
}

static bool has_fd(Unfreeze *unfreeze, Item *item)
{
    const KeeperLedgerFilesystem *entry = ledger_filesystem(unfreeze->spec.ledger, item->index);
    bool exact = !unfreeze->spec.by_path;
    ReachPlace place = {.path = entry->mountpoint,
                        .mount_id = -1,
                        .major = exact ? entry->major : 0,
                        .minor = exact ? entry->minor : 0};

    if (item->fd >= 0)
        return true;
    if (!item->open)
        item->open = offload_open(&place, deadline_in(UNFREEZE_OPEN_US), item_opened, item);
    return false;
}

/* --- rounds ------------------------------------------------------------------------------------
 */

static gboolean round_begin(gpointer user_data)
{
    Unfreeze *unfreeze = user_data;
    bool certain = unfreeze->spec.settled(unfreeze->spec.user_data);
    g_autofree KeeperRescueFilesystem *frozen = g_new0(KeeperRescueFilesystem, unfreeze->count + 1);
    unsigned n_frozen = 0;

    deadline_source_clear(&unfreeze->timer);
    unfreeze->certain = certain;
    if (certain && unfreeze->batches->len == 0 && unfreeze_left(unfreeze) == 0) {
        unfreeze->spec.done(unfreeze->spec.user_data);
        return G_SOURCE_REMOVE;
    }
    for (unsigned i = 0; i < unfreeze->count; i++) {
        Item *item = &unfreeze->items[i];
        KeeperRescueFilesystem one = {-1, 0, i};

        if (item->busy || !is_left(unfreeze, i) || !has_fd(unfreeze, item))
            continue;
        one.fd = item->fd;
        one.rank = ledger_filesystem(unfreeze->spec.ledger, i)->rank;
        if (state_of(unfreeze, i) == KEEPER_FS_IN_FLIGHT)
            batch_begin(unfreeze, &one, 1, certain);
        else
            frozen[n_frozen++] = one;
    }
    batch_begin(unfreeze, frozen, n_frozen, certain);
    if (is_patient(unfreeze) && !unfreeze->hopeless && unfreeze_left(unfreeze) > 0) {
        unfreeze->hopeless = true;
        if (unfreeze->spec.hopeless)
            unfreeze->spec.hopeless(unfreeze->spec.user_data);
    }
    again(unfreeze, false);
    return G_SOURCE_REMOVE;
}

static void batch_free(gpointer data)
{
    g_free(data);
}

Unfreeze *unfreeze_new(const UnfreezeSpec *spec)
{
    Unfreeze *unfreeze = g_new0(Unfreeze, 1);

    unfreeze->spec = *spec;
    unfreeze->count = ledger_filesystems(spec->ledger);
    unfreeze->items = g_new0(Item, unfreeze->count + 1);
    unfreeze->batches = g_ptr_array_new_with_free_func(batch_free);
    unfreeze->started_us = deadline_now();
    for (unsigned i = 0; i < unfreeze->count; i++)
        unfreeze->items[i] =
            (Item){.unfreeze = unfreeze, .index = i, .fd = i < spec->n_fds ? spec->fds[i] : -1};
    again(unfreeze, true);
    return unfreeze;
}

void unfreeze_free(Unfreeze *unfreeze)
{
    int *fds = NULL;
    unsigned count = 0;

    if (!unfreeze)
        return;
    fds = g_new(int, unfreeze->count + 1);
    for (unsigned i = 0; i < unfreeze->batches->len; i++)
        keeper_rescue_cancel(((Batch *)g_ptr_array_index(unfreeze->batches, i))->rescue);
    for (unsigned i = 0; i < unfreeze->count; i++) {
        Item *item = &unfreeze->items[i];

        if (item->open)
            offload_open_cancel(item->open);
        if (item->owned && item->fd >= 0)
            fds[count++] = item->fd;
    }
    fds[count] = -1;
    closer_close(CLOSER_OWN, fds);
    deadline_source_clear(&unfreeze->timer);
    g_ptr_array_unref(unfreeze->batches);
    g_free(unfreeze->items);
    g_free(unfreeze);
}
