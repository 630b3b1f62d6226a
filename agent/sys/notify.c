/*
 * notify: see notify.h.
 *
 * systemd acts on READY=1 and STOPPING=1, and nobody says them a second time; they and the newest
 * status are therefore kept and tried again by a one-shot timer when the socket was full.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/notify.h"
#include "base/deadline.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define RETRY_US (1 * USEC_PER_SEC)

enum { READY, STOPPING, STATUS, N_MESSAGES };

struct Notify {
    int fd; /* -1: nobody to tell */
    struct sockaddr_un address;
    socklen_t address_length;
    char *unsent[N_MESSAGES]; /* NULL: told, or never said */
    GSource *retry;
    GSource *watchdog;
};

/* A path, or '@' and an abstract name. Others (vsock) are for containers and VMs as a whole. */
bool notify_address(const char *text, struct sockaddr_un *ret_address, socklen_t *ret_length)
{
    size_t length = strlen(text);

    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if ((*text != '/' && *text != '@') || length < 2 || length >= sizeof ret_address->sun_path)
        return false;
    memcpy(ret_address->sun_path, text, length);
    if (*text == '@')
        ret_address->sun_path[0] = '\0';
    /* The length of an abstract name is part of it; a path ends in its NUL. */
    *ret_length =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (*text == '/' ? 1 : 0));
    return true;
}

Notify *notify_new(const char *socket_address)
{
    Notify *notify = g_new0(Notify, 1);

    notify->fd = -1;
    if (socket_address && notify_address(socket_address, &notify->address, &notify->address_length))
        notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return notify;
}

void notify_free(Notify *notify)
{
    if (!notify)
        return;
    notify_watchdog(notify, 0);
    deadline_source_clear(&notify->retry);
    for (unsigned i = 0; i < N_MESSAGES; i++)
        g_free(notify->unsent[i]);
    if (notify->fd >= 0)
        close(notify->fd);
    g_free(notify);
}

/* False: the socket is full. A socket that is gone is nobody to tell. */
static bool send_text(const Notify *notify, const char *text)
{
    if (sendto(notify->fd, text, strlen(text), MSG_NOSIGNAL,
               (const struct sockaddr *)&notify->address, notify->address_length) >= 0)
        return true;
    return errno != EAGAIN && errno != ENOBUFS;
}

static gboolean on_retry(gpointer user_data);

static void send_unsent(Notify *notify)
{
    for (unsigned i = 0; i < N_MESSAGES; i++) {
        if (!notify->unsent[i])
            continue;
        if (send_text(notify, notify->unsent[i])) {
            g_clear_pointer(&notify->unsent[i], g_free);
            continue;
        }
        if (!notify->retry)
            notify->retry = deadline_source_new(deadline_in(RETRY_US), on_retry, notify);
        return;
    }
    deadline_source_clear(&notify->retry);
}

static gboolean on_retry(gpointer user_data)
{
    Notify *notify = user_data;

    deadline_source_clear(&notify->retry);
    send_unsent(notify);
    return G_SOURCE_REMOVE;
}

static void say(Notify *notify, unsigned message, const char *text)
{
    if (!notify || notify->fd < 0)
        return;
    g_free(notify->unsent[message]);
    notify->unsent[message] = g_strdup(text);
    send_unsent(notify);
}

void notify_ready(Notify *notify)
{
    say(notify, READY, "READY=1");
}

void notify_stopping(Notify *notify)
{
    say(notify, STOPPING, "STOPPING=1");
}

void notify_status(Notify *notify, const char *format, ...)
{
    static const char field[] = "STATUS=";
    char text[sizeof field + TEXT_LINE_MAX];
    g_autofree char *status = NULL;
    va_list args;

    va_start(args, format);
    status = g_strdup_vprintf(format, args);
    va_end(args);
    /* One line: a line break would start another field. */
    memcpy(text, field, sizeof field);
    text_line(text + strlen(field), TEXT_LINE_MAX + 1, status, (size_t)-1);
    say(notify, STATUS, text);
}

static gboolean on_watchdog(gpointer user_data)
{
    /* When it does not fit the next one comes in time. */
    send_text(user_data, "WATCHDOG=1");
    return G_SOURCE_CONTINUE;
}

void notify_watchdog(Notify *notify, uint64_t interval_us)
{
    uint64_t period_ms = CLAMP(interval_us / 2000, 1, G_MAXUINT);

    if (!notify)
        return;
    if (notify->watchdog) {
        g_source_destroy(notify->watchdog);
        g_clear_pointer(&notify->watchdog, g_source_unref);
    }
    if (interval_us == 0 || notify->fd < 0)
        return;
    notify->watchdog = g_timeout_source_new((guint)period_ms);
    g_source_set_callback(notify->watchdog, on_watchdog, notify, NULL);
    g_source_attach(notify->watchdog, NULL);
}
