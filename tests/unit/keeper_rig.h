/*
 * keeper_rig: drives quiesced-keeper-fake through a socket pair, as the service would.
 *
 * Included by the tests of the keeper only. "Filesystems" are directories (see
 * tests/fake/keeper_fake_ops.c); the ledger is a memfd that the test looks into. The program is
 * $QUIESCED_KEEPER_FAKE, or quiesced-keeper-fake in the working directory.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "keeper/message.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define RIG_MAX      256u
#define RIG_WAIT_MS  3000
#define RIG_LIMIT_US (30 * G_USEC_PER_SEC)

typedef struct {
    char *top;
    pid_t pid;
    int socket;
    unsigned count;
    int fds[RIG_MAX];
    uint32_t ranks[RIG_MAX], flags[RIG_MAX];
    int ledger_fd;
    KeeperLedgerHeader *ledger;
    KeeperMessage seen[4 * RIG_MAX]; /* since the last rig_forget() */
    unsigned n_seen;
} Rig;

typedef struct {
    gint64 start, end;
    char result[16];
    unsigned calls;
} RigCall; /* the last one, and how many */

static inline const char *rig_program(void)
{
    const char *program = g_getenv("QUIESCED_KEEPER_FAKE");

    return program ? program : "./quiesced-keeper-fake";
}

static inline char *rig_path(const Rig *rig, unsigned index, const char *name)
{
    return g_strdup_printf("%s/%03u/%s", rig->top, index, name);
}

static inline void rig_write(const Rig *rig, unsigned index, const char *name, const char *text)
{
    g_autofree char *path = rig_path(rig, index, name);

    g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

static inline bool rig_frozen(const Rig *rig, unsigned index)
{
    g_autofree char *path = rig_path(rig, index, ".frozen");

    return g_access(path, F_OK) == 0;
}

static inline bool rig_thawed_within(const Rig *rig, unsigned index, int ms)
{
    for (int waited = 0; waited < ms && rig_frozen(rig, index); waited += 5)
        g_usleep(5000);
    return !rig_frozen(rig, index);
}

static inline RigCall rig_call(const Rig *rig, unsigned index, const char *verb)
{
    g_autofree char *path = rig_path(rig, index, ".calls");
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    RigCall call = {0};

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return call;
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        g_auto(GStrv) words = g_strsplit(*line, " ", -1);

        if (g_strv_length(words) != 4 || !g_str_equal(words[0], verb))
            continue;
        call.start = g_ascii_strtoll(words[1], NULL, 10);
        call.end = g_ascii_strtoll(words[2], NULL, 10);
        g_strlcpy(call.result, words[3], sizeof call.result);
        call.calls++;
    }
    return call;
}

static inline KeeperFilesystemState rig_state(const Rig *rig, unsigned index)
{
    KeeperLedgerFilesystem *list = (KeeperLedgerFilesystem *)(rig->ledger + 1);

    return (KeeperFilesystemState)__atomic_load_n(&list[index].state, __ATOMIC_ACQUIRE);
}

static inline void rig_await(const Rig *rig, unsigned index, KeeperFilesystemState state)
{
    for (int waited = 0; waited < RIG_WAIT_MS && rig_state(rig, index) != state; waited++)
        g_usleep(1000);
    g_assert_cmpint(rig_state(rig, index), ==, state);
}

static inline void rig_send_raw(int socket, const void *data, size_t size, const int *fds,
                                unsigned n_fds)
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

static inline void rig_send(Rig *rig, const KeeperMessage *message, int fd)
{
    rig_send_raw(rig->socket, message, sizeof *message, &fd, fd >= 0);
}

static inline void rig_ask(Rig *rig, KeeperMessageType type)
{
    rig_send(rig, &(KeeperMessage){.type = type, .version = KEEPER_VERSION}, -1);
}

static inline void rig_ask_freeze(Rig *rig, int64_t limit_us)
{
    rig_send(rig, &(KeeperMessage){.type = KEEPER_FREEZE, .limit_us = limit_us}, -1);
}

static inline void rig_forget(Rig *rig)
{
    rig->n_seen = 0;
}

static inline bool rig_receive(Rig *rig, KeeperMessage *message, int ms)
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

/* Reads on until a message of this type. */
static inline KeeperMessage rig_expect(Rig *rig, KeeperMessageType type)
{
    KeeperMessage message = {0};

    while (rig_receive(rig, &message, RIG_WAIT_MS))
        if (message.type == type)
            return message;
    g_error("no message of type %d", (int)type);
}

static inline const KeeperMessage *rig_seen(const Rig *rig, KeeperMessageType type, unsigned index)
{
    for (unsigned i = 0; i < rig->n_seen; i++)
        if (rig->seen[i].type == type && rig->seen[i].index == index)
            return &rig->seen[i];
    return NULL;
}

static inline unsigned rig_count(const Rig *rig, KeeperMessageType type)
{
    unsigned count = 0;

    for (unsigned i = 0; i < rig->n_seen; i++)
        count += rig->seen[i].type == type;
    return count;
}

static inline void rig_refused(Rig *rig, int error_number)
{
    g_assert_cmpint(rig_expect(rig, KEEPER_REFUSED).error, ==, error_number);
}

static inline void rig_start(Rig *rig)
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

/* `count` directories, all rank 0, and a ledger, but no keeper. */
static inline Rig *rig_new_unkept(unsigned count)
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

static inline Rig *rig_new(unsigned count)
{
    Rig *rig = rig_new_unkept(count);

    rig_start(rig);
    return rig;
}

static inline void rig_hello(Rig *rig)
{
    rig_ask(rig, KEEPER_HELLO);
    g_assert_cmpuint(rig_expect(rig, KEEPER_HELLO).version, ==, KEEPER_VERSION);
}

static inline void rig_ask_arm(Rig *rig)
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

static inline void rig_arm(Rig *rig)
{
    rig_hello(rig);
    rig_ask_arm(rig);
    rig_expect(rig, KEEPER_ARMED);
}

static inline void rig_freeze(Rig *rig)
{
    rig_ask_freeze(rig, RIG_LIMIT_US);
    rig_expect(rig, KEEPER_FREEZE_DONE);
}

static inline void rig_disarm(Rig *rig)
{
    rig_ask(rig, KEEPER_DISARM);
    rig_expect(rig, KEEPER_DISARMED);
}

static inline void rig_hang_up(Rig *rig)
{
    close(rig->socket);
    rig->socket = -1;
}

/* Its exit status, or -1 when it does not end. */
static inline int rig_exit_status(Rig *rig, int ms)
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

static inline void rig_free(Rig *rig)
{
    static const char *const NAMES[] = {".frozen", ".calls", ".inject", ".release"};
    g_autofree char *thaws = g_build_filename(rig->top, ".thaws", NULL);

    if (rig->socket >= 0)
        rig_hang_up(rig);
    if (rig->pid > 0) {
        g_assert_cmpint(rig_exit_status(rig, RIG_WAIT_MS), ==, 0);
        g_assert_cmpint(rig->pid, ==, 0);
    }
    for (unsigned i = 0; i < rig->count; i++) {
        g_autofree char *directory = rig_path(rig, i, "");

        for (unsigned k = 0; k < G_N_ELEMENTS(NAMES); k++) {
            g_autofree char *path = rig_path(rig, i, NAMES[k]);
            (void)g_unlink(path);
        }
        close(rig->fds[i]);
        g_assert_cmpint(g_rmdir(directory), ==, 0);
    }
    (void)g_unlink(thaws);
    g_assert_cmpint(g_rmdir(rig->top), ==, 0);
    munmap(rig->ledger, sizeof(KeeperLedgerHeader) + rig->count * sizeof(KeeperLedgerFilesystem));
    close(rig->ledger_fd);
    g_free(rig->top);
    g_free(rig);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Rig, rig_free)
