/*
 * main: the command line of quiescectl.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "ctl/ctl.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>

#define HISTORY_LINES 10

typedef struct {
    const char *name, *arguments, *what;
    int (*run)(const Ctl *ctl);
    unsigned most; /* arguments at the most */
} Command;

static const Command COMMANDS[] = {
    {"status", "", "what quiesced is doing, and for whom it waits", ctl_status, 0},
    {"plan", "[MOUNTPOINT...]", "what a freeze would do now", ctl_plan, 1024},
    {"check", "", "configuration and hooks: errors with file and line", ctl_check, 0},
    {"participants", "", "applications that take part", ctl_participants, 0},
    {"history", "", "the last operations, newest first", ctl_history, 0},
    {"show", "[OPERATION]", "one operation as a timeline; the newest by default", ctl_show, 1},
    {"freeze", "[MOUNTPOINT...]", "freeze; with --rehearse applications only, and at once thawed",
     ctl_freeze, 1024},
    {"thaw", "[OPERATION]", "end a freeze, the host's too", ctl_thaw, 1},
    {"monitor", "", "follow the state until interrupted", ctl_monitor, 0},
    {"metrics", "", "counters as OpenMetrics text", ctl_metrics, 0},
};

static const Command *find_command(const char *name)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(COMMANDS); i++)
        if (strcmp(COMMANDS[i].name, name) == 0)
            return &COMMANDS[i];
    return NULL;
}

static char *summary(void)
{
    GString *text = g_string_new("Commands:\n");

    for (unsigned i = 0; i < G_N_ELEMENTS(COMMANDS); i++) {
        g_autofree char *head = g_strdup_printf("%s %s", COMMANDS[i].name, COMMANDS[i].arguments);

        g_string_append_printf(text, "  %-24s %s\n", head, COMMANDS[i].what);
    }
    g_string_append(text, "\nExit status: 0 well, 1 the answer is no, 2 wrong usage, 3 the service "
                          "cannot be reached, 4 not allowed. See quiescectl(1).");
    return g_string_free(text, FALSE);
}

static int usage(const char *problem)
{
    (void)fprintf(stderr, "quiescectl: %s; see quiescectl --help\n", problem);
    return CTL_USAGE;
}

/* An option that the command knows nothing of is a mistake, not a wish to be ignored. */
static const char *stray_option(const Ctl *ctl, const char *command)
{
    bool checks = strcmp(command, "check") == 0, freezes = strcmp(command, "freeze") == 0;

    if (ctl->offline && !checks)
        return "--offline goes with check";
    if (ctl->config && !checks)
        return "--config goes with check";
    if (ctl->rehearse && !freezes)
        return "--rehearse goes with freeze";
    if (ctl->limit_s && !freezes)
        return "--limit goes with freeze";
    if (ctl->lines && strcmp(command, "history") != 0)
        return "--lines goes with history";
    return NULL;
}

static int run_command(Ctl *ctl)
{
    const char *name = ctl->arguments[0];
    const Command *command = name ? find_command(name) : NULL;
    g_autofree char *unknown = NULL;
    const char *stray = NULL;

    if (!name)
        return usage("a command is missing");
    if (!command) {
        unknown = g_strdup_printf("%s: no such command", name);
        return usage(unknown);
    }
    ctl->arguments++;
    if (g_strv_length(ctl->arguments) > command->most)
        return usage("too many arguments");
    stray = stray_option(ctl, name);
    if (stray)
        return usage(stray);
    if (!ctl->lines)
        ctl->lines = HISTORY_LINES;
    if (ctl->lines < 1 || ctl->lines > 100)
        return usage("--lines takes 1 to 100");
    if (ctl->limit_s < 0 || ctl->limit_s > 86400)
        return usage("--limit takes seconds, 1 to 86400");
    return command->run(ctl);
}

int main(int argc, char **argv)
{
    Ctl ctl = {0};
    gboolean json = FALSE, offline = FALSE, rehearse = FALSE, plain = FALSE, version = FALSE;
    g_auto(GStrv) rest = NULL;
    const GOptionEntry entries[] = {
        {"json", 'j', 0, G_OPTION_ARG_NONE, &json, "one JSON text instead of a view", NULL},
        {"no-color", 0, 0, G_OPTION_ARG_NONE, &plain, "no colours on a terminal either", NULL},
        {"config", 'c', 0, G_OPTION_ARG_FILENAME, &ctl.config, "check: this file", "FILE"},
        {"offline", 0, 0, G_OPTION_ARG_NONE, &offline, "check: do not ask the service", NULL},
        {"lines", 'n', 0, G_OPTION_ARG_INT, &ctl.lines, "history: so many (10)", "N"},
        {"rehearse", 0, 0, G_OPTION_ARG_NONE, &rehearse, "freeze: no filesystem", NULL},
        {"limit", 0, 0, G_OPTION_ARG_INT, &ctl.limit_s, "freeze: thawed by then", "SECONDS"},
        {"version", 'V', 0, G_OPTION_ARG_NONE, &version, "print the version and exit", NULL},
        {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_STRING_ARRAY, &rest, NULL, NULL},
        {NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL},
    };
    g_autoptr(GOptionContext) context = g_option_context_new("COMMAND");
    g_autoptr(GError) error = NULL;
    g_autofree char *commands = summary();
    char *none[] = {NULL};
    int status = 0;

    (void)setlocale(LC_ALL, "");
    g_option_context_add_main_entries(context, entries, NULL);
    g_option_context_set_summary(context, commands);
    if (!g_option_context_parse(context, &argc, &argv, &error))
        return usage(error->message);
    if (version) {
        (void)puts("quiescectl " PACKAGE_VERSION);
        return CTL_OK;
    }
    ctl.json = json;
    ctl.offline = offline;
    ctl.rehearse = rehearse;
    ctl.arguments = rest ? rest : none;
    ctl.paint = paint_detect(plain);
    status = run_command(&ctl);
    g_free(ctl.config);
    return fflush(stdout) == 0 ? status : CTL_NO;
}
