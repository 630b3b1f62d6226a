/*
 * show: operations of the past: history as a list, show as a timeline.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "ctl/ctl.h"

#include <stdio.h>
#include <string.h>

#define NAME_COLUMNS 30 /* who and what, left of the bars */
#define TAIL_COLUMNS 22 /* duration and result, right of them */

typedef struct {
    int64_t start, end;
    char *what;
    const char *result, *reason;
} Row;

static void row_clear(gpointer data)
{
    g_free(((Row *)data)->what);
}

static int by_time(gconstpointer a, gconstpointer b)
{
    const Row *first = a, *second = b;

    if (first->start != second->start)
        return first->start < second->start ? -1 : 1;
    return first->end < second->end ? -1 : first->end > second->end;
}

static void add_row(GArray *rows, int64_t start, int64_t duration, char *what, const char *result,
                    const char *reason)
{
    Row row = {start, start + MAX(duration, 0), what, result, reason};

    g_array_append_val(rows, row);
}

static void add_participants(GArray *rows, const json_t *operation)
{
    size_t i, k;
    json_t *participant, *step;

    json_array_foreach(json_object_get(operation, "participants"), i, participant)
    {
        json_array_foreach(json_object_get(participant, "steps"), k, step)
        {
            add_row(
                rows, fact_number(step, "start-ms", 0), fact_number(step, "duration-ms", 0),
                g_strdup_printf("%s %s", fact_text(participant, "name"), fact_text(step, "verb")),
                fact_text(step, "result"), fact_text(step, "reason"));
        }
    }
}

static void add_filesystems(GArray *rows, const json_t *operation)
{
    size_t i;
    json_t *item;

    json_array_foreach(json_object_get(operation, "filesystems"), i, item)
    {
        int64_t start = fact_number(item, "start-ms", 0),
                freeze = fact_number(item, "freeze-ms", 0);
        int64_t held = fact_number(item, "frozen-ms", 0), thaw = fact_number(item, "thaw-ms", 0);
        const char *result = fact_text(item, "result"), *name = fact_text(item, "mountpoint");

        if (strcmp(result, "frozen") == 0)
            add_row(rows, start, freeze + held + thaw, g_strdup_printf("%s held", name), result,
                    fact_text(item, "reason"));
        else
            add_row(rows, start, freeze, g_strdup(name), result, fact_text(item, "reason"));
    }
}

static void print_row(const Ctl *ctl, const PaintAxis *axis, const Row *row)
{
    g_autofree char *bar = paint_bar(&ctl->paint, axis, row->start, row->end);
    g_autofree char *duration = paint_duration(row->end - row->start);
    PaintColour colour = paint_of(row->result);

    (void)printf("%-*.*s %s%s%s %9s  %s%s%s%s%s\n", NAME_COLUMNS, NAME_COLUMNS, row->what,
                 paint_on(&ctl->paint, colour), bar, paint_off(&ctl->paint), duration,
                 paint_on(&ctl->paint, colour), row->result, paint_off(&ctl->paint),
                 *row->reason ? ": " : "", row->reason);
}

static void print_timeline(const Ctl *ctl, const json_t *operation)
{
    g_autoptr(GArray) rows = g_array_new(FALSE, FALSE, sizeof(Row));
    int64_t held_from =
        fact_number(operation, "prepare-ms", 0) + fact_number(operation, "freeze-ms", 0);
    int64_t held = fact_number(operation, "frozen-ms", 0), end = held_from + held;
    unsigned width = ctl->paint.width - NAME_COLUMNS - TAIL_COLUMNS;
    PaintAxis axis;

    g_array_set_clear_func(rows, row_clear);
    add_participants(rows, operation);
    add_filesystems(rows, operation);
    g_array_sort(rows, by_time);
    for (unsigned i = 0; i < rows->len; i++)
        end = MAX(end, g_array_index(rows, Row, i).end);
    axis = paint_axis(held_from, held_from + held, end, width);
    for (unsigned i = 0; i < rows->len; i++)
        print_row(ctl, &axis, &g_array_index(rows, Row, i));
}

static void print_head(const Ctl *ctl, const json_t *operation)
{
    g_autofree char *started = paint_time(fact_number(operation, "started-unix-ms", 0));
    const char *result = fact_text(operation, "result"), *level = fact_text(operation, "level");
    const char *error = fact_text(operation, "error"), *ended = fact_text(operation, "ended-by");
    const char *reason = fact_text(operation, "level-reason");

    (void)printf("Operation  %s\n", fact_text(operation, "operation"));
    (void)printf("Asked      %s by the %s (%s)\n", started,
                 strcmp(fact_text(operation, "origin"), "local") == 0 ? "machine itself" : "host",
                 fact_text(operation, "channel"));
    (void)printf("Result     %s%s%s%s%s\n", paint_on(&ctl->paint, paint_of(result)), result,
                 paint_off(&ctl->paint), *ended ? ", ended by " : "", ended);
    (void)printf("Level      %s%s%s%s%s\n", paint_on(&ctl->paint, paint_of(level)), level,
                 paint_off(&ctl->paint), *reason ? ": " : "", reason);
    if (*error)
        (void)printf("Error      %s\n", error);
}

static void print_times(const json_t *operation)
{
    static const char *const PHASES[] = {"prepare", "freeze", "frozen", "thaw", "paused"};
    g_autofree char *before = paint_bytes(fact_number(operation, "dirty-before-bytes", 0));
    g_autofree char *after = paint_bytes(fact_number(operation, "dirty-after-bytes", 0));

    (void)fputs("Times     ", stdout);
    for (unsigned i = 0; i < G_N_ELEMENTS(PHASES); i++) {
        g_autofree char *key = g_strconcat(PHASES[i], "-ms", NULL);
        int64_t ms = fact_number(operation, key, 0);
        g_autofree char *duration = paint_duration(ms);

        if (ms > 0 || i < 4)
            (void)printf(" %s %s%s", PHASES[i], duration, i < 3 ? "," : "");
    }
    (void)printf("\nDirty      %s before the pre-sync, %s after\n\n", before, after);
}

void show_operation(const Ctl *ctl, const json_t *operation)
{
    print_head(ctl, operation);
    print_times(operation);
    print_timeline(ctl, operation);
}

static json_t *ask_history(unsigned limit, int *ret_exit)
{
    GVariantBuilder options;

    g_variant_builder_init(&options, G_VARIANT_TYPE_VARDICT);
    g_variant_builder_add(&options, "{sv}", "limit", g_variant_new_uint32(limit));
    return ctl_ask("History", g_variant_new("(a{sv})", &options), CLIENT_ASK_MS, ret_exit);
}

static void print_line(const Ctl *ctl, const json_t *operation)
{
    g_autofree char *started = paint_time(fact_number(operation, "started-unix-ms", 0));
    g_autofree char *frozen = paint_duration(fact_number(operation, "frozen-ms", 0));
    const char *result = fact_text(operation, "result"), *level = fact_text(operation, "level");
    const char *why = fact_text(operation, "error");

    if (!*why)
        why = fact_text(operation, "level-reason");
    (void)printf("%.8s  %s  %s%-9s%s  %s%-11s%s  %9s  %s\n", fact_text(operation, "operation"),
                 started, paint_on(&ctl->paint, paint_of(result)), result, paint_off(&ctl->paint),
                 paint_on(&ctl->paint, paint_of(level)), level, paint_off(&ctl->paint), frozen,
                 why);
}

int ctl_history(const Ctl *ctl)
{
    int status = CTL_OK;
    json_t *history = ask_history((unsigned)ctl->lines, &status), *operation;
    json_t *operations = json_object_get(history, "operations");
    size_t i;

    if (!history)
        return status;
    if (ctl->json) {
        status = ctl_print_json(history);
    } else if (json_array_size(operations) == 0) {
        (void)puts("No operation yet.");
    } else {
        (void)printf("%s%-8s  %-19s  %-9s  %-11s  %9s  %s%s\n", paint_on(&ctl->paint, PAINT_BOLD),
                     "WHICH", "ASKED", "RESULT", "LEVEL", "FROZEN", "WHY", paint_off(&ctl->paint));
        json_array_foreach(operations, i, operation) print_line(ctl, operation);
    }
    json_decref(history);
    return status;
}

/* By a prefix of its UUID; NULL: the newest. Sets an error when none or several match. */
static json_t *find_operation(json_t *operations, const char *prefix, GError **error)
{
    json_t *operation, *found = NULL;
    size_t i;

    if (!prefix)
        found = json_array_get(operations, 0);
    json_array_foreach(operations, i, operation)
    {
        if (!prefix || !g_str_has_prefix(fact_text(operation, "operation"), prefix))
            continue;
        if (found) {
            g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                        "%s: several operations begin so; give more of it", prefix);
            return NULL;
        }
        found = operation;
    }
    if (!found && prefix)
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "%s: no such operation; see quiescectl history", prefix);
    else if (!found)
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "no operation yet");
    return found;
}

int ctl_show(const Ctl *ctl)
{
    int status = CTL_OK;
    json_t *history = ask_history(ctl->arguments[0] ? 100 : 1, &status), *operation = NULL;
    g_autoptr(GError) error = NULL;

    if (!history)
        return status;
    operation = find_operation(json_object_get(history, "operations"), ctl->arguments[0], &error);
    if (!operation)
        status = ctl_fail(error);
    else if (ctl->json)
        status = ctl_print_json(operation);
    else
        show_operation(ctl, operation);
    json_decref(history);
    return status;
}
