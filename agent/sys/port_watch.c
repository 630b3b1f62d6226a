/*
 * port_watch: see port_watch.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/port_watch.h"

#include "sys/watchfd.h"

#include <errno.h>
#include <glib-unix.h>
#include <limits.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINKS_MAX 40u /* as many as the kernel follows */
#define WALKS_MAX 4u  /* a directory that is removed while we come to it: look again */

/* That the directory itself was removed comes as IN_IGNORED, asked for or not. */
#define NAME_EVENTS (IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB | IN_MOVE_SELF)

typedef struct {
    int id;
    char *name; /* in the watched directory; NULL: whatever happens there counts */
} WatchedName;

struct PortWatch {
    char *path;
    int fd;
    GSource *source;
    GArray *names; /* WatchedName */
    PortWatchFunc changed;
    gpointer user_data;
};

static void watched_name_clear(gpointer item)
{
    g_free(((WatchedName *)item)->name);
}

static int watch_add(PortWatch *watch, const char *directory, const char *name, uint32_t events)
{
    int id = inotify_add_watch(watch->fd, directory, events);
    WatchedName *item;

    if (id < 0)
        return errno;
    g_array_set_size(watch->names, watch->names->len + 1);
    item = &g_array_index(watch->names, WatchedName, watch->names->len - 1);
    item->id = id;
    item->name = g_strdup(name);
    return 0;
}

static mode_t kind_of(const char *path)
{
    struct stat status;

    return lstat(path, &status) == 0 ? status.st_mode & S_IFMT : 0;
}

/* Takes the first component off `*rest`; NULL when there is none. */
static char *take_component(char **rest)
{
    char *start = *rest + strspn(*rest, "/");
    size_t length = strcspn(start, "/");
    char *component = NULL;

    if (length > 0)
        component = g_strndup(start, length);
    *rest = start + length;
    return component;
}

/* Follows the path to its end and watches what decides where that is. Returns an errno. */
static int watch_walk(PortWatch *watch)
{
    g_autofree char *directory = g_strdup(g_path_is_absolute(watch->path) ? "/" : ".");
    g_autofree char *text = g_strdup(watch->path);
    char *rest = text;

    for (unsigned links = 0; links <= LINKS_MAX;) {
        g_autofree char *name = take_component(&rest);
        g_autofree char *full = NULL;
        char target[PATH_MAX];
        ssize_t length;
        int result;

        if (!name)
            return 0;
        full = g_build_filename(directory, name, NULL);
        if (rest[strspn(rest, "/")] != '\0' && S_ISDIR(kind_of(full))) {
            g_free(directory);
            directory = g_steal_pointer(&full);
            continue;
        }
        result = watch_add(watch, directory, name, NAME_EVENTS | IN_ONLYDIR);
        if (result != 0)
            return result;
        if (S_ISDIR(kind_of(full))) {
            g_free(directory);
            directory = g_steal_pointer(&full);
            continue;
        }
        length = readlink(full, target, sizeof(target) - 1);
        if (length < 0)
            return 0; /* missing, or the node at the end */
        target[length] = '\0';
        links++;
        g_autofree char *longer = g_strconcat(target, "/", rest, NULL);
        if (g_path_is_absolute(target)) {
            g_free(directory);
            directory = g_strdup("/");
        }
        g_free(text);
        text = rest = g_steal_pointer(&longer);
    }
    return 0; /* a loop of links: each of them is watched */
}

static bool watch_concerns(const PortWatch *watch, const struct inotify_event *event)
{
    if (event->mask & IN_Q_OVERFLOW)
        return true;
    for (unsigned i = 0; i < watch->names->len; i++) {
        const WatchedName *item = &g_array_index(watch->names, WatchedName, i);

        if (item->id != event->wd)
            continue;
        if (!item->name || event->len == 0 || g_str_equal(item->name, event->name))
            return true;
    }
    return false;
}

static gboolean watch_dispatch(gint fd, G_GNUC_UNUSED GIOCondition condition, gpointer user_data)
{
    PortWatch *watch = user_data;
    union {
        struct inotify_event event; /* for its alignment */
        char bytes[4096];
    } buffer;
    bool concerned = false;
    ssize_t count = read(fd, &buffer, sizeof(buffer));

    for (ssize_t at = 0; at < count;) {
        const struct inotify_event *event = (const void *)(buffer.bytes + at);

        concerned |= watch_concerns(watch, event);
        at += (ssize_t)(sizeof(*event) + event->len);
    }
    if (concerned)
        watch->changed(watch->user_data); /* may have freed the watch */
    return G_SOURCE_CONTINUE;
}

static bool watch_fail(const PortWatch *watch, int code, GError **error)
{
    const char *advice = "";

    if (code == ENOSPC)
        advice = " (raise fs.inotify.max_user_watches)";
    else if (code == EMFILE)
        advice = " (raise fs.inotify.max_user_instances)";
    return agent_error_errno(error, AGENT_ERROR_UNAVAILABLE, code, "cannot watch for %s%s",
                             watch->path, advice);
}

PortWatch *port_watch_new(const char *path, PortWatchFunc changed, gpointer user_data,
                          GError **error)
{
    g_autoptr(PortWatch) watch = g_new0(PortWatch, 1);
    int result = ENOENT;

    watch->path = g_strdup(path);
    watch->changed = changed;
    watch->user_data = user_data;
    watch->names = g_array_new(FALSE, FALSE, sizeof(WatchedName));
    g_array_set_clear_func(watch->names, watched_name_clear);
    watch->fd = watchfd_take();
    if (watch->fd < 0) {
        watch_fail(watch, errno, error);
        return NULL;
    }
    for (unsigned i = 0; i < WALKS_MAX && (result == ENOENT || result == ENOTDIR); i++)
        result = watch_walk(watch);
    if (result != 0) {
        watch_fail(watch, result, error);
        return NULL;
    }
    watch->source = g_unix_fd_source_new(watch->fd, G_IO_IN);
    g_source_set_callback(watch->source, G_SOURCE_FUNC(watch_dispatch), watch, NULL);
    g_source_attach(watch->source, NULL);
    return g_steal_pointer(&watch);
}

bool port_watch_closings(PortWatch *watch, GError **error)
{
    int result = watch_add(watch, watch->path, NULL, IN_CLOSE_WRITE | IN_CLOSE_NOWRITE);

    /* Gone by now: the watch on its name tells. */
    return result == 0 || result == ENOENT || watch_fail(watch, result, error);
}

void port_watch_free(PortWatch *watch)
{
    if (!watch)
        return;
    if (watch->source) {
        g_source_destroy(watch->source);
        g_source_unref(watch->source);
    }
    for (unsigned i = 0; i < watch->names->len; i++)
        (void)inotify_rm_watch(watch->fd, g_array_index(watch->names, WatchedName, i).id);
    watchfd_give(watch->fd);
    g_array_unref(watch->names);
    g_free(watch->path);
    g_free(watch);
}
