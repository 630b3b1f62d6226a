/*
 * mountinfo: see mountinfo.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/mountinfo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *file;
    size_t longest;
    bool found;
    unsigned major, minor;
} PathSearch;

static bool is_octal(const char *text)
{
    return text[0] >= '0' && text[0] <= '3' && text[1] >= '0' && text[1] <= '7' && text[2] >= '0' &&
           text[2] <= '7';
}

/* "\\040" becomes what it stands for, in place. */
static void decode(char *text)
{
    char *to = text;

    for (const char *from = text; *from; to++) {
        if (from[0] == '\\' && is_octal(from + 1)) {
            *to = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

/* "36 35 98:0 /root /mount/point options …" */
static bool parse_line(char *text, MountinfoLine *ret_line)
{
    char *root = NULL, *mountpoint = NULL, *end = NULL;
    int used = 0;

    if (sscanf(text, "%d %*d %u:%u %n", &ret_line->mount_id, &ret_line->major, &ret_line->minor,
               &used) != 3 ||
        used == 0)
        return false;
    root = text + used;
    mountpoint = strchr(root, ' ');
    end = mountpoint ? strchr(mountpoint + 1, ' ') : NULL;
    if (!end)
        return false;
    *end = '\0';
    decode(mountpoint + 1);
    ret_line->mountpoint = mountpoint + 1;
    return true;
}

bool mountinfo_each(const char *path, MountinfoFunc func, void *user_data)
{
    FILE *stream = fopen(path, "re");
    MountinfoLine line;
    char *text = NULL;
    size_t size = 0;

    if (!stream)
        return false;
    while (getline(&text, &size, stream) >= 0)
        if (parse_line(text, &line) && !func(&line, user_data))
            break;
    free(text);
    (void)fclose(stream);
    return true;
}

static bool look_for_path(const MountinfoLine *line, void *user_data)
{
    PathSearch *search = user_data;
    size_t length = strlen(line->mountpoint);

    if (length > 0 && line->mountpoint[length - 1] == '/')
        length--; /* "/" */
    if (length < search->longest || strncmp(search->file, line->mountpoint, length) != 0 ||
        (search->file[length] != '/' && search->file[length] != '\0'))
        return true;
    search->longest = length;
    search->found = true;
    search->major = line->major;
    search->minor = line->minor;
    return true;
}

bool mountinfo_of_path(const char *path, const char *file, unsigned *ret_major, unsigned *ret_minor)
{
    PathSearch search = {.file = file};

    (void)mountinfo_each(path, look_for_path, &search);
    *ret_major = search.major;
    *ret_minor = search.minor;
    return search.found;
}
