/*
 * namespaces: see namespaces.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STACK_SIZE ((size_t)128 << 10)
#define LINK_SIZE  64u /* "mnt:[18446744073709551615]" fits */

/* --- the list ----------------------------------------------------------------------------------
 */

static uint64_t parse_inode(const char *text)
{
    uint64_t inode = 0;
    int end = 0;

    return sscanf(text, "mnt:[%" SCNu64 "]%n", &inode, &end) == 1 && end > 0 && !text[end] ? inode
                                                                                           : 0;
}

/* 0: errno says why. */
static uint64_t read_inode(int directory, const char *path)
{
    char text[LINK_SIZE];
    ssize_t size = readlinkat(directory, path, text, sizeof(text) - 1);
    uint64_t inode = 0;

    if (size < 0)
        return 0;
    text[size] = '\0';
    inode = parse_inode(text);
    if (inode == 0)
        errno = EPROTO;
    return inode;
}

/* Seen from outside, the root of a process that is not below its namespace's is "/". */
static bool is_rooted(int proc, int pid)
{
    char path[LINK_SIZE], target[2];

    (void)snprintf(path, sizeof(path), "%d/root", pid);
    return readlinkat(proc, path, target, sizeof(target)) == 1 && target[0] == '/';
}

static gint by_number(gconstpointer left, gconstpointer right)
{
    int a = *(const int *)left, b = *(const int *)right;

    return (a > b) - (a < b);
}

/* int elements, ascending: the oldest process of a container is rather its first than one of its
 * daemons that locked itself up in a folder. */
static GArray *list_processes(const char *procfs)
{
    GArray *pids = g_array_new(FALSE, FALSE, sizeof(int));
    g_autoptr(GDir) dir = g_dir_open(procfs, 0, NULL);
    const char *name = NULL;

    while (dir && (name = g_dir_read_name(dir))) {
        int pid = name[strspn(name, "0123456789")] ? 0 : atoi(name);

        if (pid > 0)
            g_array_append_val(pids, pid);
    }
    g_array_sort(pids, by_number);
    return pids;
}

typedef struct {
    int proc;
    uint64_t own;
    GArray *found;
    GHashTable *by_inode; /* -> index + 1 */
    unsigned refused;
    int refused_error;
    bool too_many;
} Scan;

static void scan_process(Scan *scan, int pid)
{
    Namespace space = {.pid = pid};
    char path[LINK_SIZE];
    Namespace *known = NULL;
    gsize index = 0;

    (void)snprintf(path, sizeof(path), "%d/ns/mnt", pid);
    space.inode = read_inode(scan->proc, path);
    if (space.inode == 0) {
        if (errno == ENOENT || errno == ESRCH)
            return; /* it ended, or is a zombie */
        scan->refused++;
        scan->refused_error = errno;
        return;
    }
    if (space.inode == scan->own)
        return;
    index =
        GPOINTER_TO_SIZE(g_hash_table_lookup(scan->by_inode, GSIZE_TO_POINTER((gsize)space.inode)));
    if (index > 0) {
        known = &g_array_index(scan->found, Namespace, index - 1);
        if (!known->rooted && is_rooted(scan->proc, pid))
            *known = (Namespace){space.inode, pid, true};
        return;
    }
    if (scan->found->len >= NAMESPACES_MAX) {
        scan->too_many = true;
        return;
    }
    space.rooted = is_rooted(scan->proc, pid);
    g_array_append_val(scan->found, space);
    g_hash_table_insert(scan->by_inode, GSIZE_TO_POINTER((gsize)space.inode),
                        GSIZE_TO_POINTER((gsize)scan->found->len));
}

static char *unseen_text(const Scan *scan)
{
    if (scan->too_many)
        return g_strdup_printf("there are more than %u mount namespaces; the others were not "
                               "looked at",
                               NAMESPACES_MAX);
    if (scan->refused > 0)
        return g_strdup_printf("the mount namespaces of %u processes cannot be read: %s",
                               scan->refused, g_strerror(scan->refused_error));
    return NULL;
}

GArray *namespaces_scan(const char *procfs, char **ret_unseen)
{
    g_autoptr(GArray) pids = NULL;
    g_autoptr(GHashTable) by_inode = g_hash_table_new(NULL, NULL);
    Scan scan = {.by_inode = by_inode};

    *ret_unseen = NULL;
    scan.found = g_array_new(FALSE, FALSE, sizeof(Namespace));
    scan.proc = open(procfs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (scan.proc < 0) {
        *ret_unseen = g_strdup_printf("%s: %s", procfs, g_strerror(errno));
        return scan.found;
    }
    scan.own = read_inode(scan.proc, "self/ns/mnt");
    if (scan.own != 0) {
        pids = list_processes(procfs);
        for (unsigned i = 0; i < pids->len; i++)
            scan_process(&scan, g_array_index(pids, int, i));
        *ret_unseen = unseen_text(&scan);
    } else if (errno != ENOENT) { /* ENOENT: a kernel without namespaces */
        *ret_unseen = g_strdup_printf("%s/self/ns/mnt: %s", procfs, g_strerror(errno));
    }
    (void)close(scan.proc);
    return scan.found;
}

void namespaces_add_kept(GArray *namespaces, const char *root)
{
    const Namespace kept = {.inode = parse_inode(root)};

    if (kept.inode == 0)
        return;
    for (unsigned i = 0; i < namespaces->len; i++)
        if (g_array_index(namespaces, Namespace, i).inode == kept.inode)
            return;
    g_array_append_val(namespaces, kept);
}

/* --- one of them -------------------------------------------------------------------------------
 */

/* /proc/PID, which stays that process's, if it is in the namespace; else -1. */
static int open_process(const char *procfs, uint64_t inode, int pid)
{
    g_autofree char *path = g_strdup_printf("%s/%d", procfs, pid);
    int directory = pid > 0 ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

    if (directory >= 0 && read_inode(directory, "ns/mnt") == inode)
        return directory;
    if (directory >= 0)
        (void)close(directory);
    return -1;
}

/* By another process than the one that was seen in it. */
static int search_process(const char *procfs, const Namespace *space, Namespace *ret_now)
{
    char *unseen = NULL;
    g_autoptr(GArray) all = namespaces_scan(procfs, &unseen);
    int directory = -1;

    g_free(unseen); /* what could not be looked at is not it */
    for (unsigned i = 0; i < all->len && directory < 0; i++) {
        *ret_now = g_array_index(all, Namespace, i);
        if (ret_now->inode == space->inode)
            directory = open_process(procfs, ret_now->inode, ret_now->pid);
    }
    return directory >= 0 ? directory : -ENODEV;
}

/* The same namespace as it can be found now, by its process or by another one. */
static int find_process(const char *procfs, const Namespace *space, Namespace *ret_now)
{
    int directory = open_process(procfs, space->inode, space->pid);

    *ret_now = *space;
    return directory >= 0 ? directory : search_process(procfs, space, ret_now);
}

static int open_in(int directory, const char *name, int flags)
{
    int fd = openat(directory, name, flags | O_CLOEXEC);
    int error_number = errno;

    (void)close(directory);
    if (fd >= 0)
        return fd;
    /* EINVAL: a zombie has no table. */
    return error_number == ESRCH || error_number == ENOENT || error_number == EINVAL
               ? -ENODEV
               : -error_number;
}

/* The file that keeps a namespace which has no process: one bound to it in the own namespace. */
static int open_kept(const char *procfs, uint64_t inode)
{
    g_autofree char *path = g_build_filename(procfs, "self", "mountinfo", NULL);
    g_autofree char *wanted = g_strdup_printf(" mnt:[%" PRIu64 "] ", inode);
    FILE *table = fopen(path, "re");
    char *line = NULL;
    size_t size = 0;
    int fd = -ENODEV;

    while (table && fd < 0 && getline(&line, &size, table) > 0) {
        const char *found = strstr(line, wanted);
        g_auto(GStrv) words = found ? g_strsplit(found + strlen(wanted), " ", 2) : NULL;
        g_autofree char *target = words ? g_strcompress(words[0]) : NULL;
        struct stat status;

        fd = target ? open(target, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) : -ENODEV;
        if (fd >= 0 && (fstat(fd, &status) < 0 || status.st_ino != inode)) {
            (void)close(fd);
            fd = -ENODEV;
        }
    }
    free(line);
    if (table)
        (void)fclose(table);
    return fd >= 0 ? fd : -ENODEV;
}

int namespace_open(const char *procfs, const Namespace *space)
{
    Namespace now;
    int directory = find_process(procfs, space, &now);

    if (directory == -ENODEV)
        return open_kept(procfs, space->inode);
    return open_in(directory, "ns/mnt", O_RDONLY);
}

int namespace_root(const char *procfs, const Namespace *space)
{
    Namespace now;
    int directory = find_process(procfs, space, &now);

    if (directory < 0)
        return directory;
    if (now.rooted)
        return open_in(directory, "root", O_PATH | O_DIRECTORY);
    (void)close(directory);
    return -ENXIO;
}

/* --- entering ----------------------------------------------------------------------------------
 */

typedef struct {
    int (*func)(gpointer data);
    gpointer data;
    int result;
} Visit;

static void *visit_main(void *argument)
{
    Visit *visit = argument;

    visit->result = unshare(CLONE_FS) == 0 ? visit->func(visit->data) : -errno;
    return NULL;
}

int namespace_run(int (*func)(gpointer data), gpointer data)
{
    Visit visit = {.func = func, .data = data};
    pthread_attr_t attributes;
    pthread_t thread;
    int error_number = pthread_attr_init(&attributes);

    if (error_number)
        return -error_number;
    (void)pthread_attr_setstacksize(&attributes, STACK_SIZE);
    error_number = pthread_create(&thread, &attributes, visit_main, &visit);
    (void)pthread_attr_destroy(&attributes);
    if (error_number)
        return -error_number;
    (void)pthread_join(thread, NULL);
    return visit.result;
}

typedef struct {
    int proc, space;
} Entry;

static int entered_mountinfo(gpointer data)
{
    const Entry *entry = data;
    int fd = -1;

    if (setns(entry->space, CLONE_NEWNS) < 0)
        return -errno;
    /* By the fd: "/proc" would be the namespace's. */
    fd = openat(entry->proc, "thread-self/mountinfo", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    return fd;
}

static int enter_for_mountinfo(const char *procfs, const Namespace *space)
{
    Entry entry = {.space = namespace_open(procfs, space)};
    int result = entry.space;

    if (entry.space < 0)
        return result;
    entry.proc = open(procfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
    result = entry.proc < 0 ? -errno : namespace_run(entered_mountinfo, &entry);
    if (entry.proc >= 0)
        (void)close(entry.proc);
    (void)close(entry.space);
    return result;
}

int namespace_mountinfo(const char *procfs, const Namespace *space)
{
    Namespace now;
    int directory = space->rooted ? find_process(procfs, space, &now) : -ENXIO;

    if (directory >= 0 && now.rooted)
        return open_in(directory, "mountinfo", O_RDONLY);
    if (directory >= 0)
        (void)close(directory);
    else if (directory != -ENXIO)
        return directory;
    return enter_for_mountinfo(procfs, space);
}
