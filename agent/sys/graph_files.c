/*
 * graph_files: what the graph is told by others than sysfs: loop devices and the list of swap
 * files; see graph.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/graph.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

bool graph_has_loops(const char *sysfs)
{
    g_autofree char *class = g_build_filename(sysfs, "class", "block", NULL);
    g_autoptr(GDir) dir = g_dir_open(class, 0, NULL);
    const char *name = NULL;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *file = g_build_filename(class, name, "loop", "backing_file", NULL);

        if (g_str_has_prefix(name, "loop") && access(file, F_OK) == 0)
            return true;
    }
    return false;
}

/* The kernel's own encoding of a number, which the ioctl hands out as it is. */
static dev_t decode_device(uint64_t number)
{
    return makedev((number & 0xfff00) >> 8, (number & 0xff) | ((number >> 12) & 0xfff00));
}

dev_t graph_loop_device(const char *name)
{
    g_autofree char *path = g_build_filename("/dev", name, NULL);
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
    struct loop_info64 info = {0};
    struct stat status;
    dev_t number = 0;

    if (fd < 0)
        return 0;
    if (fstat(fd, &status) == 0 && S_ISBLK(status.st_mode) &&
        ioctl(fd, LOOP_GET_STATUS64, &info) == 0)
        number = decode_device(info.lo_device);
    (void)close(fd);
    return number;
}

/* "/swapfile  file  1048572  0  -2"; the path's blanks are octal escapes. */
char **graph_swap_files(const char *procfs)
{
    g_autofree char *path = g_build_filename(procfs, "swaps", NULL);
    GPtrArray *files = g_ptr_array_new();
    FILE *table = fopen(path, "re");
    char *line = NULL;
    size_t size = 0;

    while (table && getline(&line, &size, table) > 0) {
        char *rest = line;
        const char *file = strsep(&rest, " \t\n");
        const char *type = rest ? rest + strspn(rest, " \t") : "";

        if (file[0] == '/' && strncmp(type, "file", 4) == 0)
            g_ptr_array_add(files, g_strcompress(file));
    }
    free(line);
    if (table)
        (void)fclose(table);
    g_ptr_array_add(files, NULL);
    return (char **)g_ptr_array_free(files, FALSE);
}
