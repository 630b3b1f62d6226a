/*
 * mounts: see mounts.h.
 *
 * First the lines of all tables are gathered by superblock, then each superblock becomes a Mount.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/mounts_internal.h"

#include "sys/mount_kind.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

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

/* Whether it takes a copy of its namespace to get there. */
static bool needs_copy(const MountLine *line)
{
    return !line->visible || (line->where && !line->where->rooted);
}

static bool better(const MountLine *a, const MountLine *b)
{
    if (needs_copy(a) != needs_copy(b))
        return needs_copy(b);
    if (a->whole != b->whole)
        return a->whole;
    return a->seat.length < b->seat.length;
}

/* Who names a path means what the agent's own namespace shows there, if it does. */
static bool is_name(const MountsListing *listing, const MountLine *line)
{
    return line->visible &&
           (!line->where || !g_hash_table_contains(listing->own_names, line->target));
}

static void add_mountpoints(const MountsListing *listing, Mount *mount, GPtrArray *group,
                            const MountLine *best)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

    for (int names = 1; names >= 0; names--) {
        if (is_name(listing, best) == (bool)names && g_hash_table_add(seen, (gpointer)best->target))
            g_ptr_array_add(mount->mountpoints, g_strdup(best->target));
        for (unsigned i = 0; i < group->len; i++) {
            const MountLine *line = g_ptr_array_index(group, i);

            if (is_name(listing, line) == (bool)names &&
                g_hash_table_add(seen, (gpointer)line->target))
                g_ptr_array_add(mount->mountpoints, g_strdup(line->target));
        }
        if (names)
            mount->visible = mount->mountpoints->len;
    }
}

/* The kernel puts `ro` or `rw` first; further on it could be part of a value. */
static bool superblock_read_only(const char *options)
{
    return options && strncmp(options, "ro", 2) == 0 && (options[2] == ',' || options[2] == '\0');
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
        const MountLine *line = g_ptr_array_index(group, i);

        if ((parts || line->whole) && glob_matches(globs, line->target))
            return true;
    }
    return false;
}

static void apply_globs(Mount *mount, GPtrArray *group, const MountsOptions *options)
{
    bool whole = false;

    for (unsigned i = 0; i < group->len && !whole; i++)
        whole = ((const MountLine *)g_ptr_array_index(group, i))->whole;
    if (options->exclude && named_by(options->exclude, mount, group, !whole)) {
        mount->action = MOUNT_EXCLUDED;
        mount->reason = "excluded by configuration";
    } else if (options->include && options->include[0] &&
               !named_by(options->include, mount, group, true)) {
        mount->action = MOUNT_EXCLUDED;
        mount->reason = "not included by configuration";
    }
}

static const MountLine *best_of(GPtrArray *group)
{
    const MountLine *best = g_ptr_array_index(group, 0);

    for (unsigned i = 1; i < group->len; i++)
        if (better(g_ptr_array_index(group, i), best))
            best = g_ptr_array_index(group, i);
    return best;
}

static Mount *mount_of(const MountsListing *listing, GPtrArray *group)
{
    Mount *mount = g_new0(Mount, 1);
    const MountLine *best = best_of(group);

    mount->mountpoint = g_strdup(best->target);
    mount->mountpoints = g_ptr_array_new_with_free_func(g_free);
    add_mountpoints(listing, mount, group, best);
    if (best->where)
        mount->where = *best->where;
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
        apply_globs(mount, group, listing->options);
    return mount;
}

/* --- gathering ---------------------------------------------------------------------------------
 */

void mounts_gather(MountsListing *listing, MountLine *line)
{
    gpointer key = MOUNTS_DEVICE_KEY(line->device_number);
    GPtrArray *group = g_hash_table_lookup(listing->by_device, key);

    if (!group) {
        group = g_ptr_array_new();
        g_ptr_array_add(listing->groups, group);
        g_hash_table_insert(listing->by_device, key, group);
    }
    g_ptr_array_add(group, line);
}

static bool gather_own(MountsListing *listing, GError **error)
{
    const char *name = listing->options->mountinfo;
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    g_autoptr(GString) text = NULL;
    MountTable *table = NULL;
    GArray *lines = NULL;

    if (fd < 0)
        return agent_error_errno(error, AGENT_ERROR_UNAVAILABLE, errno, "%s", name);
    text = mount_table_read(fd, name, error);
    (void)close(fd);
    table = text ? mount_table_parse(text, name, error) : NULL;
    if (!table)
        return false;
    g_ptr_array_add(listing->tables, table);
    lines = mount_table_lines(table);
    for (unsigned i = 0; i < lines->len; i++) {
        MountLine *line = &g_array_index(lines, MountLine, i);

        mounts_gather(listing, line);
        if (line->visible)
            g_hash_table_add(listing->own_names, (gpointer)line->target);
    }
    listing->own = listing->groups->len;
    return true;
}

static void listing_clear(MountsListing *listing)
{
    g_ptr_array_unref(listing->groups);
    g_hash_table_unref(listing->by_device);
    g_hash_table_unref(listing->own_names);
    g_clear_pointer(&listing->namespaces, g_array_unref);
    g_ptr_array_unref(listing->tables);
    g_free(listing->unseen);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(MountsListing, listing_clear)

GPtrArray *mounts_list(const MountsOptions *options, char **ret_unseen, GError **error)
{
    g_auto(MountsListing) listing = {
        .options = options,
        .tables = g_ptr_array_new_with_free_func((GDestroyNotify)mount_table_free),
        .groups = g_ptr_array_new_with_free_func((GDestroyNotify)g_ptr_array_unref),
        .by_device = g_hash_table_new(NULL, NULL),
        .own_names = g_hash_table_new(g_str_hash, g_str_equal),
    };
    GPtrArray *mounts = NULL;

    if (ret_unseen)
        *ret_unseen = NULL;
    if (!gather_own(&listing, error))
        return NULL;
    if (options->procfs)
        mounts_gather_foreign(&listing);
    mounts = g_ptr_array_new_with_free_func(mount_free);
    for (unsigned i = 0; i < listing.groups->len; i++)
        g_ptr_array_add(mounts, mount_of(&listing, g_ptr_array_index(listing.groups, i)));
    if (ret_unseen)
        *ret_unseen = g_steal_pointer(&listing.unseen);
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
