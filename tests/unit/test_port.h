/*
 * test_port: what the two programs that test port share: a recorder of its events and waiting.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "sys/port.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct Recorder Recorder;

struct Recorder {
    PortPeer *peer; /* the last one opened; NULL when it closed */
    unsigned opened, closed, eofs, reads, state_calls;
    GString *data;        /* all bytes that came */
    char *reason, *error; /* of the last peer_closed and state_changed(false) */
    bool open;            /* of the last state_changed */
    bool echo;            /* answer with the same bytes */
    const char *act_on;   /* "opened", "data", "eof", "closed", "state" */
    void (*act)(Port *port, PortPeer *peer);
};

static inline void recorder_act(Recorder *self, const char *event, Port *port, PortPeer *peer)
{
    if (g_strcmp0(self->act_on, event) != 0)
        return;
    self->act_on = NULL;
    self->act(port, peer);
}

static inline void on_opened(Port *port, PortPeer *peer, gpointer user_data)
{
    Recorder *self = user_data;

    g_assert_true(port_peer_port(peer) == port);
    self->opened++;
    self->peer = peer;
    recorder_act(self, "opened", port, peer);
}

static inline void on_data(PortPeer *peer, const uint8_t *bytes, size_t count, gpointer user_data)
{
    Recorder *self = user_data;

    g_assert_cmpuint(count, >, 0);
    g_assert_cmpuint(count, <=, PORT_READ_SIZE);
    self->reads++;
    g_string_append_len(self->data, (const char *)bytes, (gssize)count);
    if (self->echo)
        g_assert_true(port_peer_send(peer, bytes, count));
    recorder_act(self, "data", port_peer_port(peer), peer);
}

static inline void on_eof(PortPeer *peer, gpointer user_data)
{
    Recorder *self = user_data;

    self->eofs++;
    recorder_act(self, "eof", port_peer_port(peer), peer);
}

static inline void on_closed(PortPeer *peer, const char *reason, gpointer user_data)
{
    Recorder *self = user_data;

    g_assert_false(port_peer_send(peer, "late", 4));
    self->closed++;
    g_free(self->reason);
    self->reason = g_strdup(reason);
    if (self->peer == peer)
        self->peer = NULL;
    recorder_act(self, "closed", port_peer_port(peer), peer);
}

static inline void on_state(Port *port, bool open, const GError *error, gpointer user_data)
{
    Recorder *self = user_data;

    g_assert_true(open == (error == NULL));
    self->state_calls++;
    self->open = open;
    g_free(self->error);
    self->error = error ? g_strdup(error->message) : NULL;
    recorder_act(self, "state", port, NULL);
}

static const PortEvents RECORDING = {on_opened, on_data, on_closed, on_state, on_eof};

static inline Recorder *recorder_new(void)
{
    Recorder *self = g_new0(Recorder, 1);

    self->data = g_string_new(NULL);
    return self;
}

static inline void recorder_free(Recorder *self)
{
    g_string_free(self->data, TRUE);
    g_free(self->reason);
    g_free(self->error);
    g_free(self);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Recorder, recorder_free)

static inline gboolean set_flag(gpointer flag)
{
    *(bool *)flag = true;
    return G_SOURCE_REMOVE;
}

/* Runs the loop until `condition` holds; fails the test after 4 s. */
#define PUMP_UNTIL(condition)                                                                      \
    do {                                                                                           \
        bool late_ = false;                                                                        \
        unsigned timer_ = g_timeout_add(4000, set_flag, &late_);                                   \
        while (!(condition) && !late_)                                                             \
            g_main_context_iteration(NULL, TRUE);                                                  \
        g_assert_true(condition);                                                                  \
        if (!late_)                                                                                \
            g_source_remove(timer_);                                                               \
    } while (0)

/* Runs the loop for a while and says how often anything but the end of that woke it. */
static inline unsigned pump_for(unsigned milliseconds)
{
    unsigned count = 0;
    bool done = false;

    g_timeout_add(milliseconds, set_flag, &done);
    while (!done) {
        g_main_context_iteration(NULL, TRUE);
        count += !done;
    }
    return count;
}
#define IDLE_WAKEUPS 2u /* the timer's own rounding */

static inline unsigned count_fds(void)
{
    GDir *directory = g_dir_open("/proc/self/fd", 0, NULL);
    unsigned count = 0;

    g_assert_nonnull(directory);
    while (g_dir_read_name(directory))
        count++;
    g_dir_close(directory);
    return count;
}

/* Reads until `size` bytes came, letting the loop run in between. */
static inline size_t pump_read(int fd, char *buffer, size_t size)
{
    bool late = false;
    unsigned timer = g_timeout_add(4000, set_flag, &late);
    size_t done = 0;

    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    while (done < size && !late) {
        ssize_t count = read(fd, buffer + done, size - done);

        if (count == 0 || (count < 0 && errno != EAGAIN))
            break;
        if (count > 0)
            done += (size_t)count;
        while (g_main_context_iteration(NULL, FALSE))
            ;
    }
    if (!late)
        g_source_remove(timer);
    return done;
}

static inline void act_free(Port *port, PortPeer *peer)
{
    (void)peer;
    port_free(port);
}

static inline void act_reopen(Port *port, PortPeer *peer)
{
    g_autoptr(GError) error = NULL;

    (void)peer;
    port_close(port);
    port_open(port, &error);
    g_assert_no_error(error);
}
