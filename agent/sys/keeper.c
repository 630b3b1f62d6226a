/*
 * keeper: see keeper.h. Messages; connections are keeper_connect.c's.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/fdpass.h"
#include "sys/keeper_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define READS_MAX 64u                 /* messages per dispatch, then it is the others' turn */
#define LIVED_US  (10 * USEC_PER_SEC) /* after less than this its end counts as a failed start */

typedef struct {
    KeeperMessage message;
    int fd; /* -1: none; owned */
} KeeperPacket;

Keeper *keeper_ref(Keeper *keeper)
{
    keeper->refs++;
    return keeper;
}

void keeper_unref(Keeper *keeper)
{
    if (--keeper->refs > 0)
        return;
    g_free(keeper->socket_path);
    g_free(keeper->program);
    g_free(keeper->reason);
    g_free(keeper->doom);
    for (unsigned i = 0; i < keeper->leaving->len; i++)
        (void)close(g_array_index(keeper->leaving, int, i));
    g_array_unref(keeper->leaving);
    g_free(keeper);
}

void keeper_set_reason(Keeper *keeper, const char *format, ...)
{
    va_list args;
    char *reason;

    va_start(args, format);
    reason = g_strdup_vprintf(format, args);
    va_end(args);
    g_free(keeper->reason);
    keeper->reason = reason;
}

/* --- the connection's end ----------------------------------------------------------------------
 */

static void packet_free(gpointer data)
{
    KeeperPacket *packet = data;

    if (packet->fd >= 0)
        (void)close(packet->fd);
    g_free(packet);
}

static void unlink_keeper(Keeper *keeper)
{
    if (keeper->fd < 0)
        return;
    deadline_source_clear(&keeper->read_source);
    deadline_source_clear(&keeper->write_source);
    deadline_source_clear(&keeper->beat_source);
    deadline_source_clear(&keeper->doom_source);
    g_clear_pointer(&keeper->doom, g_free);
    g_queue_clear_full(&keeper->queue, packet_free);
    (void)close(keeper->fd);
    keeper->fd = -1;
    keeper->link++;
    keeper->ready = keeper->arm_sent = false;
    (void)keeper_others_gone(keeper); /* drops those that are */
    if (keeper->pidfd >= 0)
        g_array_append_val(keeper->leaving, keeper->pidfd);
    keeper->pidfd = -1;
}

/* Only from the main loop, never from within a request: the owner is not prepared for it there. */
static void drop(Keeper *keeper, const char *reason)
{
    g_autofree char *text = g_strdup(reason);
    bool was_ready = keeper->ready;

    unlink_keeper(keeper);
    keeper_set_reason(keeper, "%s", text);
    keeper->failures =
        was_ready && deadline_now() - keeper->ready_us > LIVED_US ? 0 : keeper->failures + 1;
    keeper_ref(keeper);
    if (was_ready)
        keeper->events->lost(keeper, text, keeper->user_data);
    if (!keeper->freed)
        keeper_again(keeper);
    keeper_unref(keeper);
}

static gboolean on_doom(gpointer user_data)
{
    Keeper *keeper = user_data;
    g_autofree char *reason = g_steal_pointer(&keeper->doom);

    deadline_source_clear(&keeper->doom_source);
    drop(keeper, reason);
    return G_SOURCE_REMOVE;
}

static void doom(Keeper *keeper, const char *reason)
{
    if (keeper->doom)
        return;
    keeper->doom = g_strdup(reason);
    keeper->doom_source = deadline_source_new(deadline_in(0), on_doom, keeper);
}

/* Stopped or hung it might freeze something later, when nobody would hold it any more. */
static void give_up(Keeper *keeper, const char *reason)
{
    if (keeper->pidfd >= 0)
        (void)syscall(SYS_pidfd_send_signal, keeper->pidfd, SIGKILL, NULL, 0);
    doom(keeper, reason);
}

/* --- sending -----------------------------------------------------------------------------------
 */

/* False: the socket is full. Other errors mean that the keeper is gone, which the reading side
 * finds out, after what it said last. */
static bool send_now(Keeper *keeper, const KeeperMessage *message, int fd)
{
    const unsigned n_fds = fd >= 0 ? 1 : 0;

    if (fdpass_send(keeper->fd, message, sizeof *message, &fd, n_fds, MSG_DONTWAIT) >= 0)
        return true;
    if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM)
        return false;
    if (errno != EPIPE && errno != ECONNRESET)
        doom(keeper, "the keeper's socket does not take what it is sent");
    return true;
}

static gboolean on_writable(int fd, GIOCondition condition, gpointer user_data)
{
    Keeper *keeper = user_data;
    KeeperPacket *packet;

    (void)fd;
    (void)condition;
    while ((packet = g_queue_peek_head(&keeper->queue))) {
        if (!send_now(keeper, &packet->message, packet->fd))
            return G_SOURCE_CONTINUE;
        packet_free(g_queue_pop_head(&keeper->queue));
    }
    deadline_source_clear(&keeper->write_source);
    return G_SOURCE_REMOVE;
}

static GSource *watch(Keeper *keeper, GIOCondition condition, GUnixFDSourceFunc func)
{
    GSource *source = g_unix_fd_source_new(keeper->fd, condition);

    g_source_set_callback(source, G_SOURCE_FUNC(func), keeper, NULL);
    g_source_attach(source, NULL);
    return source;
}

/* `fd` is borrowed: duplicated when the message has to wait. */
static void request(Keeper *keeper, const KeeperMessage *message, int fd)
{
    KeeperPacket *packet;

    if (keeper->doom)
        return;
    if (g_queue_is_empty(&keeper->queue) && send_now(keeper, message, fd))
        return;
    if (g_queue_get_length(&keeper->queue) >= KEEPER_QUEUE_MAX) {
        give_up(keeper, "the keeper does not read what it is sent");
        return;
    }
    packet = g_new0(KeeperPacket, 1);
    *packet = (KeeperPacket){*message, fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0)};
    if (fd >= 0 && packet->fd < 0)
        doom(keeper, "too many open files to hand over to the keeper; raise LimitNOFILE=");
    g_queue_push_tail(&keeper->queue, packet);
    if (!keeper->write_source)
        keeper->write_source = watch(keeper, G_IO_OUT, on_writable);
}

static bool ask(Keeper *keeper, const KeeperMessage *message)
{
    if (!keeper->ready)
        return false;
    request(keeper, message, -1);
    return true;
}

bool keeper_arm(Keeper *keeper, int ledger_fd, const KeeperFilesystem *filesystems, unsigned count)
{
    const KeeperMessage arm = {.type = KEEPER_ARM, .version = KEEPER_VERSION, .count = count};

    if (!keeper->ready)
        return false;
    /* An operation that was given up before it was armed is forgotten first. */
    if (keeper->arm_sent)
        (void)keeper_disarm(keeper);
    keeper->arm_sent = true;
    request(keeper, &arm, ledger_fd);
    for (unsigned i = 0; i < count; i++) {
        const KeeperMessage message = {
            .type = KEEPER_FILESYSTEM,
            .index = i,
            .rank = filesystems[i].rank,
            .flags = filesystems[i].flags,
        };
        request(keeper, &message, filesystems[i].fd);
    }
    return true;
}

bool keeper_commit(Keeper *keeper)
{
    return ask(keeper, &(KeeperMessage){.type = KEEPER_COMMIT});
}

bool keeper_sync(Keeper *keeper)
{
    return ask(keeper, &(KeeperMessage){.type = KEEPER_SYNC});
}

bool keeper_freeze(Keeper *keeper, int64_t limit_us)
{
    return ask(keeper, &(KeeperMessage){.type = KEEPER_FREEZE, .limit_us = limit_us});
}

bool keeper_thaw(Keeper *keeper)
{
    return ask(keeper, &(KeeperMessage){.type = KEEPER_THAW});
}

bool keeper_disarm(Keeper *keeper)
{
    if (!ask(keeper, &(KeeperMessage){.type = KEEPER_DISARM}))
        return false;
    deadline_source_clear(&keeper->beat_source);
    keeper->arm_sent = false;
    return true;
}

bool keeper_others_gone(Keeper *keeper)
{
    for (unsigned i = keeper->leaving->len; i > 0; i--) {
        int pidfd = g_array_index(keeper->leaving, int, i - 1);
        struct pollfd process = {.fd = pidfd, .events = POLLIN};

        /* Readable when the last thread is gone, one stuck in the kernel included. */
        if (poll(&process, 1, 0) != 1)
            continue;
        (void)close(pidfd);
        g_array_remove_index_fast(keeper->leaving, i - 1);
    }
    return keeper->leaving->len == 0;
}

uint32_t keeper_pid(const Keeper *keeper)
{
    return keeper->ready ? keeper->pid : 0;
}

bool keeper_is_idle(Keeper *keeper)
{
    const KeeperMessage hello = {.type = KEEPER_HELLO, .version = KEEPER_VERSION};

    if (!keeper->ready)
        return false;
    if (keeper->pending == 0)
        return true;
    /* No heartbeats without an operation: this question is the only sign of life. */
    if (keeper->asked_us == 0)
        keeper->asked_us = deadline_now();
    if (deadline_now() - keeper->asked_us > KEEPER_TICKS_MAX * KEEPER_BEAT_US)
        give_up(keeper, "the keeper does not answer");
    else
        request(keeper, &hello, -1);
    return false;
}

/* --- reading -----------------------------------------------------------------------------------
 */

static gboolean on_beat(gpointer user_data)
{
    Keeper *keeper = user_data;

    if (++keeper->unanswered > KEEPER_TICKS_MAX) {
        give_up(keeper, "the keeper does not answer");
        return G_SOURCE_CONTINUE;
    }
    (void)ask(keeper, &(KeeperMessage){.type = KEEPER_BEAT});
    return G_SOURCE_CONTINUE;
}

static void begin_beats(Keeper *keeper)
{
    if (keeper->beat_source || !keeper->arm_sent)
        return;
    keeper->beat_source = g_timeout_source_new(KEEPER_BEAT_US / 1000);
    g_source_set_callback(keeper->beat_source, on_beat, keeper, NULL);
    g_source_attach(keeper->beat_source, NULL);
}

static void on_message(Keeper *keeper, const KeeperMessage *message)
{
    keeper->unanswered = 0;
    keeper->asked_us = 0;
    if (message->type == KEEPER_HELLO)
        keeper->pending = message->pending;
    if (message->type == KEEPER_HELLO && !keeper->ready) {
        if (message->version != KEEPER_VERSION) {
            doom(keeper, "the keeper is of another version; restart quiesced-keeper.service");
            return;
        }
        keeper->ready = true;
        keeper->ready_us = deadline_now();
        keeper->pid = message->pid;
        keeper->pidfd = (int)syscall(SYS_pidfd_open, message->pid, 0);
        keeper->events->ready(keeper, keeper->user_data);
        return;
    }
    if (message->type == KEEPER_HELLO || message->type == KEEPER_BEAT || !keeper->ready)
        return;
    if (message->type == KEEPER_ARMED)
        begin_beats(keeper);
    keeper->events->message(keeper, message, keeper->user_data);
}

static gboolean on_readable(int fd, GIOCondition condition, gpointer user_data)
{
    Keeper *keeper = user_data;
    unsigned link = keeper->link;
    gboolean goes_on = G_SOURCE_CONTINUE;

    (void)condition;
    keeper_ref(keeper);
    for (unsigned i = 0; i < READS_MAX && !keeper->freed && keeper->link == link; i++) {
        KeeperMessage message;
        ssize_t size = recv(fd, &message, sizeof message, MSG_DONTWAIT | MSG_TRUNC);

        if (size < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (size == (ssize_t)sizeof message)
            on_message(keeper, &message);
        else
            drop(keeper, size > 0 ? "the keeper sends what is no message; is it another version?"
                                  : "the keeper ended");
    }
    if (keeper->link != link)
        goes_on = G_SOURCE_REMOVE;
    keeper_unref(keeper);
    return goes_on;
}

void keeper_linked(Keeper *keeper, int fd)
{
    const KeeperMessage hello = {.type = KEEPER_HELLO, .version = KEEPER_VERSION};

    keeper->fd = fd;
    keeper->unanswered = 0;
    keeper->asked_us = 0;
    keeper_set_reason(keeper, "the keeper has not answered yet");
    keeper->read_source = watch(keeper, G_IO_IN | G_IO_HUP | G_IO_ERR, on_readable);
    request(keeper, &hello, -1);
}

/* --- life --------------------------------------------------------------------------------------
 */

Keeper *keeper_new(const char *socket_path, const char *program, const KeeperEvents *events,
                   gpointer user_data)
{
    Keeper *keeper = g_new0(Keeper, 1);

    keeper->refs = 1;
    keeper->socket_path = g_strdup(socket_path);
    keeper->program = g_strdup(program);
    keeper->events = events;
    keeper->user_data = user_data;
    keeper->fd = keeper->inotify_fd = keeper->inotify_id = keeper->pidfd = -1;
    keeper->leaving = g_array_new(FALSE, FALSE, sizeof(int));
    g_queue_init(&keeper->queue);
    keeper_set_reason(keeper, "the keeper was not asked for");
    return keeper;
}

void keeper_free(Keeper *keeper)
{
    if (!keeper)
        return;
    keeper->freed = true;
    keeper_connect_clear(keeper);
    unlink_keeper(keeper);
    keeper_unref(keeper);
}

bool keeper_is_ready(const Keeper *keeper)
{
    return keeper->ready;
}

const char *keeper_unready_reason(const Keeper *keeper)
{
    return keeper->ready ? NULL : keeper->reason;
}
