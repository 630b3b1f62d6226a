/*
 * mounts: see mounts.h.
 *
 * libmount only parses here: no cache and no canonicalization, so no mounted path is looked at. All
 * is linear in the length of the table, as a node may have tens of thousands of mounts.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/mounts.h"

#include "sys/mount_kind.h"

#include <errno.h>
#include <fnmatch.h>
#include <libmount.h>
#include <string.h>
#include <sys/sysmacros.h>

#define NO_PARENT -1
/* Mounts upon each other that one path leads through; guards against a table that is a cycle. */
#define STACKED_MAX 4096u

/* Where a mount sits: a path on its parent mount. */
typedef struct {
    int parent;
    const char *path;
    size_t length;
} Place;

/* One line of mountinfo; strings are the table's. */
typedef struct {
    Place place;
    int id;
    dev_t device_number;
    const char *target, *source, *type, *options;
    bool whole; /* the filesystem's root, not a bind mount of a part */
    bool visible;
} Line;

typedef struct libmnt_table MountTable;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MountTable, mnt_unref_table)
typedef struct libmnt_iter MountIterator;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MountIterator, mnt_free_iter)

/* --- the table -------------------------------------------------------------------------------- */

static int on_bad_line(struct libmnt_table *table, const char *filename, int number)
{
    int *first_bad = mnt_table_get_userdata(table);

    (void)filename;
    if (*first_bad == 0)
        *first_bad = number;
    return 1; /* go on; reported by parse() */
}

static MountTable *parse(const char *mountinfo, GError **error)
{
    g_autoptr(MountTable) table = mnt_new_table();
    int first_bad = 0, rc = 0;

    if (!table) {
        agent_error_errno(error, AGENT_ERROR_FAILED, ENOMEM, "%s", mountinfo);
        return NULL;
    }
    mnt_table_set_userdata(table, &first_bad);
    mnt_table_set_parser_errcb(table, on_bad_line);
    rc = mnt_table_parse_file(table, mountinfo);
    mnt_table_set_userdata(table, NULL);
    if (rc < 0) {
        agent_error_errno(error, AGENT_ERROR_UNAVAILABLE, -rc, "%s", mountinfo);
        return NULL;
    }
    /* A line passed over would be a filesystem that nobody misses in the report. */
    if (rc > 0 || first_bad > 0) {
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_FAILED, "%s:%d: not a line of mountinfo",
                    mountinfo, first_bad);
        return NULL;
    }
    if ((unsigned)mnt_table_get_nents(table) > MOUNTS_MAX) {
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_LIMIT,
                    "%s has %d mounts, more than the %u that can be handled; unmount some",
                    mountinfo, mnt_table_get_nents(table), MOUNTS_MAX);
        return NULL;
    }
    return g_steal_pointer(&table);
}

/* The kernel puts `ro` or `rw` first; further on it could be part of a value. */
static bool superblock_read_only(const char *options)
{
    return options && strncmp(options, "ro", 2) == 0 && (options[2] == ',' || options[2] == '\0');
}

static bool read_line(struct libmnt_fs *fs, Line *line)
{
    const char *root = mnt_fs_get_root(fs);

    *line = (Line){
        .id = mnt_fs_get_id(fs),
        .device_number = mnt_fs_get_devno(fs),
        .target = mnt_fs_get_target(fs),
        .source = mnt_fs_get_source(fs),
        .type = mnt_fs_get_fstype(fs),
        .options = mnt_fs_get_fs_options(fs),
        .whole = root && strcmp(root, "/") == 0,
    };
    if (!line->target || line->target[0] != '/' || !line->type || line->device_number == 0)
        return false;
    line->place = (Place){mnt_fs_get_parent_id(fs), line->target, strlen(line->target)};
    return true;
}

/* Line elements; their strings live as long as `table`. */
static GArray *read_lines(struct libmnt_table *table, const char *mountinfo, GError **error)
{
    g_autoptr(MountIterator) iterator = mnt_new_iter(MNT_ITER_FORWARD);
    /* Of its final size from the start: others keep pointers into it. */
    g_autoptr(GArray) lines =
        g_array_sized_new(FALSE, TRUE, sizeof(Line), (unsigned)mnt_table_get_nents(table));
    struct libmnt_fs *fs = NULL;

    while (iterator && mnt_table_next_fs(table, iterator, &fs) == 0) {
        Line line;

        if (!read_line(fs, &line)) {
            g_set_error(error, AGENT_ERROR, AGENT_ERROR_FAILED, "%s:%u: not a line of mountinfo",
                        mountinfo, lines->len + 1);
            return NULL;
        }
        g_array_append_val(lines, line);
    }
    return g_steal_pointer(&lines);
}

/* --- what is mounted over ----------------------------------------------------------------------
 */

static guint place_hash(gconstpointer data)
{
    const Place *place = data;
    guint hash = 2166136261u ^ (guint)place->parent;

    for (size_t i = 0; i < place->length; i++)
        hash = (hash ^ (guchar)place->path[i]) * 16777619u;
    return hash;
}

static gboolean place_equal(gconstpointer left, gconstpointer right)
{
    const Place *a = left, *b = right;

    return a->parent == b->parent && a->length == b->length &&
           memcmp(a->path, b->path, a->length) == 0;
}

/* "/a/b": 1, 2, 4, 0: the lengths of "/", "/a", "/a/b", and no more. */
static size_t next_prefix(const char *path, size_t length)
{
    const char *from = path + length;

    if (length == 0)
        return 1;
    if (*from == '/')
        from++;
    return *from ? (size_t)(strchrnul(from, '/') - path) : 0;
}

/* The mount that a look-up of `path` ends in, going from mount to mount as the kernel does. */
static const Line *mount_at(GHashTable *places, const char *path)
{
    Place place = {NO_PARENT, path, 0};
    const Line *found = NULL;
    unsigned steps = 0;

    while ((place.length = next_prefix(path, place.length)) > 0) {
        const Line *child = NULL;

        while ((child = g_hash_table_lookup(places, &place)) && steps++ < STACKED_MAX) {
            found = child;
            place.parent = child->id;
        }
    }
    return found;
}

static void mark_visible(GArray *lines)
{
    g_autoptr(GHashTable) ids = g_hash_table_new(NULL, NULL);
    g_autoptr(GHashTable) places = g_hash_table_new(place_hash, place_equal);

    for (unsigned i = 0; i < lines->len; i++)
        g_hash_table_add(ids, GINT_TO_POINTER(g_array_index(lines, Line, i).id));
    for (unsigned i = 0; i < lines->len; i++) {
        Line *line = &g_array_index(lines, Line, i);

        /* The parent of the root is outside of what this process sees. */
        if (line->place.parent == line->id ||
            !g_hash_table_contains(ids, GINT_TO_POINTER(line->place.parent)))
            line->place.parent = NO_PARENT;
        g_hash_table_replace(places, &line->place, line);
    }
    for (unsigned i = 0; i < lines->len; i++) {
        Line *line = &g_array_index(lines, Line, i);

        line->visible = mount_at(places, line->target) == line;
    }
}

/* --- one superblock ----------------------------------------------------------------------------
 */

static void mount_free(gpointer data)
{
    Mount *mount = data;

    g_free(mount->mountpoint);
    g_ptr_array_unref(mount->mountpoints);
    g_free(mount->device);
    g_free(mount->type);
    g_ptr_array_unref(mount->carriers);
    g_free(mount->upper);
    g_free(mount);
}

static bool better(const Line *a, const Line *b)
{
    if (a->visible != b->visible)
        return a->visible;
    if (a->whole != b->whole)
        return a->whole;
    return a->place.length < b->place.length;
}

static void add_mountpoints(Mount *mount, GPtrArray *group, const Line *best)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

    g_ptr_array_add(mount->mountpoints, g_strdup(best->target));
    g_hash_table_add(seen, (gpointer)best->target);
    for (int visible = 1; visible >= 0; visible--) {
        for (unsigned i = 0; i < group->len; i++) {
            const Line *line = g_ptr_array_index(group, i);

            if (line->visible == (bool)visible && g_hash_table_add(seen, (gpointer)line->target))
                g_ptr_array_add(mount->mountpoints, g_strdup(line->target));
        }
        if (visible)
            mount->visible = best->visible ? mount->mountpoints->len : 0;
    }
}

static char *overlay_upper(const char *type, const char *options)
{
    const char *found = NULL;

    if (!options || !g_str_has_prefix(type, "overlay"))
        return NULL;
    found = strstr(options, ",upperdir=/");
    if (!found)
        return NULL;
    found += strlen(",upperdir=");
    return g_strndup(found, (size_t)(strchrnul(found, ',') - found));
}

static bool glob_matches(const char *const *globs, const char *text)
{
    for (; *globs; globs++)
        if (fnmatch(*globs, text, 0) == 0)
            return true;
    return false;
}

/* `parts`: bind mounts of parts count as well. */
static bool named_by(const char *const *globs, const Mount *mount, GPtrArray *group, bool parts)
{
    if (glob_matches(globs, mount->type) || glob_matches(globs, mount->device))
        return true;
    for (unsigned i = 0; i < group->len; i++) {
        const Line *line = g_ptr_array_index(group, i);

        if ((parts || line->whole) && glob_matches(globs, line->target))
            return true;
    }
    return false;
}

static void apply_globs(Mount *mount, GPtrArray *group, const MountsOptions *options)
{
    bool whole = false;

    for (unsigned i = 0; i < group->len && !whole; i++)
        whole = ((const Line *)g_ptr_array_index(group, i))->whole;
    if (options->exclude && named_by(options->exclude, mount, group, !whole)) {
        mount->action = MOUNT_EXCLUDED;
        mount->reason = "excluded by configuration";
    } else if (options->include && options->include[0] &&
               !named_by(options->include, mount, group, true)) {
        mount->action = MOUNT_EXCLUDED;
        mount->reason = "not included by configuration";
    }
}

static Mount *mount_of(GPtrArray *group, const MountsOptions *options)
{
    Mount *mount = g_new0(Mount, 1);
    const Line *best = g_ptr_array_index(group, 0);

    for (unsigned i = 1; i < group->len; i++) {
        const Line *line = g_ptr_array_index(group, i);

        if (better(line, best))
            best = line;
    }
    mount->mountpoint = g_strdup(best->target);
    mount->mountpoints = g_ptr_array_new_with_free_func(g_free);
    add_mountpoints(mount, group, best);
    mount->mount_id = best->id;
    mount->device = g_strdup(best->source ? best->source : "none");
    mount->type = g_strdup(best->type);
    mount->major = major(best->device_number);
    mount->minor = minor(best->device_number);
    mount->hidden = !best->visible;
    mount->carriers = g_ptr_array_new_with_free_func(g_free);
    mount->upper = overlay_upper(best->type, best->options);
    mount->action =
        mount_kind(mount->type, superblock_read_only(best->options), mount->major, &mount->reason);
    if (mount->action != MOUNT_SKIP)
        apply_globs(mount, group, options);
    return mount;
}

/* Lines by superblock, in the order of their first lines. */
static GPtrArray *group_lines(GArray *lines)
{
    GPtrArray *groups = g_ptr_array_new_with_free_func((GDestroyNotify)g_ptr_array_unref);
    g_autoptr(GHashTable) by_device =
        g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);

    for (unsigned i = 0; i < lines->len; i++) {
        Line *line = &g_array_index(lines, Line, i);
        gint64 key = (gint64)line->device_number;
        GPtrArray *group = g_hash_table_lookup(by_device, &key);

        if (!group) {
            group = g_ptr_array_new();
            g_ptr_array_add(groups, group);
            g_hash_table_insert(by_device, g_memdup2(&key, sizeof(key)), group);
        }
        g_ptr_array_add(group, line);
    }
    return groups;
}

GPtrArray *mounts_list(const MountsOptions *options, GError **error)
{
    g_autoptr(MountTable) table = parse(options->mountinfo, error);
    g_autoptr(GArray) lines = table ? read_lines(table, options->mountinfo, error) : NULL;
    g_autoptr(GPtrArray) groups = NULL;
    GPtrArray *mounts = NULL;

    if (!lines)
        return NULL;
    mark_visible(lines);
    groups = group_lines(lines);
    mounts = g_ptr_array_new_with_free_func(mount_free);
    for (unsigned i = 0; i < groups->len; i++)
        g_ptr_array_add(mounts, mount_of(g_ptr_array_index(groups, i), options));
    return mounts;
}

/* --- names -------------------------------------------------------------------------------------
 */

/* Without trailing slashes. */
static size_t name_length(const char *mountpoint)
{
    size_t length = strlen(mountpoint);

    while (length > 1 && mountpoint[length - 1] == '/')
        length--;
    return length;
}

bool mount_has_mountpoint(const Mount *mount, const char *mountpoint)
{
    size_t length = name_length(mountpoint);

    for (unsigned i = 0; i < mount->visible; i++) {
        const char *own = g_ptr_array_index(mount->mountpoints, i);

        if (strncmp(own, mountpoint, length) == 0 && own[length] == '\0')
            return true;
    }
    return false;
}

bool mounts_find_unknown(GPtrArray *mounts, const char *const *mountpoints, char **ret_unknown)
{
    g_autoptr(GHashTable) known = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GString) unknown = g_string_new(NULL);

    *ret_unknown = NULL;
    for (unsigned i = 0; i < mounts->len; i++) {
        const Mount *mount = g_ptr_array_index(mounts, i);

        for (unsigned k = 0; k < mount->visible; k++)
            g_hash_table_add(known, g_ptr_array_index(mount->mountpoints, k));
    }
    for (; *mountpoints; mountpoints++) {
        g_autofree char *name = g_strndup(*mountpoints, name_length(*mountpoints));

        if (!g_hash_table_contains(known, name))
            g_string_append_printf(unknown, "%s%s", unknown->len ? ", " : "", *mountpoints);
    }
    if (unknown->len == 0)
        return true;
    *ret_unknown = g_string_free(g_steal_pointer(&unknown), FALSE);
    return false;
}
