/*
 * renew: see renew.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/renew.h"

#include "sys/fdstore.h"

#define REPLACED " (deleted)" /* proc(5), /proc/PID/exe */

struct Renew {
    RenewSpec spec;
    FdStore *store;
    char *program;
    bool asked, settled, storing;
    GSource *timer;    /* not before */
    GSource *patience; /* until it is over, what is owed counts */
    unsigned stored;
};

static void arm(Renew *renew);

Renew *renew_new(const RenewSpec *spec)
{
    Renew *renew = g_new0(Renew, 1);

    renew->spec = *spec;
    if (renew->spec.settle_us == 0)
        renew->spec.settle_us = RENEW_SETTLE_US;
    if (renew->spec.owed_us == 0)
        renew->spec.owed_us = RENEW_OWED_US;
    renew->store = fdstore_new(spec->manager, FDSTORE_PORTS);
    renew->program = g_build_filename(spec->procfs, "self", "exe", NULL);
    return renew;
}

void renew_free(Renew *renew)
{
    if (!renew)
        return;
    deadline_source_clear(&renew->timer);
    deadline_source_clear(&renew->patience);
    fdstore_free(renew->store);
    g_free(renew->program);
    g_free(renew);
}

static bool was_replaced(const Renew *renew)
{
    g_autofree char *target = g_file_read_link(renew->program, NULL);

    return target && g_str_has_suffix(target, REPLACED);
}

static bool is_owed(const Renew *renew)
{
    return renew->patience && renew->spec.owed && renew->spec.owed(renew->spec.user_data);
}

static bool may_go(const Renew *renew)
{
    return renew->asked && renew->settled && renew->spec.may_leave(renew->spec.user_data) &&
           !is_owed(renew);
}

static void on_stored(bool stored, gpointer user_data)
{
    Renew *renew = user_data;

    renew->storing = false;
    if (stored && may_go(renew)) {
        renew->spec.leave(renew->spec.user_data);
        return;
    }
    /* A port that is in the store stays open when the service closes it. */
    fdstore_remove(renew->store, renew->stored);
    arm(renew);
}

static gboolean on_timer(gpointer user_data)
{
    Renew *renew = user_data;

    deadline_source_clear(&renew->timer);
    renew_consider(renew);
    return G_SOURCE_REMOVE;
}

static void arm(Renew *renew)
{
    deadline_source_clear(&renew->timer);
    if (renew->settled)
        renew->timer = deadline_source_new(deadline_in(renew->spec.settle_us), on_timer, renew);
}

void renew_consider(Renew *renew)
{
    int fds[RENEW_PORTS_MAX];

    if (!renew || renew->timer || renew->storing || !may_go(renew))
        return;
    renew->stored = renew->spec.ports(fds, RENEW_PORTS_MAX, renew->spec.user_data);
    renew->storing = true;
    fdstore_put(renew->store, fds, NULL, renew->stored, deadline_in(RENEW_STORE_US), on_stored,
                renew);
}

static gboolean on_impatient(gpointer user_data)
{
    Renew *renew = user_data;

    deadline_source_clear(&renew->patience);
    renew_consider(renew);
    return G_SOURCE_REMOVE;
}

bool renew_ask(Renew *renew, bool anyway)
{
    if (!renew || !renew->spec.manager || (!anyway && !was_replaced(renew)))
        return false;
    if (renew->asked)
        return true;
    renew->asked = true;
    renew->patience = deadline_source_new(deadline_in(renew->spec.owed_us), on_impatient, renew);
    arm(renew);
    return true;
}

void renew_settled(Renew *renew, bool settled)
{
    if (!renew || renew->settled == settled)
        return;
    renew->settled = settled;
    if (renew->asked)
        arm(renew);
}

void renew_took(Renew *renew, unsigned count)
{
    if (!renew)
        return;
    for (unsigned i = 0; i < count; i++)
        fdstore_found(renew->store, (int)i);
    fdstore_remove(renew->store, count);
}
