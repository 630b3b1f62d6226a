/*
 * hotplug: see hotplug.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/hotplug.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define STATE_SIZE 16u

/* The attribute's first bytes, terminated; -1 with errno. */
static ssize_t read_state(int fd, char *state)
{
    ssize_t count = pread(fd, state, STATE_SIZE - 1, 0);

    state[MAX(count, 0)] = '\0';
    return count;
}

static bool write_state(int fd, const char *state)
{
    return pwrite(fd, state, strlen(state), 0) >= 0;
}

static bool switch_processor(int fd, const char *path, bool online, GError **error)
{
    char state[STATE_SIZE];
    ssize_t count = read_state(fd, state);

    if (count < 0)
        return agent_error_errno(error, AGENT_ERROR_FAILED, errno, "pread(\"%s/online\")", path);
    if (count == 0) {
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_FAILED, "pread(\"%s/online\"): unexpected EOF",
                    path);
        return false;
    }
    if ((state[0] != '0') == online)
        return true;
    if (!write_state(fd, online ? "1" : "0"))
        return agent_error_errno(error, AGENT_ERROR_FAILED, errno, "pwrite(\"%s/online\")", path);
    return true;
}

bool hotplug_processor(const char *sysfs, int64_t id, bool online, GError **error)
{
    g_autofree char *path =
        g_strdup_printf("%s/devices/system/cpu/cpu%" G_GINT64_FORMAT "/", sysfs, id);
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd = -1;
    bool good = false;

    if (folder < 0)
        return agent_error_errno(error, AGENT_ERROR_FAILED, errno, "open(\"%s\")", path);
    fd = openat(folder, "online", O_RDWR | O_CLOEXEC);
    if (fd >= 0)
        good = switch_processor(fd, path, online, error);
    else if (errno != ENOENT)
        agent_error_errno(error, AGENT_ERROR_FAILED, errno, "open(\"%s/online\")", path);
    else if (online)
        good = true; /* it cannot be anything else */
    else
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_FAILED,
                    "logical processor #%" G_GINT64_FORMAT " can't be offlined", id);
    if (fd >= 0)
        (void)close(fd);
    (void)close(folder);
    return good;
}

/* 0 or an errno. */
static int switch_memory(int fd, bool online)
{
    char state[STATE_SIZE];

    if (read_state(fd, state) < 0)
        return errno;
    if (g_str_has_prefix(state, "online") == online)
        return 0;
    return write_state(fd, online ? "online" : "offline") ? 0 : errno;
}

HotplugEnd hotplug_memory(const char *sysfs, int64_t index, bool online, int *ret_errno)
{
    g_autofree char *all = g_build_filename(sysfs, "devices", "system", "memory", NULL);
    g_autofree char *path = g_strdup_printf("%s/memory%" G_GINT64_FORMAT, all, index);
    g_autofree char *file = g_build_filename(path, "state", NULL);
    int fd = -1;

    *ret_errno = ENOENT;
    if (access(all, F_OK) < 0)
        return HOTPLUG_NOT_SUPPORTED;
    if (access(path, F_OK) < 0)
        return HOTPLUG_NOT_FOUND;
    fd = open(file, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        *ret_errno = errno;
        return errno == ENOENT ? HOTPLUG_NOT_SUPPORTED : HOTPLUG_FAILED;
    }
    *ret_errno = switch_memory(fd, online);
    (void)close(fd);
    return *ret_errno ? HOTPLUG_FAILED : HOTPLUG_SUCCESS;
}
