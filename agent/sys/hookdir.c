/*
 * hookdir: see hookdir.h.
 *
 * A refused hook stays in the list with its reason: an application whose script may not run is an
 * application that is not quiesced, and that must be seen. What is executed as root must not be
 * writable by anyone else, so owner and mode of script, folder and NAME.conf are all checked, and
 * of the folder that a symbolic link leads to.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/hookdir.h"

#include "base/text.h"
#include "keeper/message.h"
#include "sys/hookconf.h"
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static const char *const LEFT_OVERS[] = {
    ".*", "*~", "*.bak", "*.orig", "*.rpm*", "*.dpkg-*", "*.swp", "*.sample", "*.conf",
};

typedef struct {
    const HookdirOptions *options;
    GPtrArray *hooks;
    GHashTable *seen; /* file names found in the directories so far */
} Scan;

void hook_free(Hook *hook)
{
    if (!hook)
        return;
    g_free(hook->name);
    g_free(hook->path);
    g_strfreev(hook->mountpoints);
    g_free(hook->user);
    g_free(hook->refused);
    g_free(hook);
}

Hook *hook_copy(const Hook *hook)
{
    Hook *copy = g_new(Hook, 1);

    *copy = *hook;
    copy->name = g_strdup(hook->name);
    copy->path = g_strdup(hook->path);
    copy->mountpoints = g_strdupv(hook->mountpoints);
    copy->user = g_strdup(hook->user);
    copy->refused = g_strdup(hook->refused);
    return copy;
}

static bool is_left_over(const char *name)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(LEFT_OVERS); i++)
        if (fnmatch(LEFT_OVERS[i], name, 0) == 0)
            return true;
    return false;
}

static bool is_null_device(const struct stat *status)
{
    return S_ISCHR(status->st_mode) && status->st_rdev == makedev(1, 3);
}

/* Why somebody other than the owner could change it; NULL: nobody. `what` is "" or "folder is ". */
static char *untrusted(const struct stat *status, uid_t owner, const char *what)
{
    if (status->st_uid != owner) {
        g_autofree char *wanted = owner == 0 ? g_strdup("root") : g_strdup_printf("uid %u", owner);
        return g_strdup_printf("%sowned by uid %u, not by %s", what, status->st_uid, wanted);
    }
    if (status->st_mode & S_IWOTH)
        return g_strdup_printf("%sworld-writable; chmod go-w is needed", what);
    if (status->st_mode & S_IWGRP)
        return g_strdup_printf("%sgroup-writable; chmod go-w is needed", what);
    return NULL;
}

static char *untrusted_folder(const char *path, uid_t owner)
{
    struct stat status;

    if (stat(path, &status) < 0)
        return g_strdup_printf("its folder cannot be looked at: %s", g_strerror(errno));
    return untrusted(&status, owner, "its folder is ");
}

/* The folder of the file that a symbolic link leads to. */
static char *untrusted_target(const char *path, uid_t owner)
{
    struct stat status;
    g_autofree char *folder = NULL;
    char *target;

    if (lstat(path, &status) < 0 || !S_ISLNK(status.st_mode))
        return NULL;
    target = realpath(path, NULL);
    if (!target)
        return g_strdup_printf("it is a link that leads nowhere: %s", g_strerror(errno));
    folder = g_path_get_dirname(target);
    free(target);
    return untrusted_folder(folder, owner);
}

/* Reason to refuse the script, or NULL. */
static char *vet_script(const char *path, const struct stat *status, uid_t owner)
{
    char *reason;

    if (!S_ISREG(status->st_mode))
        return g_strdup("not a regular file");
    reason = untrusted(status, owner, "");
    if (!reason)
        reason = untrusted_target(path, owner);
    if (!reason && access(path, X_OK) < 0)
        reason = errno == EACCES ? g_strdup("not executable; chmod +x is needed")
                                 : g_strdup_printf("not executable: %s", g_strerror(errno));
    /* The ledger names the script to whoever must release it after a crash. */
    if (!reason && strlen(path) >= KEEPER_NAME_SIZE)
        reason = g_strdup_printf("its path is longer than %u bytes", KEEPER_NAME_SIZE - 1);
    return reason;
}

static char *vet_conf(const char *path, const struct stat *status, uid_t owner)
{
    g_autofree char *reason = NULL;

    if (!S_ISREG(status->st_mode))
        reason = g_strdup("not a regular file");
    else
        reason = untrusted(status, owner, "");
    if (!reason)
        reason = untrusted_target(path, owner);
    if (!reason && status->st_size > (off_t)HOOKDIR_CONF_MAX)
        reason = g_strdup_printf("larger than %zu KiB", HOOKDIR_CONF_MAX >> 10);
    return reason ? g_strdup_printf("%s: %s", path, reason) : NULL;
}

static void read_conf(Hook *hook, const char *path, const struct stat *status,
                      const HookdirOptions *options)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *reason = vet_conf(path, status, options->owner);

    if (!reason && !hookconf_read(path, hook, options->run_as, &error))
        reason = g_strdup(error->message);
    if (reason && !hook->refused)
        hook->refused = g_steal_pointer(&reason);
}

/* NAME.conf of the script's own directory or of one that goes before it: /etc can so configure a
 * script of /usr/lib, but not the other way round. The first one counts, a null one as empty. */
static void find_conf(const Scan *scan, Hook *hook, unsigned directory, const char *file)
{
    for (unsigned i = 0; i <= directory; i++) {
        g_autofree char *path = g_strdup_printf("%s/%s.conf", scan->options->directories[i], file);
        struct stat status;

        if (stat(path, &status) < 0 && lstat(path, &status) < 0)
            continue;
        if (!is_null_device(&status))
            read_conf(hook, path, &status, scan->options);
        return;
    }
}

/* "50-postgresql" is "postgresql" with order 50. */
static void split_name(Hook *hook, const char *file)
{
    hook->order = HOOKDIR_ORDER;
    if (g_ascii_isdigit(file[0]) && g_ascii_isdigit(file[1]) && file[2] == '-' && file[3]) {
        hook->order = (unsigned)(g_ascii_digit_value(file[0]) * 10 + g_ascii_digit_value(file[1]));
        file += 3;
    }
    hook->name = g_strdup(file);
}

/* Name and path reach the host as JSON and people as one line. */
static void refuse_dirty_name(Hook *hook)
{
    char *clean = NULL;

    for (unsigned i = 0; i < 2; i++) {
        char **text = i == 0 ? &hook->name : &hook->path;
        size_t size = strlen(*text) + 1;

        clean = g_malloc(size);
        text_line(clean, size, *text, (size_t)-1);
        if (strcmp(clean, *text) != 0 && !hook->refused)
            hook->refused = g_strdup("its name has blanks at an end, control characters or bad "
                                     "UTF-8; rename it");
        g_free(*text);
        *text = clean;
    }
}

static Hook *new_hook(const char *folder, const char *file, HookKind kind)
{
    Hook *hook = g_new0(Hook, 1);

    hook->path = g_strdup_printf("%s/%s", folder, file);
    hook->kind = kind;
    hook->verbs = kind == HOOK_STOCK ? HOOK_VERB_FREEZE | HOOK_VERB_THAW | HOOK_VERB_ABORT
                                     : HOOK_VERBS_DEFAULT;
    split_name(hook, file);
    return hook;
}

static bool add_hook(Scan *scan, Hook *hook, GError **error)
{
    refuse_dirty_name(hook);
    g_ptr_array_add(scan->hooks, hook);
    if (scan->hooks->len <= HOOKDIR_HOOKS_MAX)
        return true;
    g_set_error(error, AGENT_ERROR, AGENT_ERROR_LIMIT,
                "more than %u hook scripts; %s is one too many: move some away, or put several "
                "into one script",
                HOOKDIR_HOOKS_MAX, hook->path);
    return false;
}

/* What the stock dispatcher passes over without a word: what it could not execute. */
static bool stock_ignores(const char *path, const struct stat *status)
{
    return !S_ISREG(status->st_mode) || access(path, X_OK) < 0;
}

/* `directory` is an index of the options' directories; of no meaning for stock scripts. */
static bool scan_file(Scan *scan, const char *folder, const char *folder_reason, const char *file,
                      HookKind kind, unsigned directory, GError **error)
{
    g_autofree char *path = g_strdup_printf("%s/%s", folder, file);
    struct stat status;
    int missing = stat(path, &status) < 0 ? errno : 0;
    Hook *hook;

    if (kind == HOOK_STOCK && (missing || stock_ignores(path, &status)))
        return true;
    /* In a folder that others can write to, anybody could mask. */
    if (!missing && is_null_device(&status) && !folder_reason)
        return true;
    hook = new_hook(folder, file, kind);
    if (folder_reason)
        hook->refused = g_strdup(folder_reason);
    else if (missing)
        hook->refused = g_strdup_printf("cannot be looked at: %s", g_strerror(missing));
    else
        hook->refused = vet_script(path, &status, scan->options->owner);
    if (kind == HOOK_PLAIN && !folder_reason)
        find_conf(scan, hook, directory, file);
    return add_hook(scan, hook, error);
}

static int compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names in the directory that are not left-overs, sorted. NULL with `error` when unreadable; a
 * missing one is empty. */
static GPtrArray *list_names(const char *folder, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    const struct dirent *entry;
    DIR *directory = opendir(folder);

    if (!directory && errno == ENOENT)
        return g_steal_pointer(&names);
    if (!directory) {
        agent_error_errno(error, AGENT_ERROR_FAILED, errno, "hook directory %s", folder);
        return NULL;
    }
    while ((errno = 0, entry = readdir(directory)))
        if (!is_left_over(entry->d_name))
            g_ptr_array_add(names, g_strdup(entry->d_name));
    if (errno != 0) {
        agent_error_errno(error, AGENT_ERROR_FAILED, errno, "hook directory %s", folder);
        closedir(directory);
        return NULL;
    }
    closedir(directory);
    g_ptr_array_sort(names, compare_names);
    return g_steal_pointer(&names);
}

static bool scan_folder(Scan *scan, const char *folder, HookKind kind, unsigned directory,
                        GError **error)
{
    g_autoptr(GPtrArray) names = list_names(folder, error);
    g_autofree char *reason = NULL;

    if (!names)
        return false;
    if (names->len > 0)
        reason = untrusted_folder(folder, scan->options->owner);
    for (unsigned i = 0; i < names->len; i++) {
        const char *file = g_ptr_array_index(names, i);

        if (kind == HOOK_PLAIN && !g_hash_table_add(scan->seen, g_strdup(file)))
            continue;
        if (!scan_file(scan, folder, reason, file, kind, directory, error))
            return false;
    }
    return true;
}

/* The one script of --fsfreeze-hook; here one that cannot run is refused, not ignored. */
static bool scan_stock_hook(Scan *scan, const char *path, GError **error)
{
    g_autofree char *folder = g_path_get_dirname(path);
    g_autofree char *file = g_path_get_basename(path);
    Hook *hook = new_hook(folder, file, HOOK_STOCK);
    struct stat status;

    hook->refused = untrusted_folder(folder, scan->options->owner);
    if (!hook->refused && stat(path, &status) < 0)
        hook->refused = g_strdup_printf("cannot be looked at: %s", g_strerror(errno));
    if (!hook->refused)
        hook->refused = vet_script(path, &status, scan->options->owner);
    return add_hook(scan, hook, error);
}

/* Two participants of one name could not be told apart in an error: the file name, or at last the
 * path, then stands for the name. */
static void part_names(GPtrArray *hooks, bool by_path)
{
    g_autoptr(GHashTable) count = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GPtrArray) old = g_ptr_array_new_with_free_func(g_free);

    for (unsigned i = 0; i < hooks->len; i++) {
        const Hook *hook = g_ptr_array_index(hooks, i);
        gsize n = (gsize)g_hash_table_lookup(count, hook->name);

        g_hash_table_insert(count, hook->name, (gpointer)(n + 1));
    }
    for (unsigned i = 0; i < hooks->len; i++) {
        Hook *hook = g_ptr_array_index(hooks, i);

        if ((gsize)g_hash_table_lookup(count, hook->name) < 2)
            continue;
        g_ptr_array_add(old, hook->name); /* still a key of the table */
        hook->name = by_path ? g_strdup(hook->path) : g_path_get_basename(hook->path);
    }
}

static int compare_hooks(gconstpointer a, gconstpointer b)
{
    const Hook *left = *(const Hook *const *)a, *right = *(const Hook *const *)b;
    int names;

    if (left->order != right->order)
        return left->order < right->order ? -1 : 1;
    names = strcmp(left->name, right->name);
    return names != 0 ? names : strcmp(left->path, right->path);
}

GPtrArray *hookdir_scan(const HookdirOptions *options, GError **error)
{
    g_autoptr(GPtrArray) hooks = g_ptr_array_new_with_free_func((GDestroyNotify)hook_free);
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    Scan scan = {options, hooks, seen};
    const char *stock_directory = options->stock_directory;

    for (unsigned i = 0; options->directories && options->directories[i]; i++)
        if (!scan_folder(&scan, options->directories[i], HOOK_PLAIN, i, error))
            return NULL;
    if (options->stock_hook && *options->stock_hook) {
        if (!scan_stock_hook(&scan, options->stock_hook, error))
            return NULL;
    } else if (stock_directory && *stock_directory) {
        if (!scan_folder(&scan, stock_directory, HOOK_STOCK, 0, error))
            return NULL;
    }
    part_names(hooks, false);
    part_names(hooks, true);
    g_ptr_array_sort(hooks, compare_hooks);
    return g_steal_pointer(&hooks);
}
