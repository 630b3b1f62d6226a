/*
 * authkeys: see authkeys.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/authkeys.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PASSWD_SIZE ((size_t)16 << 10)
#define FOLDER      ".ssh"
#define FILE_NAME   "authorized_keys"
#define NEW_NAME    ".authorized_keys.quiesced"

bool authkeys_find_user(const char *name, AuthkeysUser *ret_user, GError **error)
{
    g_autofree char *buffer = g_malloc(PASSWD_SIZE);
    struct passwd entry, *found = NULL;
    int failed = getpwnam_r(name, &entry, buffer, PASSWD_SIZE, &found);

    if (!found) {
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_FAILED, "failed to lookup user '%s': %s", name,
                    failed ? g_strerror(failed) : "there is no such user");
        return false;
    }
    *ret_user = (AuthkeysUser){g_strdup(entry.pw_dir), entry.pw_uid, entry.pw_gid};
    return true;
}

void authkeys_user_clear(AuthkeysUser *user)
{
    g_clear_pointer(&user->home, g_free);
}

void authkeys_become(const AuthkeysUser *user)
{
    /* The system call is this thread's; the library's function would change the whole process. */
    (void)syscall(SYS_setgroups, (size_t)1, &user->gid);
    (void)setfsgid(user->gid);
    (void)setfsuid(user->uid);
}

static char *path_of(const AuthkeysUser *user)
{
    return g_build_filename(user->home, FOLDER, FILE_NAME, NULL);
}

static bool fail_read(const char *path, int error_number, GError **error)
{
    return agent_error_errno(error, AGENT_ERROR_FAILED, error_number,
                             "failed to read '%s': Failed to open file “%s”", path, path);
}

/* What is there; NULL with `*ret_missing` when there is no file. */
static char *read_file(const AuthkeysUser *user, bool *ret_missing, GError **error)
{
    g_autofree char *path = path_of(user);
    g_autofree char *text = NULL;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat file;
    size_t length = 0;
    ssize_t count = 0;

    *ret_missing = fd < 0 && errno == ENOENT;
    if (fd < 0) {
        fail_read(path, errno, error);
        return NULL;
    }
    if (fstat(fd, &file) < 0 || !S_ISREG(file.st_mode) || file.st_size > (off_t)AUTHKEYS_FILE_MAX) {
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_LIMIT,
                    "failed to read '%s': it is no file of at most %zu KiB", path,
                    AUTHKEYS_FILE_MAX >> 10);
        (void)close(fd);
        return NULL;
    }
    text = g_malloc(AUTHKEYS_FILE_MAX + 1);
    do {
        count = read(fd, text + length, AUTHKEYS_FILE_MAX - length);
        length += count > 0 ? (size_t)count : 0;
    } while (count > 0 || (count < 0 && errno == EINTR));
    if (count < 0)
        fail_read(path, errno, error);
    (void)close(fd);
    text[length] = '\0';
    return count < 0 ? NULL : g_steal_pointer(&text);
}

static int open_folder(const AuthkeysUser *user, GError **error)
{
    g_autofree char *path = g_build_filename(user->home, FOLDER, NULL);
    int fd = -1;

    if (mkdir(path, 0700) < 0 && errno != EEXIST) {
        agent_error_errno(error, AGENT_ERROR_FAILED, errno, "failed to create directory '%s'",
                          path);
        return -1;
    }
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        agent_error_errno(error, AGENT_ERROR_FAILED, errno, "failed to open directory '%s'", path);
    return fd;
}

/* 0 or an errno. */
static int write_new(int folder, const char *text)
{
    size_t length = strlen(text), done = 0;
    int fd = -1, failed = 0;

    (void)unlinkat(folder, NEW_NAME, 0); /* of somebody who died here */
    fd = openat(folder, NEW_NAME, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    while (done < length && !failed) {
        ssize_t count = write(fd, text + done, length - done);

        if (count >= 0)
            done += (size_t)count;
        else if (errno != EINTR)
            failed = errno;
    }
    if (!failed && fsync(fd) < 0)
        failed = errno;
    if (close(fd) < 0 && !failed)
        failed = errno;
    return failed;
}

/* A reader sees the old file or the new one, whatever happens. */
static bool write_file(const AuthkeysUser *user, const char *text, GError **error)
{
    g_autofree char *path = path_of(user);
    int folder = open_folder(user, error);
    int failed = 0;

    if (folder < 0)
        return false;
    failed = write_new(folder, text);
    if (!failed && renameat(folder, NEW_NAME, folder, FILE_NAME) < 0)
        failed = errno;
    if (failed)
        (void)unlinkat(folder, NEW_NAME, 0);
    (void)close(folder);
    if (failed)
        return agent_error_errno(error, AGENT_ERROR_FAILED, failed, "failed to write to '%s'",
                                 path);
    return true;
}

char **authkeys_get(const AuthkeysUser *user, GError **error)
{
    bool missing = false;
    g_autofree char *text = read_file(user, &missing, error);
    g_auto(GStrv) lines = text ? g_strsplit(text, "\n", -1) : NULL;
    g_autoptr(GPtrArray) keys = g_ptr_array_new_with_free_func(g_free);

    if (!lines)
        return NULL;
    for (unsigned i = 0; lines[i]; i++) {
        const char *line = g_strstrip(lines[i]);

        if (line[0] && line[0] != '#')
            g_ptr_array_add(keys, g_strdup(line));
    }
    g_ptr_array_add(keys, NULL);
    return (char **)g_ptr_array_steal(keys, NULL);
}

bool authkeys_add(const AuthkeysUser *user, const char *const *keys, bool reset, GError **error)
{
    bool missing = false;
    g_autoptr(GError) problem = NULL;
    g_autofree char *text = reset ? g_strdup("") : read_file(user, &missing, &problem);
    g_autoptr(GString) all = NULL;

    /* What cannot be read is not written over. */
    if (!text && !missing) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return false;
    }
    all = g_string_new(text ? text : "");
    for (unsigned i = 0; keys[i]; i++) {
        g_auto(GStrv) lines = g_strsplit(all->str, "\n", -1);

        if (g_strv_contains((const char *const *)lines, keys[i]))
            continue;
        if (all->len > 0 && all->str[all->len - 1] != '\n')
            g_string_append_c(all, '\n');
        g_string_append_printf(all, "%s\n", keys[i]);
    }
    if (all->len > AUTHKEYS_FILE_MAX) {
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_LIMIT,
                    "authorized_keys would be larger than %zu KiB", AUTHKEYS_FILE_MAX >> 10);
        return false;
    }
    return write_file(user, all->str, error);
}

bool authkeys_remove(const AuthkeysUser *user, const char *const *keys, GError **error)
{
    bool missing = false;
    g_autoptr(GError) problem = NULL;
    g_autofree char *text = read_file(user, &missing, &problem);
    g_autoptr(GString) rest = g_string_new(NULL);
    g_auto(GStrv) lines = text ? g_strsplit(text, "\n", -1) : NULL;

    if (missing)
        return true;
    if (!lines) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return false;
    }
    for (unsigned i = 0; lines[i]; i++)
        if (!g_strv_contains(keys, lines[i]) && (lines[i][0] || lines[i + 1]))
            g_string_append_printf(rest, "%s\n", lines[i]);
    return write_file(user, rest->str, error);
}
