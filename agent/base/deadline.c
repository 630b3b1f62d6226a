/*
 * deadline: see deadline.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "base/deadline.h"

int64_t deadline_now(void)
{
    return g_get_monotonic_time();
}

Deadline deadline_in(int64_t interval_us)
{
    int64_t now = deadline_now();

    if (interval_us >= INT64_MAX - now)
        return DEADLINE_NEVER;
    return (Deadline){now + MAX(interval_us, 0)};
}

Deadline deadline_earlier(Deadline a, Deadline b)
{
    return a.at_us <= b.at_us ? a : b;
}

int64_t deadline_left(Deadline deadline)
{
    if (deadline.at_us == INT64_MAX)
        return INT64_MAX;
    return MAX(deadline.at_us - deadline_now(), 0);
}

bool deadline_passed(Deadline deadline)
{
    return deadline_left(deadline) == 0;
}

static gboolean deadline_dispatch(GSource *source, GSourceFunc func, gpointer user_data)
{
    /* One shot: without this a source whose callback forgot to return REMOVE would spin. */
    g_source_set_ready_time(source, -1);
    return func ? func(user_data) : G_SOURCE_REMOVE;
}

static GSourceFuncs deadline_funcs = {
    .dispatch = deadline_dispatch,
};

GSource *deadline_source_new(Deadline deadline, GSourceFunc func, gpointer user_data)
{
    GSource *source = g_source_new(&deadline_funcs, sizeof(GSource));

    g_source_set_name(source, "deadline");
    g_source_set_ready_time(source, deadline.at_us == INT64_MAX ? -1 : deadline.at_us);
    g_source_set_callback(source, func, user_data, NULL);
    g_source_attach(source, NULL);
    return source;
}

void deadline_source_clear(GSource **source)
{
    if (!*source)
        return;
    g_source_destroy(*source);
    g_clear_pointer(source, g_source_unref);
}
