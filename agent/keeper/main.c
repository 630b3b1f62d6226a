/*
 * main: the keeper's options and its socket.
 *
 *   --fd=N      serve one service on a connected SOCK_SEQPACKET socket; ends with it
 *   otherwise   systemd's socket activation: one listening SOCK_SEQPACKET socket at fd 3, one
 *               service at a time; the next waits in the backlog until the one before is gone
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "keeper/server.h"

#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

#define LISTEN_FD 3 /* sd_listen_fds(3) */

static const char HELP[] =
    "Usage: quiesced-keeper [--fd=N]\n"
    "Holds frozen filesystems for quiesced and thaws them on request, at the frozen limit, or\n"
    "when quiesced ends or hangs. Started by systemd (quiesced-keeper.socket) or by quiesced.\n"
    "\n"
    "  --fd=N     serve the connected SOCK_SEQPACKET socket N, then exit\n"
    "  --version  show the version\n"
    "  --help     show this help\n";

static int usage(const char *problem)
{
    fprintf(stderr, "quiesced-keeper: %s; try --help\n", problem);
    return 2;
}

static bool number(const char *text, long *ret_value)
{
    char *end = NULL;

    if (!text || *text < '0' || *text > '9')
        return false;
    errno = 0;
    *ret_value = strtol(text, &end, 10);
    return errno == 0 && *end == '\0' && *ret_value <= INT32_MAX;
}

static bool is_seqpacket(int fd, bool listening)
{
    int type = 0, accepts = 0;
    socklen_t size = sizeof type;

    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_SEQPACKET)
        return false;
    size = sizeof accepts;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &size) == 0 &&
           (accepts != 0) == listening;
}

static int serve_connected(const char *text)
{
    long fd;

    if (!number(text, &fd))
        return usage("--fd takes the number of a file descriptor");
    if (!is_seqpacket((int)fd, false))
        return usage("--fd is not a connected SOCK_SEQPACKET socket");
    return server_run((int)fd, false);
}

static int serve_activated(void)
{
    long pid, count;

    if (!number(getenv("LISTEN_PID"), &pid) || pid != getpid() ||
        !number(getenv("LISTEN_FDS"), &count) || count != 1)
        return usage("needs one socket from quiesced-keeper.socket, or --fd");
    if (!is_seqpacket(LISTEN_FD, true))
        return usage("the socket handed over is not a listening SOCK_SEQPACKET socket");
    return server_run(LISTEN_FD, true);
}

/* A filesystem takes one fd here. */
static void raise_fd_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    static const struct option OPTIONS[] = {
        {"fd", required_argument, NULL, 'f'},
        {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    const char *fd = NULL;

    for (int option; (option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1;) {
        switch (option) {
        case 'f':
            fd = optarg;
            break;
        case 'v':
            puts("quiesced-keeper " PACKAGE_VERSION);
            return 0;
        case 'h':
            fputs(HELP, stdout);
            return 0;
        default:
            return 2;
        }
    }
    if (optind < argc)
        return usage("takes no arguments");
    raise_fd_limit();
    /* A thread that begins others would get a heap of its own, and have it locked. */
    (void)mallopt(M_ARENA_MAX, 1);
    /* A worker that is stuck in the kernel must not keep exit handlers or stdio waiting. */
    _exit(fd ? serve_connected(fd) : serve_activated());
}
