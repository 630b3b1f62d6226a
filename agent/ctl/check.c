/*
 * check: configuration and hooks, without touching anything; then what the service warns of.
 *
 * Works without service and bus, as in an image that is being built: errors give status 1.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "ctl/ctl.h"

#include "base/config_read.h"
#include "sys/hookdir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_LINE_MAX 256u /* of a script: the kernel reads no more for its interpreter */

#ifdef TESTBED
#define HOOK_OWNER ((uid_t)atoi(g_getenv("QUIESCED_TEST_OWNER")))
#else
#define HOOK_OWNER ((uid_t)0)
#endif

typedef struct {
    const Ctl *ctl;
    json_t *errors, *warnings, *hooks;
} Check;

G_GNUC_PRINTF(2, 3)
static void add(json_t *list, const char *format, ...)
{
    va_list args;
    g_autofree char *text = NULL, *valid = NULL;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    valid = g_utf8_make_valid(text, -1);
    (void)json_array_append_new(list, json_string(valid));
}

static Config *check_config(Check *check)
{
    const char *path =
        check->ctl->config ? check->ctl->config : SYSCONFDIR "/quiesced/quiesced.conf";
    g_autoptr(Config) config = config_new();
    g_autoptr(GError) error = NULL;

    if (!config_read(config, path, check->ctl->config != NULL, &error) ||
        !config_finish(config, &error)) {
        add(check->errors, "%s", error->message);
        return NULL;
    }
    return g_steal_pointer(&config);
}

/* A script that the kernel will not start, although it looks well. */
static void check_first_line(Check *check, const Hook *hook)
{
    char line[FIRST_LINE_MAX] = "";
    int fd = open(hook->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    ssize_t size = fd < 0 ? -1 : read(fd, line, sizeof line - 1);
    size_t length = 0;

    if (fd >= 0)
        (void)close(fd);
    if (size < 2 || strncmp(line, "#!", 2) != 0) {
        if (size >= 0 && (size < 4 || memcmp(line, "\177ELF", 4) != 0))
            add(check->warnings,
                "%s:1: no interpreter is named, it is run by /bin/sh; begin with #!/bin/sh",
                hook->path);
        return;
    }
    length = strcspn(line, "\n");
    line[length] = '\0';
    if (length > 0 && line[length - 1] == '\r') {
        add(check->errors,
            "%s:1: the line ends as on Windows, the kernel will not find the interpreter; convert "
            "it with: sed -i 's/\\r$//' %s",
            hook->path, hook->path);
        return;
    }
    g_strstrip(line);
    {
        const char *name = line + 2 + strspn(line + 2, " \t");
        g_autofree char *interpreter = g_strndup(name, strcspn(name, " \t"));

        if (access(interpreter, X_OK) != 0)
            add(check->errors, "%s:1: the interpreter %s: %s", hook->path, interpreter,
                g_strerror(errno));
    }
}

static void check_hooks(Check *check, const Config *config)
{
    const HookdirOptions options = {
        .directories = (const char *const *)config->hooks.directories,
        .stock_directory = config->hooks.stock_directory,
        .stock_hook = config->hooks.stock_hook,
        .owner = HOOK_OWNER,
        .run_as = LIBEXECDIR "/quiesced/quiesced-run-as",
    };
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) hooks = hookdir_scan(&options, &error);

    if (!hooks)
        add(check->errors, "%s", error->message);
    for (unsigned i = 0; hooks && i < hooks->len; i++) {
        const Hook *hook = g_ptr_array_index(hooks, i);
        json_t *entry =
            json_pack("{s:s, s:s, s:i, s:s}", "name", hook->name, "source", hook->path, "order",
                      (int)hook->order, "action", hook->refused ? "refused" : "run");

        if (hook->refused) {
            (void)json_object_set_new(entry, "reason", json_string(hook->refused));
            add(check->errors, "%s: refused: %s", hook->path, hook->refused);
        } else {
            check_first_line(check, hook);
        }
        (void)json_array_append_new(check->hooks, entry);
    }
}

/* What only the running service knows: devices, keeper, listeners, dirty data. */
static void check_service(Check *check)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Client) client = client_new(&error);
    json_t *plan = client ? client_call_json(client, "Plan", g_variant_new("(a{sv})", NULL),
                                             2 * CLIENT_ASK_MS, false, &error)
                          : NULL;
    json_t *finding;
    size_t i;

    if (!plan) {
        add(check->warnings, "the service was not asked: %s", error->message);
        return;
    }
    json_array_foreach(json_object_get(plan, "blockers"), i, finding)
        add(check->errors, "%s", fact_text(finding, "text"));
    json_array_foreach(json_object_get(plan, "warnings"), i, finding)
        /* Those of hooks were found here already, with file and line. */
        if (strcmp(fact_text(finding, "code"), "hook-refused") != 0)
            add(check->warnings, "%s", fact_text(finding, "text"));
    json_decref(plan);
}

static void print_list(const Ctl *ctl, const json_t *list, const char *label, PaintColour colour)
{
    json_t *text;
    size_t i;

    json_array_foreach(list, i, text)(void)
        printf("%s%s%s %s\n", paint_on(&ctl->paint, colour), label, paint_off(&ctl->paint),
               json_string_value(text));
}

static void print_check(const Check *check)
{
    const Ctl *ctl = check->ctl;
    json_t *hook;
    size_t i;

    json_array_foreach(check->hooks, i, hook)(void)
        printf("%shook%s  %2" G_GINT64_FORMAT "  %-20s %s\n",
               paint_on(&ctl->paint, paint_of(fact_text(hook, "action"))), paint_off(&ctl->paint),
               fact_number(hook, "order", 0), fact_text(hook, "name"), fact_text(hook, "source"));
    print_list(ctl, check->warnings, "warning:", PAINT_WARN);
    print_list(ctl, check->errors, "error:", PAINT_BAD);
    (void)printf("%zu hooks, %zu errors, %zu warnings\n", json_array_size(check->hooks),
                 json_array_size(check->errors), json_array_size(check->warnings));
}

int ctl_check(const Ctl *ctl)
{
    Check check = {ctl, json_array(), json_array(), json_array()};
    g_autoptr(Config) config = check_config(&check);
    bool well = false;

    if (config)
        check_hooks(&check, config);
    if (!ctl->offline)
        check_service(&check);
    well = json_array_size(check.errors) == 0;
    if (ctl->json) {
        json_t *result = json_pack("{s:b, s:O, s:O, s:O}", "ok", well, "errors", check.errors,
                                   "warnings", check.warnings, "hooks", check.hooks);
        (void)ctl_print_json(result);
        json_decref(result);
    } else {
        print_check(&check);
    }
    json_decref(check.errors);
    json_decref(check.warnings);
    json_decref(check.hooks);
    return well ? CTL_OK : CTL_NO;
}
