/*
 * ledger_keeper: the process that the ledger names as the keeper of its operation; see ledger.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/ledger.h"

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A number that another program got meanwhile is not the keeper. */
static bool is_keeper(uint32_t pid)
{
    static const char NAME[] = "quiesced-keeper"; /* as the kernel cuts it */
    g_autofree char *path = g_strdup_printf("/proc/%u/comm", pid);
    g_autofree char *name = NULL;

    return g_file_get_contents(path, &name, NULL, NULL) && g_str_has_prefix(name, NAME);
}

/* A pidfd of it, -1: there is none. */
static int open_keeper(const Ledger *ledger)
{
    uint32_t pid = ledger_keeper_pid(ledger);
    int fd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;

    if (fd < 0 || is_keeper(pid))
        return fd;
    (void)close(fd);
    return -1;
}

bool ledger_keeper_gone(const Ledger *ledger)
{
    struct pollfd process = {.fd = open_keeper(ledger), .events = POLLIN};
    bool gone = true;

    if (process.fd < 0)
        return true;
    /* Readable when the last thread is gone, even if PID 1 is too stuck to reap it. */
    gone = poll(&process, 1, 0) == 1;
    (void)close(process.fd);
    return gone;
}

void ledger_kill_keeper(const Ledger *ledger)
{
    int fd = open_keeper(ledger);

    if (fd < 0)
        return;
    (void)syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
    (void)close(fd);
}
