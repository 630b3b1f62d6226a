/*
 * users: see users.h.
 *
 * utmp is read as libc lays it out, without libc's functions, whose state the process shares.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/users.h"

#include "base/deadline.h"
#include "sys/procfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <utmpx.h>

#define SESSION_BYTES ((size_t)4096)

static void login_free(gpointer data)
{
    UserLogin *login = data;

    g_free(login->name);
    g_free(login);
}

/* `name` is taken. */
static void add_login(GPtrArray *users, GHashTable *by_name, char *name, int64_t login_us)
{
    UserLogin *login = g_hash_table_lookup(by_name, name);

    if (login) {
        login->login_us = MIN(login->login_us, login_us);
        g_free(name);
        return;
    }
    if (users->len >= USERS_MAX) {
        g_free(name);
        return;
    }
    login = g_new0(UserLogin, 1);
    *login = (UserLogin){name, login_us};
    g_ptr_array_add(users, login);
    g_hash_table_insert(by_name, name, login);
}

/* False: errno says why. */
static bool read_utmp(const char *path, GPtrArray *users, GHashTable *by_name)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct utmpx record;
    int failed = 0;
    ssize_t count = 0;

    if (fd < 0)
        return false;
    for (unsigned i = 0; i < USERS_RECORDS_MAX; i++) {
        count = read(fd, &record, sizeof(record));
        if (count != (ssize_t)sizeof(record)) /* the end, or half a record being written */
            break;
        if (record.ut_type == USER_PROCESS && record.ut_user[0])
            add_login(users, by_name, g_strndup(record.ut_user, sizeof(record.ut_user)),
                      (int64_t)record.ut_tv.tv_sec * USEC_PER_SEC + record.ut_tv.tv_usec);
    }
    failed = errno;
    (void)close(fd);
    errno = failed;
    return count >= 0;
}

/* The value of `key` in lines of KEY=VALUE, new; NULL: none. */
static char *session_value(const char *text, const char *key)
{
    size_t length = strlen(key);

    for (; text; text = strchr(text, '\n')) {
        text += *text == '\n';
        if (strncmp(text, key, length) == 0 && text[length] == '=')
            return g_strndup(text + length + 1, strcspn(text + length + 1, "\n"));
    }
    return NULL;
}

static void add_session(const char *path, GPtrArray *users, GHashTable *by_name)
{
    char text[SESSION_BYTES];
    g_autofree char *name = NULL;
    g_autofree char *class = NULL;
    g_autofree char *state = NULL;
    g_autofree char *since = NULL;

    if (!procfile_read(path, text, sizeof(text)))
        return; /* it has just ended */
    class = session_value(text, "CLASS");
    state = session_value(text, "STATE");
    name = session_value(text, "USER");
    since = session_value(text, "REALTIME");
    if (!name || !*name || g_strcmp0(class, "user") != 0 || g_strcmp0(state, "closing") == 0)
        return;
    add_login(users, by_name, g_steal_pointer(&name), since ? g_ascii_strtoll(since, NULL, 10) : 0);
}

/* Each session has a file of lines, and a pipe beside it. */
static void read_sessions(const char *run, GPtrArray *users, GHashTable *by_name)
{
    g_autofree char *folder = g_build_filename(run, "systemd", "sessions", NULL);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *entry = NULL;

    for (unsigned i = 0; dir && i < USERS_RECORDS_MAX && (entry = g_dir_read_name(dir)); i++) {
        g_autofree char *path = g_build_filename(folder, entry, NULL);

        if (!strchr(entry, '.'))
            add_session(path, users, by_name);
    }
}

GPtrArray *users_list(const char *run, GError **error)
{
    g_autoptr(GPtrArray) users = g_ptr_array_new_with_free_func(login_free);
    g_autoptr(GHashTable) by_name = g_hash_table_new(g_str_hash, g_str_equal);
    g_autofree char *path = g_build_filename(run, "utmp", NULL);

    if (!read_utmp(path, users, by_name)) {
        if (errno != ENOENT) {
            agent_error_errno(error, AGENT_ERROR_UNAVAILABLE, errno, "open(\"%s\")", path);
            return NULL;
        }
        read_sessions(run, users, by_name);
    }
    return g_steal_pointer(&users);
}
