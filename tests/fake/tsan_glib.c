/*
 * tsan_glib: tells ThreadSanitizer what GLib's queue of sources guarantees.
 *
 * GLib is not instrumented, and its locks are futexes of its own: what a thread wrote before
 * g_idle_add_full() looks to the sanitizer as if the main loop read it unordered. Linked into the
 * programs of a -fsanitize=thread build in place of GLib's function, whose contract this one keeps.
 * Empty in every other build.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <glib.h>

#ifdef __SANITIZE_THREAD__
#define TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TSAN 1
#endif
#endif

#ifdef TSAN
#include <sanitizer/tsan_interface.h>

typedef struct {
    GSourceFunc function;
    gpointer data;
    GDestroyNotify notify;
} Idle;

static gboolean on_idle(gpointer user_data)
{
    Idle *idle = user_data;

    __tsan_acquire(idle);
    return idle->function(idle->data);
}

static void idle_free(gpointer user_data)
{
    Idle *idle = user_data;

    if (idle->notify)
        idle->notify(idle->data);
    g_free(idle);
}

guint g_idle_add_full(gint priority, GSourceFunc function, gpointer data, GDestroyNotify notify)
{
    g_autoptr(GSource) source = g_idle_source_new();
    Idle *idle = g_new(Idle, 1);

    *idle = (Idle){function, data, notify};
    g_source_set_priority(source, priority);
    g_source_set_callback(source, on_idle, idle, idle_free);
    __tsan_release(idle);
    return g_source_attach(source, NULL);
}
#endif
