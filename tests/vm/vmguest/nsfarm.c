/*
 * nsfarm: mount namespaces as a node with many containers has them.
 *
 *   nsfarm NAMESPACES MOUNTS
 *
 * Each is a process with a root of its own (tmpfs, pivot_root) and MOUNTS mounts in all: half of
 * the rest tmpfs, half bind mounts of the host's root. Prints "ready" when all are there and stays;
 * they end with it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ROOT "/run/nsfarm"

static void check(int result, const char *what)
{
    if (result < 0) {
        perror(what);
        _exit(1);
    }
}

static void container(int mounts, int ready)
{
    char name[32];

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    check(unshare(CLONE_NEWNS), "unshare");
    check(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), "private");
    check(mount("root", ROOT, "tmpfs", 0, "size=64k"), "root");
    check(chdir(ROOT), "chdir");
    for (int i = 1; i < mounts; i++) {
        snprintf(name, sizeof(name), "volume%d", i);
        check(mkdir(name, 0755), "mkdir");
        if (i % 2)
            check(mount("volume", name, "tmpfs", 0, "size=64k"), "tmpfs");
        else
            check(mount("/etc", name, NULL, MS_BIND, NULL), "bind");
    }
    check((int)syscall(SYS_pivot_root, ".", "."), "pivot_root");
    check(umount2(".", MNT_DETACH), "umount");
    check((int)write(ready, "", 1), "write");
    for (;;)
        pause();
}

int main(int argc, char **argv)
{
    int count = argc == 3 ? atoi(argv[1]) : 0, pair[2];
    char byte;

    if (count == 0 || (mkdir(ROOT, 0755), pipe(pair)) < 0)
        return 2;
    for (int i = 0; i < count; i++) {
        pid_t pid = fork();

        check(pid, "fork");
        if (pid == 0)
            container(atoi(argv[2]), pair[1]);
        if (read(pair[0], &byte, 1) != 1)
            return 1;
    }
    puts("ready");
    fflush(stdout);
    for (;;)
        pause();
}
