/*
 * mounts_foreign: filesystems that only other mount namespaces have.
 *
 * Most tables only repeat what is known, or have the pseudo filesystems every container has, so
 * each is glanced over first and parsed only if there is something new in it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/mounts_internal.h"

#include "sys/mount_kind.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define SEPARATOR " - "
#define TYPE_SIZE 64u

/* What a glance at a line of mountinfo tells. */
typedef struct {
    dev_t device_number;
    char type[TYPE_SIZE];
} Glance;

typedef struct {
    MountsListing *listing;
    size_t bytes_left;
} Foreign;

static void note_unseen(MountsListing *listing, char *text)
{
    if (listing->unseen) {
        listing->unseen_more++;
        g_free(text);
    } else {
        listing->unseen = text;
    }
}

/* sscanf() would measure the whole text each time. */
static bool read_device_number(const char *line, dev_t *ret_device_number)
{
    char *at = NULL;
    unsigned long major = 0, minor = 0;

    (void)strtoul(line, &at, 10);
    (void)strtoul(at, &at, 10);
    major = strtoul(at, &at, 10);
    if (*at != ':')
        return false;
    minor = strtoul(at + 1, &at, 10);
    *ret_device_number = makedev(major, minor);
    return *at == ' ';
}

/* "36 35 98:0 /root /target options … - type source options" */
static bool glance_at(const char *line, const char *end, Glance *glance)
{
    const char *type = memmem(line, (size_t)(end - line), SEPARATOR, strlen(SEPARATOR));
    const char *stop = NULL;

    if (!type || !read_device_number(line, &glance->device_number))
        return false;
    type += strlen(SEPARATOR);
    stop = memchr(type, ' ', (size_t)(end - type));
    if (!stop || (size_t)(stop - type) >= sizeof(glance->type))
        return false;
    memcpy(glance->type, type, (size_t)(stop - type));
    glance->type[stop - type] = '\0';
    return true;
}

static bool is_own(const MountsListing *listing, dev_t device_number)
{
    const GPtrArray *group =
        g_hash_table_lookup(listing->by_device, MOUNTS_DEVICE_KEY(device_number));

    return group && !((const MountLine *)g_ptr_array_index(group, 0))->where;
}

/* Whoever only needs to know what carries it does not care whether it is mounted over. */
static bool passes_on(const MountsListing *listing, dev_t device_number, const char *type)
{
    return listing->options->overlays && mount_kind_passes_on(type) &&
           !is_own(listing, device_number);
}

static bool matters(const MountsListing *listing, dev_t device_number, const char *type)
{
    return !is_own(listing, device_number) &&
           (major(device_number) != 0 || !mount_kind_is_noise(type));
}

/* The part of the table that is worth parsing; NULL: none. What cannot be read is: the parser says
 * what is wrong. */
static GString *glance_over(const MountsListing *listing, const GString *text)
{
    const char *end = text->str + text->len;
    GString *passing = NULL; /* freed or returned below */

    for (const char *line = text->str; line < end;) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        Glance glance;

        stop = stop ? stop + 1 : end;
        /* What is mounted over can be told from the whole table only. */
        if (!glance_at(line, stop, &glance) ||
            matters(listing, glance.device_number, glance.type)) {
            if (passing)
                g_string_free(passing, TRUE);
            return g_string_new_len(text->str, (gssize)text->len);
        }
        if (passes_on(listing, glance.device_number, glance.type)) {
            if (!passing)
                passing = g_string_new(NULL);
            g_string_append_len(passing, line, stop - line);
        }
        line = stop;
    }
    return passing;
}

static void gather_lines(MountsListing *listing, GArray *lines, const Namespace *space)
{
    for (unsigned i = 0; i < lines->len; i++) {
        MountLine *line = &g_array_index(lines, MountLine, i);

        line->where = space;
        if (matters(listing, line->device_number, line->type) ||
            passes_on(listing, line->device_number, line->type))
            mounts_gather(listing, line);
    }
}

static GString *read_table(Foreign *foreign, const Namespace *space, const char *name)
{
    g_autoptr(GError) error = NULL;
    GString *text = NULL;
    int fd = namespace_mountinfo(foreign->listing->options->procfs, space);

    if (fd == -ENODEV)
        return NULL; /* it ended */
    if (fd < 0) {
        note_unseen(foreign->listing, g_strdup_printf("%s: %s", name, g_strerror(-fd)));
        return NULL;
    }
    text = mount_table_read(fd, name, &error);
    (void)close(fd);
    if (!text) {
        note_unseen(foreign->listing, g_strdup(error->message));
        if (g_error_matches(error, AGENT_ERROR, AGENT_ERROR_LIMIT))
            foreign->bytes_left = 0; /* so much was read */
    }
    return text;
}

static void gather_namespace(Foreign *foreign, const Namespace *space)
{
    g_autofree char *name = space->pid > 0
                                ? g_strdup_printf("mount namespace of process %d", space->pid)
                                : g_strdup_printf("mount namespace %" PRIu64, space->inode);
    g_autoptr(GString) text = read_table(foreign, space, name);
    g_autoptr(GString) part = text ? glance_over(foreign->listing, text) : NULL;
    g_autoptr(GError) error = NULL;
    MountTable *table = NULL;

    if (text)
        foreign->bytes_left -= MIN(foreign->bytes_left, text->len);
    if (!part)
        return;
    table = mount_table_parse(part, name, &error);
    if (!table) {
        note_unseen(foreign->listing, g_strdup(error->message));
        return;
    }
    g_ptr_array_add(foreign->listing->tables, table);
    gather_lines(foreign->listing, mount_table_lines(table), space);
}

static void add_kept(MountsListing *listing)
{
    for (unsigned i = 0; i < listing->own; i++) {
        const GPtrArray *group = g_ptr_array_index(listing->groups, i);

        for (unsigned k = 0; k < group->len; k++) {
            const MountLine *line = g_ptr_array_index(group, k);

            if (strcmp(line->type, "nsfs") == 0)
                namespaces_add_kept(listing->namespaces, line->root);
        }
    }
}

void mounts_gather_foreign(MountsListing *listing)
{
    Foreign foreign = {.listing = listing, .bytes_left = MOUNTS_FOREIGN_BYTES_MAX};

    listing->namespaces = namespaces_scan(listing->options->procfs, &listing->unseen);
    add_kept(listing);
    for (unsigned i = 0; i < listing->namespaces->len; i++) {
        if (foreign.bytes_left == 0) {
            note_unseen(listing, g_strdup_printf("the mount tables of the other namespaces have "
                                                 "more than %zu MiB",
                                                 MOUNTS_FOREIGN_BYTES_MAX >> 20));
            break;
        }
        gather_namespace(&foreign, &g_array_index(listing->namespaces, Namespace, i));
    }
    if (listing->unseen_more > 0) {
        g_autofree char *first = g_steal_pointer(&listing->unseen);

        listing->unseen = g_strdup_printf("%s (and %u more)", first, listing->unseen_more);
    }
}
