/*
 * account: guest-set-user-password, guest-ssh-*-authorized-keys.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "base/base64.h"
#include "commands/act.h"
#include "commands/families.h"
#include "sys/authkeys.h"
#include "sys/helper.h"

#include <string.h>

#define ACCOUNT_US                                                                                 \
    (10 * USEC_PER_SEC) /* a directory service or a home on a network may be slow                  \
                         */

/* --- passwords ----------------------------------------------------------------------------------
 */

static void password_set(const HelperResult *result, gpointer user_data)
{
    Call *call = user_data;

    if (result->error == 0 && !result->timed_out && result->status == 0 && result->signal == 0) {
        call_return(call, NULL);
        return;
    }
    log_warning(commands_context(call_commands(call))->log,
                "guest-set-user-password: chpasswd failed: %s%s",
                result->error ? g_strerror(result->error) : result->words,
                result->timed_out ? "not finished in time" : "");
    if (result->error)
        call_fail(call, PROTO_GENERIC_ERROR, "failed to create child process: chpasswd: %s",
                  g_strerror(result->error));
    else
        call_fail(call, PROTO_GENERIC_ERROR, "child process has failed to set user password");
}

/* The decoded password, or NULL: the call has failed. */
static char *password_of(Call *call)
{
    const char *text = call_string(call, "password");
    size_t length = strlen(text), bytes = 0;
    Base64Decoder decoder = {0};
    g_autoptr(GError) error = NULL;
    g_autofree char *password = NULL;

    if (!base64_measure(text, length, &bytes, &error)) {
        call_fail(call, PROTO_GENERIC_ERROR, "%s", error->message);
        return NULL;
    }
    password = g_malloc0(bytes + 4);
    (void)base64_decode(&decoder, text, length, (uint8_t *)password);
    password[bytes] = '\0';
    if (strlen(password) != bytes || strchr(password, '\n')) {
        call_fail(call, PROTO_GENERIC_ERROR, "forbidden characters in raw password");
        return NULL;
    }
    return g_steal_pointer(&password);
}

static void run_password(Call *call)
{
    const char *const argv[] = {"chpasswd", call_flag(call, "crypted") ? "-e" : NULL, NULL};
    const CommandsContext *context = commands_context(call_commands(call));
    const char *username = call_string(call, "username");
    g_autofree char *password = password_of(call);
    g_autofree char *line = NULL;

    if (!password)
        return;
    if (strchr(username, '\n') || strchr(username, ':')) {
        call_fail(call, PROTO_GENERIC_ERROR, "forbidden characters in username");
    } else {
        line = g_strdup_printf("%s:%s\n", username, password);
        log_info(context->log, "Channel %s: guest-set-user-password of %s", call_channel(call),
                 username);
        helper_run(&(HelperSpec){argv, context->programs, line}, deadline_in(ACCOUNT_US),
                   password_set, call);
        explicit_bzero(line, strlen(line));
    }
    explicit_bzero(password, strlen(password));
}

/* --- keys ---------------------------------------------------------------------------------------
 */

typedef enum { KEYS_GET, KEYS_ADD, KEYS_REMOVE } KeysVerb;

typedef struct {
    KeysVerb verb;
    char *username;
    char **keys;
    bool reset;
} Keys;

static void keys_free(gpointer data)
{
    Keys *keys = data;

    g_free(keys->username);
    g_strfreev(keys->keys);
    g_free(keys);
}

static json_t *get_keys(const AuthkeysUser *user, GError **error)
{
    g_auto(GStrv) keys = authkeys_get(user, error);
    json_t *list = NULL;

    if (!keys)
        return NULL;
    list = json_array();
    /* Of a user's file: what is no text is passed over. */
    for (unsigned i = 0; keys[i]; i++)
        (void)json_array_append_new(list, json_string(keys[i]));
    return json_pack("{s:o}", "keys", list);
}

static json_t *run_keys(const AskPaths *paths, gpointer input, GError **error)
{
    const Keys *keys = input;
    const char *const *given = (const char *const *)keys->keys;
    AuthkeysUser user = {0};
    json_t *reply = NULL;

    (void)paths;
    if (!authkeys_find_user(keys->username, &user, error))
        return NULL;
    authkeys_become(&user);
    if (keys->verb == KEYS_GET)
        reply = get_keys(&user, error);
    else if (keys->verb == KEYS_ADD)
        (void)authkeys_add(&user, given, keys->reset, error);
    else
        (void)authkeys_remove(&user, given, error);
    authkeys_user_clear(&user);
    return reply;
}

/* A key is one line and no comment. Empty ones are dropped: libvirt sends one for the newline at
 * the end of a file. */
static bool check_keys(Call *call, char **keys)
{
    unsigned kept = 0;

    for (unsigned i = 0; keys && keys[i]; i++) {
        if (keys[i][0] != '#' && !strpbrk(keys[i], "\r\n"))
            continue;
        call_fail(call, PROTO_GENERIC_ERROR, "invalid OpenSSH public key: '%s'", keys[i]);
        return false;
    }
    for (unsigned i = 0; keys && keys[i]; i++) {
        if (keys[i][0])
            keys[kept++] = keys[i];
        else
            g_free(keys[i]);
    }
    if (keys)
        keys[kept] = NULL;
    return true;
}

static void keys_command(Call *call, KeysVerb verb)
{
    g_auto(GStrv) keys = call_strings(call, "keys");
    Keys *input = NULL;

    if (!check_keys(call, keys))
        return;
    input = g_new(Keys, 1);
    *input = (Keys){verb, g_strdup(call_string(call, "username")), g_steal_pointer(&keys),
                    call_flag(call, "reset")};
    if (verb != KEYS_GET)
        log_info(commands_context(call_commands(call))->log, "Channel %s: %s of %s",
                 call_channel(call), call_command(call)->name, input->username);
    act(call, run_keys, input, keys_free, ACCOUNT_US);
}

static void run_get(Call *call)
{
    keys_command(call, KEYS_GET);
}

static void run_add(Call *call)
{
    keys_command(call, KEYS_ADD);
}

static void run_remove(Call *call)
{
    keys_command(call, KEYS_REMOVE);
}

static const ArgSpec PASSWORD_ARGUMENTS[] = {
    {"username", ARG_STRING, true}, {"password", ARG_STRING, true}, {"crypted", ARG_BOOLEAN, true}};
static const ArgSpec GET_ARGUMENTS[] = {{"username", ARG_STRING, true}};
static const ArgSpec ADD_ARGUMENTS[] = {{"username", ARG_STRING, true},
                                        {"keys", ARG_STRING_ARRAY, true},
                                        {"reset", ARG_BOOLEAN, false}};
static const ArgSpec REMOVE_ARGUMENTS[] = {{"username", ARG_STRING, true},
                                           {"keys", ARG_STRING_ARRAY, true}};

const Command ACCOUNT_COMMANDS[] = {
    {.name = "guest-set-user-password",
     .arguments = PASSWORD_ARGUMENTS,
     .n_arguments = G_N_ELEMENTS(PASSWORD_ARGUMENTS),
     .changes = true,
     .run = run_password},
    {.name = "guest-ssh-get-authorized-keys",
     .arguments = GET_ARGUMENTS,
     .n_arguments = G_N_ELEMENTS(GET_ARGUMENTS),
     .changes = true, /* whose keys open the machine is none of an observer's business */
     .run = run_get},
    {.name = "guest-ssh-add-authorized-keys",
     .arguments = ADD_ARGUMENTS,
     .n_arguments = G_N_ELEMENTS(ADD_ARGUMENTS),
     .changes = true,
     .run = run_add},
    {.name = "guest-ssh-remove-authorized-keys",
     .arguments = REMOVE_ARGUMENTS,
     .n_arguments = G_N_ELEMENTS(REMOVE_ARGUMENTS),
     .changes = true,
     .run = run_remove},
};
const unsigned ACCOUNT_COMMANDS_COUNT = G_N_ELEMENTS(ACCOUNT_COMMANDS);
