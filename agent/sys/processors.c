/*
 * processors: see processors.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/processors.h"

#include "sys/procfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define STATE_SIZE 8u

/* "cpu12", and nothing behind it. */
static bool parse_name(const char *name, int64_t *ret_id)
{
    char *end = NULL;

    if (strncmp(name, "cpu", 3) != 0 || !g_ascii_isdigit(name[3]))
        return false;
    *ret_id = g_ascii_strtoll(name + 3, &end, 10);
    return *end == '\0';
}

static bool read_state(int folder, const char *path, const char *name, Processor *processor,
                       GError **error)
{
    g_autofree char *file = g_build_filename(name, "online", NULL);
    char state[STATE_SIZE];

    processor->online = true;
    processor->can_offline = false;
    if (!procfile_attribute(folder, file, state, sizeof(state))) {
        if (errno == ENOENT)
            return true; /* it cannot be taken off */
        return agent_error_errno(error, AGENT_ERROR_UNAVAILABLE, errno, "open(\"%s/%s\")", path,
                                 file);
    }
    if (!state[0]) {
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_UNAVAILABLE, "pread(\"%s/%s\"): unexpected EOF",
                    path, file);
        return false;
    }
    processor->online = state[0] != '0';
    processor->can_offline = true;
    return true;
}

static int by_id(gconstpointer left, gconstpointer right)
{
    const Processor *a = left, *b = right;

    return (a->id > b->id) - (a->id < b->id);
}

GArray *processors_list(const char *sysfs, GError **error)
{
    g_autofree char *path = g_build_filename(sysfs, "devices", "system", "cpu", NULL);
    g_autoptr(GArray) processors = g_array_new(FALSE, TRUE, sizeof(Processor));
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const char *name = NULL;
    bool good = dir && folder >= 0;

    if (!good)
        agent_error_errno(error, AGENT_ERROR_UNAVAILABLE, errno, "failed to list entries: %s",
                          path);
    while (good && (name = g_dir_read_name(dir))) {
        Processor processor = {0};

        if (!parse_name(name, &processor.id))
            continue;
        good = read_state(folder, path, name, &processor, error);
        g_array_append_val(processors, processor);
    }
    if (folder >= 0)
        (void)close(folder);
    if (!good)
        return NULL;
    g_array_sort(processors, by_id);
    return g_steal_pointer(&processors);
}
