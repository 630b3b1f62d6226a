/*
 * holdup: holds up the freeze of a filesystem, as programs do that know nothing of freezes.
 *
 *   holdup splice FILE                        called "splicer": sits in splice() from an empty pipe
 *                                             into FILE, until killed
 *   holdup permit MOUNTPOINT LOG SECONDS      called "permitter": a fanotify listener that must
 *                                             permit each open below MOUNTPOINT; SECONDS after it
 *                                             is asked writes a line to LOG, then permits. "never":
 *                                             it does not answer.
 *
 * Both make /run/holdup-NAME once they are there.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/prctl.h>
#include <unistd.h>

static int fail(const char *what)
{
    perror(what);
    return 1;
}

static void ready(const char *name)
{
    char path[64];
    int fd = -1;

    prctl(PR_SET_NAME, name);
    snprintf(path, sizeof(path), "/run/holdup-%s", name);
    fd = open(path, O_WRONLY | O_CREAT, 0600);
    if (fd >= 0)
        close(fd);
}

static int splice_into(const char *path)
{
    int ends[2];
    int file = open(path, O_WRONLY | O_CREAT, 0600);

    if (file < 0 || pipe(ends) < 0)
        return fail(path);
    ready("splicer");
    if (splice(ends[0], NULL, file, NULL, 4096, 0) < 0)
        return fail("splice");
    return 0;
}

static int permit(const char *mountpoint, const char *path, const char *seconds)
{
    int group = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, O_RDONLY);
    int log = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    struct fanotify_event_metadata event;

    if (group < 0 || log < 0 ||
        fanotify_mark(group, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_OPEN_PERM, AT_FDCWD, mountpoint))
        return fail(mountpoint);
    ready("permitter");
    while (read(group, &event, sizeof(event)) == sizeof(event)) {
        struct fanotify_response response = {.fd = event.fd, .response = FAN_ALLOW};

        if (strcmp(seconds, "never") == 0) {
            pause();
            return 0;
        }
        sleep((unsigned)atoi(seconds));
        if (write(log, "opened\n", 7) != 7 || write(group, &response, sizeof(response)) < 0)
            return fail(path);
        close(event.fd);
    }
    return fail("read");
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "splice") == 0)
        return splice_into(argv[2]);
    if (argc == 5 && strcmp(argv[1], "permit") == 0)
        return permit(argv[2], argv[3], argv[4]);
    return 2;
}
