/*
 * serve: see server.h. Reads requests, sends answers and reports, never waits.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "keeper/operation.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FDS_MAX 4u /* in one packet; one is right, the kernel closes what does not fit */

typedef struct {
    KeeperMessage message;
    char excess; /* a packet that reaches here is too long */
    int fds[FDS_MAX];
    unsigned n_fds;
    bool bad_size;
} Packet;

static void take_fds(Packet *packet, struct msghdr *header)
{
    for (struct cmsghdr *control = CMSG_FIRSTHDR(header); control;
         control = CMSG_NXTHDR(header, control)) {
        size_t size = control->cmsg_len - CMSG_LEN(0);

        if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS)
            continue;
        packet->n_fds = (unsigned)(size / sizeof(int));
        memcpy(packet->fds, CMSG_DATA(control), packet->n_fds * sizeof(int));
    }
}

/* 1: a packet, 0: end of file, -1: nothing there. */
static int receive(int socket_fd, Packet *packet)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
    } control;
    struct iovec parts[] = {{&packet->message, sizeof packet->message}, {&packet->excess, 1}};
    struct msghdr header = {
        .msg_iov = parts,
        .msg_iovlen = 2,
        .msg_control = &control,
        .msg_controllen = sizeof control,
    };
    ssize_t size;

    *packet = (Packet){0};
    size = recvmsg(socket_fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (size < 0)
        return errno == EAGAIN || errno == EINTR ? -1 : 0;
    take_fds(packet, &header);
    packet->bad_size = size != sizeof packet->message;
    return size > 0 || packet->n_fds > 0;
}

/* --- answers -----------------------------------------------------------------------------------
 */

static bool send_now(Server *server, const KeeperMessage *message)
{
    ssize_t sent;

    if (server->socket_fd < 0)
        return true;
    if (server->blocked)
        return false;
    sent = send(server->socket_fd, message, sizeof *message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0 || (errno != EAGAIN && errno != ENOBUFS && errno != ENOMEM))
        return true; /* gone: the loop sees the end of file */
    server->blocked = true;
    return false;
}

void serve_answer(Server *server, const KeeperMessage *answer)
{
    if (server->socket_fd >= 0 && server->n_answers < SERVER_ANSWERS_MAX)
        server->answers[server->n_answers++] = *answer;
}

static void send_answers(Server *server)
{
    unsigned sent = 0;

    while (sent < server->n_answers && send_now(server, &server->answers[sent]))
        sent++;
    server->n_answers -= sent;
    memmove(server->answers, server->answers + sent, server->n_answers * sizeof *server->answers);
}

/* The lock is not held while sending: the kernel may have to find memory for it, and the workers
 * must not wait for that. */
void serve_flush(Server *server)
{
    KeeperMessage report;
    bool more = !server->blocked && (server->state == OP_ARMED || server->state == OP_ENDING);

    while (more) {
        pool_lock(&server->pool);
        more = hold_report(&server->hold, keeper_now(), &report);
        pool_unlock(&server->pool);
        if (!more || server->orphaned || send_now(server, &report))
            continue;
        pool_lock(&server->pool);
        hold_unreport(&server->hold, &report);
        pool_unlock(&server->pool);
        more = false;
    }
    send_answers(server);
}

/* --- requests ----------------------------------------------------------------------------------
 */

static int on_hello(Server *server, const KeeperMessage *request)
{
    const KeeperMessage answer = {
        .type = KEEPER_HELLO,
        .version = KEEPER_VERSION,
        .count = server->count,
        .pending = operation_pending(server),
        .pid = (uint32_t)getpid(),
    };

    serve_answer(server, &answer);
    server->hello = request->version == KEEPER_VERSION;
    return server->hello ? 0 : EPROTO;
}

static int on_disarm(Server *server)
{
    server->tell_disarmed = true;
    operation_end(server, KEEPER_CAUSE_REQUEST);
    return 0;
}

static int on_beat(Server *server, const KeeperMessage *request)
{
    serve_answer(server, request);
    return 0;
}

/* Takes over `fd`. */
static int serve(Server *server, const KeeperMessage *request, int fd)
{
    if (request->type == KEEPER_ARM && server->hello)
        return operation_arm(server, request->count, fd);
    if (request->type == KEEPER_FILESYSTEM && server->hello)
        return operation_filesystem(server, request, fd);
    if (fd >= 0) {
        (void)close(fd);
        return server->hello ? EINVAL : EPROTO;
    }
    if (request->type == KEEPER_HELLO)
        return on_hello(server, request);
    if (!server->hello)
        return EPROTO;
    switch (request->type) {
    case KEEPER_COMMIT:
        return operation_sync(server, hold_commit);
    case KEEPER_SYNC:
        return operation_sync(server, hold_sync);
    case KEEPER_FREEZE:
        return operation_freeze(server, request->limit_us);
    case KEEPER_THAW:
        operation_thaw(server, KEEPER_CAUSE_REQUEST);
        return 0;
    case KEEPER_BEAT:
        return on_beat(server, request);
    case KEEPER_DISARM:
        return on_disarm(server);
    default:
        return EINVAL;
    }
}

static int serve_packet(Server *server, Packet *packet)
{
    if (packet->bad_size || packet->n_fds > 1) {
        for (unsigned i = 0; i < packet->n_fds; i++)
            (void)close(packet->fds[i]);
        return packet->bad_size ? EMSGSIZE : EINVAL;
    }
    return serve(server, &packet->message, packet->n_fds == 1 ? packet->fds[0] : -1);
}

static void answer_packet(Server *server, Packet *packet)
{
    KeeperMessageType type = packet->bad_size ? 0 : packet->message.type;
    KeeperMessage refusal = {
        .type = KEEPER_REFUSED,
        .version = KEEPER_VERSION,
        .index = packet->message.index,
        .cause = type,
    };
    bool ignored = server->arm_refused && type == KEEPER_FILESYSTEM;

    refusal.error = serve_packet(server, packet);
    if (type != KEEPER_FILESYSTEM && type != KEEPER_BEAT)
        server->arm_refused = false;
    if (refusal.error == 0 || ignored)
        return;
    if (server->hello && (type == KEEPER_ARM || type == KEEPER_FILESYSTEM))
        server->arm_refused = true;
    serve_answer(server, &refusal);
}

/* While an operation ends only HELLO is read; the rest waits in the socket. */
bool serve_may_read(const Server *server)
{
    return server->socket_fd >= 0 && (server->state != OP_ENDING || !server->hello);
}

void serve_read(Server *server)
{
    Packet packet;

    for (unsigned i = 0; i < SERVER_READS && serve_may_read(server); i++) {
        int got = receive(server->socket_fd, &packet);

        if (got < 0)
            return;
        if (got == 0) {
            server_disconnect(server);
            return;
        }
        server->silent_ticks = 0;
        answer_packet(server, &packet);
    }
}
