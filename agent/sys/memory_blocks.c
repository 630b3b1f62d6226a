/*
 * memory_blocks: see memory_blocks.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/memory_blocks.h"

#include "sys/procfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define PREFIX      "memory"
#define STATE_SIZE  16u
#define NUMBER_SIZE 32u

static char *folder_of(const char *sysfs)
{
    return g_build_filename(sysfs, "devices", "system", "memory", NULL);
}

static bool parse_name(const char *name, uint64_t *ret_index)
{
    char *end = NULL;

    if (strncmp(name, PREFIX, strlen(PREFIX)) != 0 || !g_ascii_isdigit(name[strlen(PREFIX)]))
        return false;
    *ret_index = g_ascii_strtoull(name + strlen(PREFIX), &end, 10);
    return *end == '\0';
}

/* Attributes that old kernels do not have leave what was there. False: errno says why. */
static bool read_state(int folder, const char *name, MemoryBlock *block)
{
    char file[sizeof(((struct dirent *)NULL)->d_name) + 16];
    char text[STATE_SIZE];

    block->online = true;
    (void)g_snprintf(file, sizeof(file), "%s/state", name);
    if (procfile_attribute(folder, file, text, sizeof(text)))
        block->online = g_str_has_prefix(text, "online");
    else if (errno != ENOENT)
        return false;
    else
        return true; /* neither can it be told to be off, nor be taken off */
    (void)g_snprintf(file, sizeof(file), "%s/removable", name);
    if (procfile_attribute(folder, file, text, sizeof(text)))
        block->can_offline = text[0] != '0' && text[0] != '\0';
    else if (errno != ENOENT)
        return false;
    return true;
}

static int by_index(gconstpointer left, gconstpointer right)
{
    const MemoryBlock *a = left, *b = right;

    return (a->index > b->index) - (a->index < b->index);
}

GArray *memory_blocks_list(const char *sysfs, GError **error)
{
    g_autofree char *path = folder_of(sysfs);
    g_autoptr(GArray) blocks = g_array_new(FALSE, TRUE, sizeof(MemoryBlock));
    DIR *dir = opendir(path);
    const struct dirent *entry = NULL;
    bool good = true;

    if (!dir && errno == ENOENT)
        return g_steal_pointer(&blocks);
    if (!dir) {
        agent_error_errno(error, AGENT_ERROR_UNAVAILABLE, errno, "Can't open directory\"%s/\"",
                          path);
        return NULL;
    }
    while (good && (entry = readdir(dir))) {
        MemoryBlock block = {0};

        if (!parse_name(entry->d_name, &block.index))
            continue;
        good = read_state(dirfd(dir), entry->d_name, &block);
        if (!good)
            agent_error_errno(error, AGENT_ERROR_UNAVAILABLE, errno, "open(\"%s/%s\")", path,
                              entry->d_name);
        g_array_append_val(blocks, block);
    }
    (void)closedir(dir);
    if (!good)
        return NULL;
    if (blocks->len == 0) {
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_UNAVAILABLE,
                    "guest reported zero memory blocks!");
        return NULL;
    }
    g_array_sort(blocks, by_index);
    return g_steal_pointer(&blocks);
}

bool memory_blocks_size(const char *sysfs, uint64_t *ret_bytes, GError **error)
{
    g_autofree char *path = folder_of(sysfs);
    g_autofree char *file = g_build_filename(path, "block_size_bytes", NULL);
    char text[NUMBER_SIZE];
    char *end = NULL;

    if (access(path, F_OK) < 0)
        return agent_error_errno(error, AGENT_ERROR_UNAVAILABLE, errno, "open(\"%s/\")", path);
    if (!procfile_read(file, text, sizeof(text)))
        return agent_error_errno(error, AGENT_ERROR_UNAVAILABLE, errno,
                                 "open sysfs file \"block_size_bytes\"");
    *ret_bytes = g_ascii_strtoull(text, &end, 16);
    if (end == text) {
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_UNAVAILABLE, "%s is not a number", file);
        return false;
    }
    return true;
}
