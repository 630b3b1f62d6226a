/*
 * suspects_writer: tasks inside a system call that writes to a file; see suspects_internal.h.
 *
 * FIFREEZE waits for every write that has begun. One that sleeps and can be interrupted waits for
 * something else than the disk: input to splice. One in D state hangs on the device, unless the
 * kernel's stack shows that it waits for the thaw.
 *
 * /proc/TASK/syscall has the call's number and arguments. A 32-bit program's numbers are others and
 * are taken for 64-bit ones; a false name needs an open fd on that filesystem in the right argument
 * too.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/suspects_internal.h"

#include "sys/procfile.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#define SYSCALL_SIZE 256u
#define STAT_SIZE    512u
#define STACK_SIZE   4096u /* a kernel stack is some twenty lines of up to 60 bytes */

static const struct {
    long number;
    const char *name;
    unsigned target; /* which argument is the fd written to */
    bool sleeps;     /* waits for its source while it holds the filesystem */
} CALLS[] = {
    /* tee and vmsplice write to pipes only. */
    {SYS_splice, "splice", 2, true},
    {SYS_sendfile, "sendfile", 0, true},
    {SYS_copy_file_range, "copy_file_range", 2, true},
    {SYS_write, "write", 0, false},
    {SYS_pwrite64, "pwrite", 0, false},
    {SYS_writev, "writev", 0, false},
    {SYS_pwritev, "pwritev", 0, false},
    {SYS_pwritev2, "pwritev2", 0, false},
    {SYS_ftruncate, "ftruncate", 0, false},
    {SYS_fallocate, "fallocate", 0, false},
};

/* "275 0x3 0x0 0x4 0x0 0x1000 0x0 0x7ffe… 0x7f…", "running", or "-1 0x… 0x…". */
static int parse_call(const char *text, int *ret_target)
{
    char *at = NULL;
    long number = strtol(text, &at, 10);
    unsigned long long value = 0;

    if (at == text || number < 0)
        return -1;
    for (unsigned i = 0; i < G_N_ELEMENTS(CALLS); i++) {
        if (CALLS[i].number != number)
            continue;
        for (unsigned argument = 0; argument <= CALLS[i].target; argument++)
            value = strtoull(at, &at, 16);
        *ret_target = (int)value;
        return (int)i;
    }
    return -1;
}

/* The letter after the name in parentheses, which may itself have some. */
static char state_of(const SuspectsScan *scan, const char *task)
{
    g_autofree char *path = suspects_path(scan, task, "stat");
    char text[STAT_SIZE];
    const char *end = NULL;

    if (!procfile_read(path, text, sizeof(text)))
        return '?';
    end = strrchr(text, ')');
    return end && end[1] == ' ' ? end[2] : '?';
}

/* The superblock's freeze protection is a percpu_rw_semaphore; inlined, the name of sb_start_write
 * is not there. wchan names one function, the stack all. */
static bool waits_for_thaw(const SuspectsScan *scan, const char *task)
{
    static const char *const FILES[] = {"wchan", "stack"};
    static const char *const WAITS[] = {"percpu_rwsem", "percpu_down_read", "sb_start"};
    char text[STACK_SIZE];

    for (unsigned i = 0; i < G_N_ELEMENTS(FILES); i++) {
        g_autofree char *path = suspects_path(scan, task, FILES[i]);

        if (!procfile_read(path, text, sizeof(text)))
            continue;
        for (unsigned k = 0; k < G_N_ELEMENTS(WAITS); k++)
            if (strstr(text, WAITS[k]))
                return true;
    }
    return false;
}

static void look_at_task(SuspectsScan *scan, const char *process, const char *task)
{
    g_autofree char *path = suspects_path(scan, task, "syscall");
    char text[SYSCALL_SIZE], fd[16];
    int call = -1, target = -1, filesystem = -1;
    char state = '?';

    if (!procfile_read(path, text, sizeof(text)))
        return;
    call = parse_call(text, &target);
    if (call < 0 || target < 0)
        return;
    (void)g_snprintf(fd, sizeof(fd), "%d", target);
    filesystem = suspects_of_fd(scan, task, fd, NULL);
    if (filesystem < 0)
        return;
    state = state_of(scan, task);
    if (state == 'S' && CALLS[call].sleeps)
        suspects_add(scan, process,
                     (Suspect){.kind = SUSPECT_SPLICE,
                               .filesystem = (unsigned)filesystem,
                               .call = CALLS[call].name});
    else if (state == 'D' && !waits_for_thaw(scan, task))
        suspects_add(scan, process,
                     (Suspect){.kind = SUSPECT_WRITER,
                               .filesystem = (unsigned)filesystem,
                               .call = CALLS[call].name});
}

void suspects_look_for_writers(SuspectsScan *scan, const char *process)
{
    g_autofree char *path = suspects_path(scan, process, "task");
    DIR *dir = opendir(path);
    const struct dirent *entry = NULL;

    while (dir && !suspects_over(scan) && (entry = readdir(dir))) {
        g_autofree char *task = NULL;

        if (!g_ascii_isdigit(entry->d_name[0]))
            continue;
        task = g_strdup_printf("%s/task/%s", process, entry->d_name);
        look_at_task(scan, process, task);
    }
    if (dir)
        (void)closedir(dir);
}
