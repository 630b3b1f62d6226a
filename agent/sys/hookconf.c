/*
 * hookconf: see hookconf.h.
 *
 * Every key is checked here, once, when the hook is found: a mistake must show in `quiescectl
 * check` and in the plan, not in the middle of a freeze. A key that stands twice is a mistake too.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/hookconf.h"

#include "base/config_read.h"
#include "keeper/message.h"
#include "sys/account.h"
#include <string.h>

/* No host waits longer for a freeze; a larger value is a slip of the unit. */
#define TIMEOUT_MAX_US (INT64_C(3600) * G_USEC_PER_SEC)

typedef struct {
    Hook *hook;
    unsigned seen;            /* bits of the indexes in KEYS */
    char *verbs_at, *user_at; /* locations of Verbs= and User= */
} ConfReader;

typedef bool (*ConfSetter)(Hook *hook, const char *value, GError **error);

static const struct {
    const char *name;
    unsigned bit;
} VERBS[] = {
    {"prepare", HOOK_VERB_PREPARE}, {"freeze", HOOK_VERB_FREEZE},     {"thaw", HOOK_VERB_THAW},
    {"abort", HOOK_VERB_ABORT},     {"complete", HOOK_VERB_COMPLETE},
};

G_GNUC_PRINTF(2, 3)
static bool fail(GError **error, const char *format, ...)
{
    va_list args;
    g_autofree char *text = NULL;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error_literal(error, AGENT_ERROR, AGENT_ERROR_CONFIG, text);
    return false;
}

static unsigned verb_bit(const char *name)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(VERBS); i++)
        if (strcmp(VERBS[i].name, name) == 0)
            return VERBS[i].bit;
    return 0;
}

static bool set_verbs(Hook *hook, const char *value, GError **error)
{
    g_auto(GStrv) names = config_split_list(value);
    unsigned verbs = 0;

    for (char **name = names; *name; name++) {
        unsigned bit = verb_bit(*name);

        if (bit == 0)
            return fail(error, "Verbs: '%s' is not prepare, freeze, thaw, abort or complete",
                        *name);
        verbs |= bit;
    }
    if (verbs == 0)
        return fail(error, "Verbs: names no verb; to switch the hook off link its name to "
                           "/dev/null in /etc/quiesced/hooks.d");
    hook->verbs = verbs;
    return true;
}

static bool set_timeout(Hook *hook, const char *value, GError **error)
{
    if (config_parse_time(value, &hook->timeout_us) && hook->timeout_us > 0 &&
        hook->timeout_us <= TIMEOUT_MAX_US)
        return true;
    return fail(error, "Timeout: '%s' is not a time above 0 and up to 1h, like 30, 2.5 or 500ms",
                value);
}

static bool set_order(Hook *hook, const char *value, GError **error)
{
    guint64 order = 0;

    if (!g_ascii_string_to_unsigned(value, 10, 0, HOOKDIR_ORDER_MAX, &order, NULL))
        return fail(error, "Order: '%s' is not a number from 0 to %u", value, HOOKDIR_ORDER_MAX);
    hook->order = (unsigned)order;
    return true;
}

static bool set_on_failure(Hook *hook, const char *value, GError **error)
{
    bool degrade = strcmp(value, "degrade") == 0;

    if (!degrade && strcmp(value, "abort") != 0)
        return fail(error, "OnFailure: '%s' is not abort or degrade", value);
    hook->on_failure = degrade ? ON_FAILURE_DEGRADE : ON_FAILURE_ABORT;
    return true;
}

/* Whether there is such a user is looked up when the whole file is read. */
static bool set_user(Hook *hook, const char *value, GError **error)
{
    if (!*value || *value == '-' || strpbrk(value, "/: \t") || strlen(value) >= KEEPER_USER_SIZE)
        return fail(error, "User: '%s' is not the name of a user", value);
    hook->user = g_strdup(value);
    return true;
}

static bool set_type(Hook *hook, const char *value, GError **error)
{
    if (strcmp(value, "session") == 0)
        hook->kind = HOOK_SESSION;
    else if (strcmp(value, "oneshot") != 0)
        return fail(error, "Type: '%s' is not oneshot or session", value);
    return true;
}

static bool set_mountpoints(Hook *hook, const char *value, GError **error)
{
    g_auto(GStrv) paths = config_split_list(value);

    for (char **path = paths; *path; path++) {
        size_t length = strlen(*path);

        if (**path != '/')
            return fail(error, "Mountpoints: '%s' is not an absolute path", *path);
        while (length > 1 && (*path)[length - 1] == '/')
            (*path)[--length] = '\0';
    }
    if (!*paths)
        return fail(error, "Mountpoints: names no mount point; leave the key out to run always");
    hook->mountpoints = g_steal_pointer(&paths);
    return true;
}

static const struct {
    const char *name;
    ConfSetter set;
} KEYS[] = {
    {"Verbs", set_verbs},
    {"Timeout", set_timeout},
    {"Order", set_order},
    {"OnFailure", set_on_failure},
    {"User", set_user},
    {"Type", set_type},
    {"Mountpoints", set_mountpoints},
};

static bool read_group(const char *group, const char *key, const char *value, const char *location,
                       gpointer user_data, GError **error)
{
    (void)key;
    (void)value;
    (void)location;
    (void)user_data;
    if (strcmp(group, "Hook") == 0)
        return true;
    return fail(error, "unknown group [%s]; the keys of a hook stand in [Hook]", group);
}

static bool read_key(const char *group, const char *key, const char *value, const char *location,
                     gpointer user_data, GError **error)
{
    ConfReader *reader = user_data;

    (void)group;
    for (unsigned i = 0; i < G_N_ELEMENTS(KEYS); i++) {
        if (strcmp(KEYS[i].name, key) != 0)
            continue;
        if (reader->seen & (1u << i))
            return fail(error, "%s stands here a second time", key);
        reader->seen |= 1u << i;
        if (KEYS[i].set == set_verbs)
            reader->verbs_at = g_strdup(location);
        if (KEYS[i].set == set_user)
            reader->user_at = g_strdup(location);
        return KEYS[i].set(reader->hook, value, error);
    }
    return fail(error,
                "unknown key %s; known are Verbs, Timeout, Order, OnFailure, User, Type, "
                "Mountpoints",
                key);
}

/* Its verbs are those that it is called with besides being held and let go of. */
static bool finish_session(Hook *hook, const char *verbs_at, GError **error)
{
    unsigned named = verbs_at ? hook->verbs : 0;

    if (named & (HOOK_VERB_FREEZE | HOOK_VERB_THAW))
        return fail(error,
                    "%s: Verbs: a session hook holds from freeze to thaw by itself; name only "
                    "prepare, abort and complete, or leave the key out",
                    verbs_at);
    hook->verbs = HOOK_VERBS_SESSION | named;
    if (named & HOOK_VERB_ABORT)
        hook->verbs |= HOOK_VERB_SESSION_ABORT;
    return true;
}

static bool finish_user(const Hook *hook, const char *user_at, const char *run_as, GError **error)
{
    if (!hook->user || account_check(hook->user, run_as, error))
        return true;
    g_prefix_error(error, "%s: User: ", user_at);
    return false;
}

bool hookconf_read(const char *path, Hook *hook, const char *run_as, GError **error)
{
    ConfReader reader = {.hook = hook};
    bool fine = keyfile_read(path, read_group, read_key, &reader, error);
    g_autofree char *verbs_at = reader.verbs_at, *user_at = reader.user_at;

    return fine && (hook->kind != HOOK_SESSION || finish_session(hook, verbs_at, error)) &&
           finish_user(hook, user_at, run_as, error);
}
