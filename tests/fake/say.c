/*
 * say: MESSAGE [COUNT]: what systemd-notify does, where it is not installed: tells $NOTIFY_SOCKET,
 * then waits until everything was read.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <stdlib.h>
#include <systemd/sd-daemon.h>

#define BARRIER_US 10000000

int main(int argc, char **argv)
{
    long count = argc > 2 ? strtol(argv[2], NULL, 10) : 1;

    if (argc < 2)
        return 2;
    for (long i = 0; i < count; i++)
        if (sd_notify(0, argv[1]) <= 0)
            return 1;
    return sd_notify_barrier(0, BARRIER_US) > 0 ? 0 : 1;
}
