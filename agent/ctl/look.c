/*
 * look: what is going on, and what a freeze would do: status, plan, participants, metrics.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "ctl/ctl.h"

#include <stdio.h>
#include <string.h>

static void print_state(const Ctl *ctl, const json_t *status)
{
    g_autofree char *frozen = paint_duration(fact_number(status, "frozen-ms", 0));
    g_autofree char *left = paint_duration(fact_number(status, "frozen-left-ms", 0));
    const char *state = fact_text(status, "state"), *level = fact_text(status, "level");
    const char *reason = fact_text(status, "level-reason");

    (void)printf("State         %s%s%s", paint_on(&ctl->paint, PAINT_BOLD), state,
                 paint_off(&ctl->paint));
    if (strcmp(state, "frozen") == 0)
        (void)printf(" for %s; thawed by itself in %s at the latest", frozen, left);
    (void)puts("");
    if (*fact_text(status, "operation"))
        (void)printf("Operation     %s\n", fact_text(status, "operation"));
    if (*level)
        (void)printf("Level         %s%s%s%s%s\n", paint_on(&ctl->paint, paint_of(level)), level,
                     paint_off(&ctl->paint), *reason ? ": " : "", reason);
    if (json_object_get(status, "filesystems-total"))
        (void)printf("Filesystems   %" G_GINT64_FORMAT " of %" G_GINT64_FORMAT " frozen\n",
                     fact_number(status, "filesystems-frozen", 0),
                     fact_number(status, "filesystems-total", 0));
}

static void print_waiting(const Ctl *ctl, const json_t *status)
{
    json_t *name, *participant;
    size_t i;

    json_array_foreach(json_object_get(status, "waiting-for"), i, name)(void)
        printf("Waiting for   %s%s%s\n", paint_on(&ctl->paint, PAINT_WARN), json_string_value(name),
               paint_off(&ctl->paint));
    json_array_foreach(json_object_get(status, "participants"), i, participant)
    {
        g_autofree char *took = paint_duration(fact_number(participant, "elapsed-ms", 0));
        const char *result = fact_text(participant, "result");
        const char *reason = fact_text(participant, "reason");

        if (fact_true(participant, "running"))
            result = "running";
        (void)printf("  %-24s %-8s %s%-9s%s %9s%s%s\n", fact_text(participant, "name"),
                     fact_text(participant, "verb"), paint_on(&ctl->paint, paint_of(result)),
                     result, paint_off(&ctl->paint), took, *reason ? "  " : "", reason);
    }
}

int ctl_status(const Ctl *ctl)
{
    int exit_status = CTL_OK;
    json_t *status = ctl_ask("Status", NULL, CLIENT_ASK_MS, &exit_status);

    if (!status)
        return exit_status;
    if (ctl->json) {
        (void)ctl_print_json(status);
    } else {
        print_state(ctl, status);
        if (fact_true(status, "ready"))
            (void)printf("Ready         yes, as %s host\n", fact_text(status, "host-profile"));
        else
            (void)printf("Ready         %sno: %s%s\n", paint_on(&ctl->paint, PAINT_BAD),
                         fact_text(status, "unready-reason"), paint_off(&ctl->paint));
        if (fact_true(status, "verdict-pending"))
            (void)puts(
                "Verdict       the host has not been told yet that its last freeze was lost");
        print_waiting(ctl, status);
    }
    if (!fact_true(status, "ready"))
        exit_status = CTL_NO;
    json_decref(status);
    return exit_status;
}

/* --- plan --------------------------------------------------------------------------------------
 */

static void print_findings(const Ctl *ctl, const json_t *list, const char *label,
                           PaintColour colour)
{
    json_t *finding;
    size_t i;

    json_array_foreach(list, i, finding)(void)
        printf("%s%s%s %s\n", paint_on(&ctl->paint, colour), label, paint_off(&ctl->paint),
               fact_text(finding, "text"));
}

static void print_plan_participants(const Ctl *ctl, const json_t *plan)
{
    json_t *participant;
    size_t i;

    json_array_foreach(json_object_get(plan, "participants"), i, participant)
    {
        const char *action = fact_text(participant, "action");
        const char *reason = fact_text(participant, "reason");
        json_t *verbs = json_object_get(participant, "verbs"), *verb;
        g_autoptr(GString) list = g_string_new(NULL);
        size_t k;

        json_array_foreach(verbs, k, verb)
            g_string_append_printf(list, "%s%s", k ? "," : "", json_string_value(verb));
        (void)printf("  %2" G_GINT64_FORMAT "  %s%-7s%s  %-20s %-12s %s%s%s%s\n",
                     fact_number(participant, "order", 0), paint_on(&ctl->paint, paint_of(action)),
                     action, paint_off(&ctl->paint), fact_text(participant, "name"),
                     fact_text(participant, "kind"), list->str, *reason ? "  (" : "", reason,
                     *reason ? ")" : "");
    }
}

static void print_plan_filesystems(const Ctl *ctl, const json_t *plan)
{
    json_t *item;
    size_t i;

    json_array_foreach(json_object_get(plan, "filesystems"), i, item)
    {
        const char *action = fact_text(item, "action"), *reason = fact_text(item, "reason");

        (void)printf("  %2" G_GINT64_FORMAT "  %s%-7s%s  %-28s %-8s %s%s%s%s%s\n",
                     fact_number(item, "rank", 0), paint_on(&ctl->paint, paint_of(action)), action,
                     paint_off(&ctl->paint), fact_text(item, "mountpoint"), fact_text(item, "type"),
                     fact_text(item, "device"),
                     fact_true(item, "foreign-namespace") ? "  [other namespace]" : "",
                     *reason ? "  (" : "", reason, *reason ? ")" : "");
    }
}

static void print_plan(const Ctl *ctl, const json_t *plan)
{
    g_autofree char *dirty = paint_bytes(fact_number(plan, "dirty-bytes", 0));
    g_autofree char *limit = paint_duration(fact_number(plan, "frozen-limit-ms", 0));
    const char *level = fact_text(plan, "level");

    if (fact_true(plan, "possible"))
        (void)printf("A freeze would reach the level %s%s%s.\n",
                     paint_on(&ctl->paint, paint_of(level)), level, paint_off(&ctl->paint));
    else
        (void)printf("%sA freeze is not possible now.%s\n", paint_on(&ctl->paint, PAINT_BAD),
                     paint_off(&ctl->paint));
    print_findings(ctl, json_object_get(plan, "blockers"), "blocker:", PAINT_BAD);
    print_findings(ctl, json_object_get(plan, "warnings"), "warning:", PAINT_WARN);
    (void)printf("\nApplications, by order (thawed in reverse):\n");
    print_plan_participants(ctl, plan);
    (void)printf("\nFilesystems, by order (equal numbers at once, thawed in reverse):\n");
    print_plan_filesystems(ctl, plan);
    (void)printf("\n%s are dirty now; a freeze ends by itself after %s.\n", dirty, limit);
    if (fact_true(plan, "truncated"))
        (void)puts("There is more than fits into an answer.");
}

int ctl_plan(const Ctl *ctl)
{
    int exit_status = CTL_OK;
    GVariantBuilder options;
    json_t *plan = NULL;

    g_variant_builder_init(&options, G_VARIANT_TYPE_VARDICT);
    if (ctl->arguments[0])
        g_variant_builder_add(&options, "{sv}", "mountpoints",
                              g_variant_new_strv((const char *const *)ctl->arguments, -1));
    plan = ctl_ask("Plan", g_variant_new("(a{sv})", &options), 2 * CLIENT_ASK_MS, &exit_status);
    if (!plan)
        return exit_status;
    if (ctl->json)
        (void)ctl_print_json(plan);
    else
        print_plan(ctl, plan);
    if (!fact_true(plan, "possible"))
        exit_status = CTL_NO;
    json_decref(plan);
    return exit_status;
}

/* Hooks and programs on the bus alike: those of a plan. */
int ctl_participants(const Ctl *ctl)
{
    int exit_status = CTL_OK;
    json_t *plan = ctl_ask("Plan", g_variant_new("(a{sv})", NULL), 2 * CLIENT_ASK_MS, &exit_status);
    json_t *participants = json_object_get(plan, "participants");

    if (!plan)
        return exit_status;
    if (ctl->json)
        (void)ctl_print_json(participants);
    else if (json_array_size(participants) == 0)
        (void)puts("None: a snapshot is filesystem-consistent at best. See quiesced-hooks(7).");
    else
        print_plan_participants(ctl, plan);
    json_decref(plan);
    return exit_status;
}

int ctl_metrics(const Ctl *ctl)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Client) client = client_new(&error);
    g_autofree char *text =
        client ? client_call(client, "Metrics", NULL, CLIENT_ASK_MS, false, &error) : NULL;

    (void)ctl;
    if (!text)
        return ctl_fail(error);
    (void)fputs(text, stdout);
    return CTL_OK;
}
