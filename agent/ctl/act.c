/*
 * act: freeze, rehearse, thaw; and monitor, which follows what others do.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "ctl/ctl.h"

#include "base/error.h"

#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define FREEZE_MS 70000 /* the largest reply budget, and the rollback */
#define THAW_MS   30000 /* thaw-budget is 3 s; a slow participant may be configured */
/* Should quiescectl die in a rehearsal, applications are let go by then. */
#define REHEARSAL_LIMIT_MS 60000u

static GVariant *freeze_options(const Ctl *ctl)
{
    GVariantBuilder options;

    g_variant_builder_init(&options, G_VARIANT_TYPE_VARDICT);
    if (ctl->rehearse)
        g_variant_builder_add(&options, "{sv}", "filesystems", g_variant_new_string("none"));
    if (ctl->arguments[0])
        g_variant_builder_add(&options, "{sv}", "mountpoints",
                              g_variant_new_strv((const char *const *)ctl->arguments, -1));
    if (ctl->limit_s || ctl->rehearse)
        g_variant_builder_add(
            &options, "{sv}", "frozen-limit-ms",
            g_variant_new_uint32(ctl->limit_s ? (guint32)ctl->limit_s * 1000 : REHEARSAL_LIMIT_MS));
    return g_variant_new("(a{sv})", &options);
}

static GVariant *only(const char *operation)
{
    GVariantBuilder options;

    g_variant_builder_init(&options, G_VARIANT_TYPE_VARDICT);
    if (operation && *operation)
        g_variant_builder_add(&options, "{sv}", "operation", g_variant_new_string(operation));
    return g_variant_new("(a{sv})", &options);
}

/* The report of an operation just ended, or of the newest. */
static int show_report(const Ctl *ctl, Client *client, const char *operation, GError **error)
{
    json_t *history =
        client_call_json(client, "History", only(operation), CLIENT_ASK_MS, false, error);
    const json_t *report = json_array_get(json_object_get(history, "operations"), 0);
    int status = history ? CTL_OK : CTL_NO;

    if (report && ctl->json)
        (void)ctl_print_json(report);
    else if (report)
        show_operation(ctl, report);
    json_decref(history);
    return status;
}

static int rehearsed(const Ctl *ctl, Client *client, const json_t *freeze)
{
    const char *operation = fact_text(freeze, "operation");
    g_autoptr(GError) error = NULL;
    json_t *thaw = client_call_json(client, "Thaw", only(operation), THAW_MS, false, &error);
    bool held = fact_true(thaw, "held");
    int status = CTL_OK;

    if (!thaw)
        return ctl_fail(error);
    json_decref(thaw);
    status = show_report(ctl, client, operation, &error);
    if (error)
        return ctl_fail(error);
    if (!ctl->json)
        (void)printf("\nA rehearsal: %s; no filesystem was touched.\n",
                     held ? "everybody took part" : "not everybody held on");
    return held && strcmp(fact_text(freeze, "level"), "crash") != 0 ? status : CTL_NO;
}

static void print_frozen(const json_t *answer)
{
    g_autofree char *took = paint_duration(fact_number(answer, "freeze-ms", 0));
    g_autofree char *limit = paint_duration(fact_number(answer, "frozen-limit-ms", 0));

    (void)printf("Frozen in %s: %" G_GINT64_FORMAT " held, level %s. Ends by itself in %s.\n"
                 "End it with: quiescectl thaw\n",
                 took, fact_number(answer, "count", 0), fact_text(answer, "level"), limit);
}

int ctl_freeze(const Ctl *ctl)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Client) client = client_new(&error);
    json_t *answer =
        client ? client_call_json(client, "Freeze", freeze_options(ctl), FREEZE_MS, true, &error)
               : NULL;
    int status = CTL_OK;

    if (!answer) {
        /* Who failed, when and how long it took: worth more than the error alone. */
        if (client && ctl->rehearse && !ctl->json &&
            g_error_matches(error, AGENT_ERROR, AGENT_ERROR_FAILED)) {
            (void)show_report(ctl, client, NULL, NULL);
            (void)puts("");
        }
        return ctl_fail(error);
    }
    if (ctl->rehearse)
        status = rehearsed(ctl, client, answer);
    else if (ctl->json)
        (void)ctl_print_json(answer);
    else
        print_frozen(answer);
    json_decref(answer);
    return status;
}

int ctl_thaw(const Ctl *ctl)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Client) client = client_new(&error);
    json_t *answer =
        client ? client_call_json(client, "Thaw", only(ctl->arguments[0]), THAW_MS, false, &error)
               : NULL;
    const char *reason = fact_text(answer, "level-reason");
    bool held = fact_true(answer, "held"), any = *fact_text(answer, "operation");
    g_autofree char *frozen = paint_duration(fact_number(answer, "frozen-ms", 0));

    if (!answer)
        return ctl_fail(error);
    if (ctl->json)
        (void)ctl_print_json(answer);
    else if (!any)
        (void)puts("Nothing was frozen.");
    else if (held)
        (void)printf("Thawed after %s, level %s.\n", frozen, fact_text(answer, "level"));
    else
        (void)printf("Thawed, but the freeze had not held until now%s%s.\n", *reason ? ": " : "",
                     reason);
    json_decref(answer);
    return any && !held ? CTL_NO : CTL_OK;
}

/* --- monitor -----------------------------------------------------------------------------------
 */

typedef struct {
    const Ctl *ctl;
    GMainLoop *loop;
} Monitor;

static void told(const char *state, const char *operation, const char *level, gpointer user_data)
{
    Monitor *monitor = user_data;
    int64_t now = g_get_real_time() / 1000;

    if (monitor->ctl->json) {
        json_t *line = json_pack("{s:I, s:s, s:s, s:s}", "unix-ms", (json_int_t)now, "state",
                                 state ? state : "gone", "operation", operation, "level", level);
        (void)ctl_print_json(line);
        json_decref(line);
    } else {
        g_autofree char *time = paint_time(now);

        (void)printf("%s  %-10s %.8s%s%s\n", time, state ? state : "the service left", operation,
                     *level ? "  " : "", level);
    }
    (void)fflush(stdout);
}

static gboolean interrupted(gpointer user_data)
{
    g_main_loop_quit(((Monitor *)user_data)->loop);
    return G_SOURCE_CONTINUE;
}

static void bus_closed(GDBusConnection *bus, gboolean by_peer, GError *error, gpointer user_data)
{
    (void)bus;
    (void)by_peer;
    (void)error;
    g_main_loop_quit(((Monitor *)user_data)->loop);
}

int ctl_monitor(const Ctl *ctl)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Client) client = client_new(&error);
    Monitor monitor = {.ctl = ctl};
    int exit_status = CTL_OK;
    json_t *status = NULL;

    if (!client)
        return ctl_fail(error);
    client_watch(client, told, &monitor); /* before the first look: nothing falls in between */
    status = client_call_json(client, "Status", NULL, CLIENT_ASK_MS, false, &error);
    if (!status)
        return ctl_fail(error);
    monitor.loop = g_main_loop_new(NULL, FALSE);
    (void)g_unix_signal_add(SIGINT, interrupted, &monitor);
    (void)g_unix_signal_add(SIGTERM, interrupted, &monitor);
    g_signal_connect(client_connection(client), "closed", G_CALLBACK(bus_closed), &monitor);
    told(fact_text(status, "state"), fact_text(status, "operation"), fact_text(status, "level"),
         &monitor);
    json_decref(status);
    g_main_loop_run(monitor.loop);
    if (g_dbus_connection_is_closed(client_connection(client))) {
        g_set_error(&error, AGENT_ERROR, AGENT_ERROR_UNAVAILABLE, "the bus closed the connection");
        exit_status = ctl_fail(error);
    }
    g_main_loop_unref(monitor.loop);
    return exit_status;
}
