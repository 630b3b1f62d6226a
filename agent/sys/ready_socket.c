/*
 * ready_socket: see ready_socket.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/ready_socket.h"

#include "sys/notify.h"
#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define NAME_PREFIX "ready-"
#define NAME_TRIES  16 /* random names; a second try is as good as never needed */
#define READS_MAX   16 /* datagrams a turn of the main loop */

struct ReadySocket {
    int fd;
    char *path;
    pid_t group;
    ReadyFunc func; /* NULL: told */
    gpointer user_data;
    GSource *source;
    unsigned messages; /* of the child's group */
};

/* False with errno. */
static bool bind_somewhere(ReadySocket *self, const char *directory)
{
    struct sockaddr_un address;
    socklen_t length = 0;

    for (unsigned i = 0; i < NAME_TRIES; i++) {
        g_free(self->path);
        self->path = g_strdup_printf("%s/" NAME_PREFIX "%08x", directory, g_random_int());
        if (!notify_address(self->path, &address, &length)) {
            errno = ENAMETOOLONG;
            break;
        }
        if (bind(self->fd, (const struct sockaddr *)&address, length) == 0)
            return true;
        if (errno != EADDRINUSE)
            break;
    }
    g_clear_pointer(&self->path, g_free); /* not ours to remove */
    return false;
}

ReadySocket *ready_socket_new(const char *directory, bool anybody, GError **error)
{
    ReadySocket *self = g_new0(ReadySocket, 1);
    const int yes = 1;
    bool fine;

    self->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* The mode before the name: there is no moment at which others could send. */
    fine = self->fd >= 0 && fchmod(self->fd, 0600) == 0 &&
           setsockopt(self->fd, SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes) == 0 &&
           bind_somewhere(self, directory) && (!anybody || chmod(self->path, 0666) == 0);
    if (fine)
        return self;
    agent_error_errno(error, AGENT_ERROR_FAILED, errno, "cannot make a notify socket in %s",
                      directory);
    ready_socket_free(self);
    return NULL;
}

/* Who still sends gets an error instead of waiting for room. */
static void stop(ReadySocket *self)
{
    if (self->source) {
        g_source_destroy(self->source);
        g_clear_pointer(&self->source, g_source_unref);
    }
    if (self->fd >= 0)
        close(self->fd);
    self->fd = -1;
}

void ready_socket_free(ReadySocket *self)
{
    if (!self)
        return;
    stop(self);
    if (self->path)
        (void)unlink(self->path);
    g_free(self->path);
    g_free(self);
}

const char *ready_socket_path(const ReadySocket *self)
{
    return self->path;
}

/* The sender's pid, 0: none that we can see. */
static pid_t take_control(struct msghdr *message)
{
    pid_t sender = 0;

    for (struct cmsghdr *item = CMSG_FIRSTHDR(message); item; item = CMSG_NXTHDR(message, item)) {
        if (item->cmsg_level != SOL_SOCKET)
            continue;
        if (item->cmsg_type == SCM_CREDENTIALS &&
            item->cmsg_len == CMSG_LEN(sizeof(struct ucred))) {
            struct ucred credentials;

            memcpy(&credentials, CMSG_DATA(item), sizeof credentials);
            sender = credentials.pid;
        }
    }
    return sender;
}

static bool says_ready(const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    return g_strv_contains((const char *const *)lines, "READY=1");
}

static void tell(ReadySocket *self, bool ready)
{
    ReadyFunc func = g_steal_pointer(&self->func);

    if (!ready)
        stop(self);
    if (func)
        func(ready, self->user_data);
}

/* One datagram; false: there is none, or the owner was told and may have freed the socket. */
static bool read_one(ReadySocket *self)
{
    /* Room for the credentials, which come first, and none for fds: these are dropped then and
     * never ours. To close one can hang, as long as its filesystem (FUSE) wants. */
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(struct ucred))];
    } control;
    char text[READY_SOCKET_BYTES_MAX + 1];
    struct iovec vector = {text, sizeof text - 1};
    struct msghdr message = {.msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    ssize_t count = recvmsg(self->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    pid_t sender;

    if (count < 0)
        return errno == EINTR;
    sender = take_control(&message);
    if (sender <= 0 || getpgid(sender) != self->group)
        return true;
    self->messages++;
    text[count] = '\0';
    if (!(message.msg_flags & MSG_TRUNC) && self->func && says_ready(text)) {
        tell(self, true);
        return false;
    }
    if (self->messages < READY_SOCKET_MESSAGES_MAX)
        return true;
    tell(self, false);
    return false;
}

static gboolean on_datagram(gint fd, GIOCondition condition, gpointer user_data)
{
    (void)fd;
    (void)condition;
    for (unsigned i = 0; i < READS_MAX; i++)
        if (!read_one(user_data))
            break;
    return G_SOURCE_CONTINUE;
}

void ready_socket_listen(ReadySocket *self, pid_t group, ReadyFunc func, gpointer user_data)
{
    self->group = group;
    self->func = func;
    self->user_data = user_data;
    self->source = g_unix_fd_source_new(self->fd, G_IO_IN);
    g_source_set_priority(self->source, G_PRIORITY_DEFAULT_IDLE);
    g_source_set_name(self->source, "ready-socket");
    g_source_set_callback(self->source, G_SOURCE_FUNC(on_datagram), self, NULL);
    g_source_attach(self->source, NULL);
}

void ready_socket_clean(const char *directory)
{
    g_autoptr(GDir) entries = g_dir_open(directory, 0, NULL);
    const char *name = NULL;

    while (entries && (name = g_dir_read_name(entries))) {
        g_autofree char *path = g_build_filename(directory, name, NULL);
        struct stat status;

        if (g_str_has_prefix(name, NAME_PREFIX) && lstat(path, &status) == 0 &&
            S_ISSOCK(status.st_mode))
            (void)unlink(path);
    }
}
