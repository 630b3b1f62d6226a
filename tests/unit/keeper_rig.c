/*
 * keeper_rig: see keeper_rig.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "keeper_rig_files.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

const char *rig_program(void)
{
    const char *program = g_getenv("QUIESCED_KEEPER_FAKE");

    return program ? program : "./quiesced-keeper-fake";
}

int rig_listen(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    g_strlcpy(address.sun_path, path, sizeof address.sun_path);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    g_assert_cmpint(listen(fd, 4), ==, 0);
    return fd;
}

void rig_send_raw(int socket, const void *data, size_t size, const int *fds, unsigned n_fds)
{
    char control[CMSG_SPACE(8 * sizeof(int))] = {0};
    struct iovec part = {(void *)data, size};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};

    if (n_fds > 0) {
        struct cmsghdr *rights = (struct cmsghdr *)(void *)control;

        header.msg_control = control;
        header.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
        memcpy(CMSG_DATA(rights), fds, n_fds * sizeof(int));
    }
    g_assert_cmpint(sendmsg(socket, &header, MSG_NOSIGNAL), ==, (ssize_t)size);
}

void rig_send(Rig *rig, const KeeperMessage *message, int fd)
{
    rig_send_raw(rig->socket, message, sizeof *message, &fd, fd >= 0);
}

void rig_ask(Rig *rig, KeeperMessageType type)
{
    rig_send(rig, &(KeeperMessage){.type = type, .version = KEEPER_VERSION}, -1);
}

void rig_ask_freeze(Rig *rig, int64_t limit_us)
{
    rig_send(rig, &(KeeperMessage){.type = KEEPER_FREEZE, .limit_us = limit_us}, -1);
}

void rig_forget(Rig *rig)
{
    rig->n_seen = 0;
}

bool rig_receive(Rig *rig, KeeperMessage *message, int ms)
{
    struct pollfd readable = {.fd = rig->socket, .events = POLLIN};

    if (poll(&readable, 1, ms) != 1)
        return false;
    if (recv(rig->socket, message, sizeof *message, MSG_DONTWAIT) != (ssize_t)sizeof *message)
        return false;
    g_assert_cmpuint(rig->n_seen, <, G_N_ELEMENTS(rig->seen));
    rig->seen[rig->n_seen++] = *message;
    return true;
}

KeeperMessage rig_expect(Rig *rig, KeeperMessageType type)
{
    KeeperMessage message = {0};

    while (rig_receive(rig, &message, RIG_WAIT_MS))
        if (message.type == type)
            return message;
    g_error("no message of type %d", (int)type);
}

KeeperMessage rig_expect_thawed(Rig *rig)
{
    KeeperMessage done;

    do
        done = rig_expect(rig, KEEPER_THAW_DONE);
    while (done.pending > 0);
    /* It is longer waited for than a keeper bears silence, which must not be what thawed. */
    g_assert_cmpuint(done.cause, !=, KEEPER_CAUSE_SILENCE);
    return done;
}

const KeeperMessage *rig_seen(const Rig *rig, KeeperMessageType type, unsigned index)
{
    for (unsigned i = 0; i < rig->n_seen; i++)
        if (rig->seen[i].type == type && rig->seen[i].index == index)
            return &rig->seen[i];
    return NULL;
}

unsigned rig_count(const Rig *rig, KeeperMessageType type)
{
    unsigned count = 0;

    for (unsigned i = 0; i < rig->n_seen; i++)
        count += rig->seen[i].type == type;
    return count;
}

void rig_refused(Rig *rig, int error_number)
{
    g_assert_cmpint(rig_expect(rig, KEEPER_REFUSED).error, ==, error_number);
}

void rig_start(Rig *rig)
{
    g_autofree char *option = NULL;
    int pair[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), ==, 0);
    option = g_strdup_printf("--fd=%d", pair[1]);
    rig->pid = fork();
    g_assert_cmpint(rig->pid, >=, 0);
    if (rig->pid == 0) {
        if (fcntl(pair[1], F_SETFD, 0) == 0)
            execl(rig_program(), "quiesced-keeper", option, NULL);
        _exit(127);
    }
    close(pair[1]);
    rig->socket = pair[0];
}

Rig *rig_new_unkept(unsigned count)
{
    Rig *rig = g_new0(Rig, 1);
    size_t size = sizeof(KeeperLedgerHeader) + count * sizeof(KeeperLedgerFilesystem);

    rig->top = g_dir_make_tmp("keeper-XXXXXX", NULL);
    rig->count = count;
    for (unsigned i = 0; i < count; i++) {
        g_autofree char *path = rig_path(rig, i, "");

        g_assert_cmpint(g_mkdir(path, 0700), ==, 0);
        rig->fds[i] = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        g_assert_cmpint(rig->fds[i], >=, 0);
    }
    rig->ledger_fd = memfd_create("ledger", MFD_CLOEXEC);
    g_assert_cmpint(ftruncate(rig->ledger_fd, (off_t)size), ==, 0);
    rig->ledger = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, rig->ledger_fd, 0);
    g_assert_true(rig->ledger != MAP_FAILED);
    rig->ledger->magic = KEEPER_LEDGER_MAGIC;
    rig->ledger->version = KEEPER_VERSION;
    rig->ledger->n_filesystems = count;
    rig->socket = -1;
    return rig;
}

Rig *rig_new(unsigned count)
{
    Rig *rig = rig_new_unkept(count);

    rig_start(rig);
    return rig;
}

void rig_hello(Rig *rig)
{
    rig_ask(rig, KEEPER_HELLO);
    g_assert_cmpuint(rig_expect(rig, KEEPER_HELLO).version, ==, KEEPER_VERSION);
}

void rig_ask_arm(Rig *rig)
{
    rig_send(rig, &(KeeperMessage){.type = KEEPER_ARM, .count = rig->count}, rig->ledger_fd);
    for (unsigned i = 0; i < rig->count; i++)
        rig_send(rig,
                 &(KeeperMessage){.type = KEEPER_FILESYSTEM,
                                  .index = i,
                                  .rank = rig->ranks[i],
                                  .flags = rig->flags[i]},
                 rig->fds[i]);
}

void rig_arm(Rig *rig)
{
    rig_hello(rig);
    rig_ask_arm(rig);
    rig_expect(rig, KEEPER_ARMED);
}

void rig_freeze(Rig *rig)
{
    rig_ask_freeze(rig, RIG_LIMIT_US);
    rig_expect(rig, KEEPER_FREEZE_DONE);
}

void rig_disarm(Rig *rig)
{
    rig_ask(rig, KEEPER_DISARM);
    rig_expect(rig, KEEPER_DISARMED);
}

void rig_hang_up(Rig *rig)
{
    close(rig->socket);
    rig->socket = -1;
}

int rig_exit_status(Rig *rig, int ms)
{
    int status;

    for (int waited = 0; waited <= ms; waited += 5) {
        if (waitpid(rig->pid, &status, WNOHANG) == rig->pid) {
            rig->pid = 0;
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
        g_usleep(5000);
    }
    return -1;
}

/* .calls is written when .frozen is gone already: it may come, and once more, meanwhile. */
static void remove_filesystem(const Rig *rig, unsigned index)
{
    static const char *const NAMES[] = {".frozen", ".calls", ".inject", ".release"};
    g_autofree char *directory = rig_path(rig, index, "");
    bool removed = false;

    for (unsigned ms = 0; ms < 1000 && !removed; ms += 5) {
        for (unsigned k = 0; k < G_N_ELEMENTS(NAMES); k++) {
            g_autofree char *path = rig_path(rig, index, NAMES[k]);

            (void)g_unlink(path);
        }
        removed = g_rmdir(directory) == 0;
        if (!removed)
            g_usleep(5000);
    }
    g_assert_true(removed);
}

void rig_free(Rig *rig)
{
    g_autofree char *thaws = g_build_filename(rig->top, ".thaws", NULL);

    if (rig->socket >= 0)
        rig_hang_up(rig);
    if (rig->pid > 0) {
        g_assert_cmpint(rig_exit_status(rig, RIG_WAIT_MS), ==, 0);
        g_assert_cmpint(rig->pid, ==, 0);
    }
    for (unsigned i = 0; i < rig->count; i++) {
        close(rig->fds[i]);
        remove_filesystem(rig, i);
    }
    (void)g_unlink(thaws);
    g_assert_cmpint(g_rmdir(rig->top), ==, 0);
    munmap(rig->ledger, sizeof(KeeperLedgerHeader) + rig->count * sizeof(KeeperLedgerFilesystem));
    close(rig->ledger_fd);
    g_free(rig->top);
    g_free(rig);
}
