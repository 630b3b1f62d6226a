/*
 * system: guest-get-time, -get-host-name, -get-osinfo, -get-timezone, -get-users, -get-load.
 *
 * Time, name and load are system calls that wait for nothing. What is read from files is gathered
 * in a thread (ask.h).
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "commands/families.h"

#include "quiesce/json.h"
#include "sys/osrelease.h"
#include "sys/procfile.h"
#include "sys/timezone.h"
#include "sys/users.h"

#include <errno.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>

#define LOAD_SIZE 128u

static void run_time(Call *call)
{
    call_return(call, json_integer(g_get_real_time() * 1000));
}

static void run_host_name(Call *call)
{
    char name[HOST_NAME_MAX + 1] = "";
    json_t *object = NULL;

    if (gethostname(name, sizeof(name)) < 0) {
        call_fail(call, PROTO_GENERIC_ERROR, "failed to get hostname: %s", g_strerror(errno));
        return;
    }
    name[HOST_NAME_MAX] = '\0';
    object = json_object();
    json_set_text(object, "host-name", name);
    call_return(call, object);
}

static void run_load(Call *call)
{
    static const char *const MEMBERS[] = {"load1m", "load5m", "load15m"};
    const char *procfs = commands_context(call_commands(call))->paths.procfs;
    char text[LOAD_SIZE];
    char *cursor = text, *end = NULL;
    json_t *object = NULL;

    if (!procfile_text(procfs, "loadavg", text, sizeof(text), NULL)) {
        call_fail(call, PROTO_GENERIC_ERROR, "failed to query load average: %s/loadavg: %s", procfs,
                  g_strerror(errno));
        return;
    }
    object = json_object();
    for (unsigned i = 0; i < G_N_ELEMENTS(MEMBERS); i++) {
        double value = g_ascii_strtod(cursor, &end);

        if (end == cursor || json_object_set_new(object, MEMBERS[i], json_real(value)) < 0) {
            json_decref(object);
            call_fail(call, PROTO_GENERIC_ERROR, "failed to query load average: %s/loadavg is '%s'",
                      procfs, text);
            return;
        }
        cursor = end;
    }
    call_return(call, object);
}

/* --- os info -----------------------------------------------------------------------------------
 */

static json_t *gather_osinfo(const AskPaths *paths, GPtrArray *names, GError **error)
{
    static const char *const MEMBERS[][2] = {
        {"id", "ID"},
        {"name", "NAME"},
        {"pretty-name", "PRETTY_NAME"},
        {"version", "VERSION"},
        {"version-id", "VERSION_ID"},
        {"variant", "VARIANT"},
        {"variant-id", "VARIANT_ID"},
    };
    g_autofree char *text = osrelease_read();
    json_t *object = json_object();
    struct utsname kernel;

    (void)paths;
    (void)names;
    (void)error;
    if (uname(&kernel) == 0) {
        json_set_text(object, "kernel-release", kernel.release);
        json_set_text(object, "kernel-version", kernel.version);
        json_set_text(object, "machine", kernel.machine);
    }
    for (unsigned i = 0; text && i < G_N_ELEMENTS(MEMBERS); i++) {
        g_autofree char *value = osrelease_value(text, MEMBERS[i][1]);

        json_set_text(object, MEMBERS[i][0], value);
    }
    return object;
}

const Question OSINFO_QUESTION = {.name = "osinfo", .gather = gather_osinfo, .disk = true};

static void run_osinfo(Call *call)
{
    commands_ask(&OSINFO_QUESTION, call);
}

/* --- time zone ---------------------------------------------------------------------------------
 */

static json_t *gather_timezone(const AskPaths *paths, GPtrArray *names, GError **error)
{
    json_t *object = json_object();
    int offset = 0;
    g_autofree char *zone = timezone_now(&offset);

    (void)paths;
    (void)names;
    (void)error;
    json_set_text(object, "zone", zone);
    (void)json_object_set_new(object, "offset", json_integer(offset));
    return object;
}

const Question TIMEZONE_QUESTION = {.name = "timezone", .gather = gather_timezone, .disk = true};

static void run_timezone(Call *call)
{
    commands_ask(&TIMEZONE_QUESTION, call);
}

/* --- users -------------------------------------------------------------------------------------
 */

static json_t *gather_users(const AskPaths *paths, GPtrArray *names, GError **error)
{
    g_autoptr(GPtrArray) users = users_list(paths->run, error);
    json_t *list = users ? json_array() : NULL;

    (void)names;
    for (unsigned i = 0; users && i < users->len; i++) {
        const UserLogin *login = g_ptr_array_index(users, i);
        json_t *object = json_object();

        json_set_text(object, "user", login->name);
        (void)json_object_set_new(object, "login-time",
                                  json_real((double)login->login_us / USEC_PER_SEC));
        (void)json_array_append_new(list, object);
    }
    return list;
}

static const Question USERS_QUESTION = {.name = "users", .gather = gather_users, .remember = true};

static void run_users(Call *call)
{
    commands_ask(&USERS_QUESTION, call);
}

const Command SYSTEM_COMMANDS[] = {
    {.name = "guest-get-time", .while_frozen = true, .run = run_time},
    {.name = "guest-get-host-name", .while_frozen = true, .run = run_host_name},
    {.name = "guest-get-osinfo", .while_frozen = true, .run = run_osinfo},
    {.name = "guest-get-timezone", .while_frozen = true, .run = run_timezone},
    {.name = "guest-get-users", .while_frozen = true, .run = run_users},
    {.name = "guest-get-load", .while_frozen = true, .run = run_load},
};
const unsigned SYSTEM_COMMANDS_COUNT = G_N_ELEMENTS(SYSTEM_COMMANDS);
