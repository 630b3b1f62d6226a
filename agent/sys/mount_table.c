/*
 * mount_table: see mount_table.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/mount_table.h"

#include "sys/mounts.h"

#include <errno.h>
#include <libmount.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#define NO_PARENT -1
/* Mounts upon each other that one path leads through; guards against a table that is a cycle. */
#define STACKED_MAX 4096u
#define READ_SIZE   ((size_t)64 << 10)

struct MountTable {
    struct libmnt_table *parsed;
    GArray *lines;
};

typedef struct libmnt_iter MountIterator;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MountIterator, mnt_free_iter)

void mount_table_free(MountTable *table)
{
    if (!table)
        return;
    mnt_unref_table(table->parsed);
    g_clear_pointer(&table->lines, g_array_unref);
    g_free(table);
}

GArray *mount_table_lines(MountTable *table)
{
    return table->lines;
}

/* --- reading -----------------------------------------------------------------------------------
 */

GString *mount_table_read(int fd, const char *name, GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);
    ssize_t count = 1;

    while (count > 0 && text->len <= MOUNT_TABLE_BYTES_MAX) {
        gsize before = text->len;

        g_string_set_size(text, before + READ_SIZE);
        count = read(fd, text->str + before, READ_SIZE);
        g_string_set_size(text, before + (count > 0 ? (gsize)count : 0));
    }
    if (count < 0) {
        agent_error_errno(error, AGENT_ERROR_UNAVAILABLE, errno, "%s", name);
        return NULL;
    }
    if (text->len > MOUNT_TABLE_BYTES_MAX) {
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_LIMIT, "%s has more than %zu MiB", name,
                    MOUNT_TABLE_BYTES_MAX >> 20);
        return NULL;
    }
    return g_steal_pointer(&text);
}

static int on_bad_line(struct libmnt_table *parsed, const char *filename, int number)
{
    int *first_bad = mnt_table_get_userdata(parsed);

    (void)filename;
    if (*first_bad == 0)
        *first_bad = number;
    return 1; /* go on; reported by parse_text() */
}

static bool parse_text(struct libmnt_table *parsed, const GString *text, const char *name,
                       GError **error)
{
    FILE *stream = fmemopen(text->str, text->len, "r");
    int first_bad = 0, rc = 0;

    if (!stream)
        return agent_error_errno(error, AGENT_ERROR_FAILED, errno, "%s", name);
    mnt_table_set_userdata(parsed, &first_bad);
    mnt_table_set_parser_errcb(parsed, on_bad_line);
    rc = mnt_table_parse_stream(parsed, stream, name);
    mnt_table_set_userdata(parsed, NULL);
    (void)fclose(stream);
    if (rc < 0)
        return agent_error_errno(error, AGENT_ERROR_UNAVAILABLE, -rc, "%s", name);
    /* A line passed over would be a filesystem that nobody misses in the report. */
    if (rc > 0 || first_bad > 0) {
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_FAILED, "%s:%d: not a line of mountinfo", name,
                    first_bad);
        return false;
    }
    if ((unsigned)mnt_table_get_nents(parsed) > MOUNTS_MAX) {
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_LIMIT,
                    "%s has %d mounts, more than the %u that can be handled; unmount some", name,
                    mnt_table_get_nents(parsed), MOUNTS_MAX);
        return false;
    }
    return true;
}

static bool read_line(struct libmnt_fs *fs, MountLine *line)
{
    unsigned long propagation = 0;

    *line = (MountLine){
        .id = mnt_fs_get_id(fs),
        .device_number = mnt_fs_get_devno(fs),
        .root = mnt_fs_get_root(fs),
        .target = mnt_fs_get_target(fs),
        .source = mnt_fs_get_source(fs),
        .type = mnt_fs_get_fstype(fs),
        .options = mnt_fs_get_fs_options(fs),
    };
    if (!line->root || !line->target || line->target[0] != '/' || !line->type ||
        line->device_number == 0)
        return false;
    line->whole = strcmp(line->root, "/") == 0;
    line->shared = mnt_fs_get_propagation(fs, &propagation) == 0 && (propagation & MS_SHARED) != 0;
    line->seat = (MountSeat){mnt_fs_get_parent_id(fs), line->target, strlen(line->target)};
    return true;
}

/* MountLine elements; their strings live as long as `parsed`. */
static GArray *read_lines(struct libmnt_table *parsed, const char *name, GError **error)
{
    g_autoptr(MountIterator) iterator = mnt_new_iter(MNT_ITER_FORWARD);
    /* Of its final size from the start: others keep pointers into it. */
    g_autoptr(GArray) lines =
        g_array_sized_new(FALSE, TRUE, sizeof(MountLine), (unsigned)mnt_table_get_nents(parsed));
    struct libmnt_fs *fs = NULL;

    while (iterator && mnt_table_next_fs(parsed, iterator, &fs) == 0) {
        MountLine line;

        if (!read_line(fs, &line)) {
            g_set_error(error, AGENT_ERROR, AGENT_ERROR_FAILED, "%s:%u: not a line of mountinfo",
                        name, lines->len + 1);
            return NULL;
        }
        g_array_append_val(lines, line);
    }
    return g_steal_pointer(&lines);
}

/* --- what is mounted over ----------------------------------------------------------------------
 */

static guint seat_hash(gconstpointer data)
{
    const MountSeat *seat = data;
    guint hash = 2166136261u ^ (guint)seat->parent;

    for (size_t i = 0; i < seat->length; i++)
        hash = (hash ^ (guchar)seat->path[i]) * 16777619u;
    return hash;
}

static gboolean seat_equal(gconstpointer left, gconstpointer right)
{
    const MountSeat *a = left, *b = right;

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
static const MountLine *mount_at(GHashTable *seats, const char *path)
{
    MountSeat seat = {NO_PARENT, path, 0};
    const MountLine *found = NULL;
    unsigned steps = 0;

    while ((seat.length = next_prefix(path, seat.length)) > 0) {
        const MountLine *child = NULL;

        while ((child = g_hash_table_lookup(seats, &seat)) && steps++ < STACKED_MAX) {
            found = child;
            seat.parent = child->id;
        }
    }
    return found;
}

static void mark_visible(GArray *lines)
{
    g_autoptr(GHashTable) ids = g_hash_table_new(NULL, NULL);
    g_autoptr(GHashTable) seats = g_hash_table_new(seat_hash, seat_equal);

    for (unsigned i = 0; i < lines->len; i++)
        g_hash_table_add(ids, GINT_TO_POINTER(g_array_index(lines, MountLine, i).id));
    for (unsigned i = 0; i < lines->len; i++) {
        MountLine *line = &g_array_index(lines, MountLine, i);

        /* The parent of the root is outside of what this process sees. */
        if (line->seat.parent == line->id ||
            !g_hash_table_contains(ids, GINT_TO_POINTER(line->seat.parent)))
            line->seat.parent = NO_PARENT;
        g_hash_table_replace(seats, &line->seat, line);
    }
    for (unsigned i = 0; i < lines->len; i++) {
        MountLine *line = &g_array_index(lines, MountLine, i);

        line->visible = mount_at(seats, line->target) == line;
    }
}

MountTable *mount_table_parse(const GString *text, const char *name, GError **error)
{
    g_autoptr(MountTable) table = g_new0(MountTable, 1);

    table->parsed = mnt_new_table();
    if (!table->parsed) {
        agent_error_errno(error, AGENT_ERROR_FAILED, ENOMEM, "%s", name);
        return NULL;
    }
    if (text->len > 0 && !parse_text(table->parsed, text, name, error))
        return NULL;
    table->lines = read_lines(table->parsed, name, error);
    if (!table->lines)
        return NULL;
    mark_visible(table->lines);
    return g_steal_pointer(&table);
}
