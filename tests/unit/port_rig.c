/*
 * port_rig: see port_rig.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "port_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

static void recorder_act(Recorder *self, const char *event, Port *port, PortPeer *peer)
{
    if (g_strcmp0(self->act_on, event) != 0)
        return;
    self->act_on = NULL;
    self->act(port, peer);
}

void on_opened(Port *port, PortPeer *peer, gpointer user_data)
{
    Recorder *self = user_data;

    g_assert_true(port_peer_port(peer) == port);
    self->opened++;
    self->peer = peer;
    recorder_act(self, "opened", port, peer);
}

void on_data(PortPeer *peer, const uint8_t *bytes, size_t count, gpointer user_data)
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

static void on_eof(PortPeer *peer, gpointer user_data)
{
    Recorder *self = user_data;

    self->eofs++;
    recorder_act(self, "eof", port_peer_port(peer), peer);
}

void on_closed(PortPeer *peer, const char *reason, gpointer user_data)
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

static bool on_parted(PortPeer *peer, gpointer user_data)
{
    Recorder *self = user_data;

    (void)peer;
    self->parted++;
    return self->owes;
}

static void on_state(Port *port, bool open, const GError *error, gpointer user_data)
{
    Recorder *self = user_data;

    g_assert_true(open == (error == NULL));
    self->state_calls++;
    self->open = open;
    g_free(self->error);
    self->error = error ? g_strdup(error->message) : NULL;
    recorder_act(self, "state", port, NULL);
}

const PortEvents RECORDING = {
    .peer_opened = on_opened,
    .peer_data = on_data,
    .peer_parted = on_parted,
    .peer_closed = on_closed,
    .state_changed = on_state,
    .peer_eof = on_eof,
};

Recorder *recorder_new(void)
{
    Recorder *self = g_new0(Recorder, 1);

    self->data = g_string_new(NULL);
    return self;
}

void recorder_free(Recorder *self)
{
    g_string_free(self->data, TRUE);
    g_free(self->reason);
    g_free(self->error);
    g_free(self);
}

gboolean set_flag(gpointer flag)
{
    *(bool *)flag = true;
    return G_SOURCE_REMOVE;
}

unsigned pump_for(unsigned milliseconds)
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

unsigned count_fds(void)
{
    GDir *directory = g_dir_open("/proc/self/fd", 0, NULL);
    unsigned count = 0;
    const char *name;

    g_assert_nonnull(directory);
    while ((name = g_dir_read_name(directory)) != NULL) {
        g_autofree char *path = g_build_filename("/proc/self/fd", name, NULL);
        g_autofree char *target = g_file_read_link(path, NULL);

        count += !target || !g_str_equal(target, "anon_inode:inotify");
    }
    g_dir_close(directory);
    return count;
}

size_t pump_read(int fd, char *buffer, size_t size)
{
    bool late = false;
    unsigned timer = g_timeout_add(20000, set_flag, &late);
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

void act_free(Port *port, PortPeer *peer)
{
    (void)peer;
    port_free(port);
}

void act_reopen(Port *port, PortPeer *peer)
{
    g_autoptr(GError) error = NULL;

    (void)peer;
    port_close(port);
    port_open(port, &error);
    g_assert_no_error(error);
}

void put(int fd, const char *text)
{
    g_assert_cmpint(write(fd, text, strlen(text)), ==, (ssize_t)strlen(text));
}

void fixture_begin(Fixture *fixture, const char *name)
{
    fixture->directory = g_dir_make_tmp("port-XXXXXX", NULL);
    g_assert_nonnull(fixture->directory);
    fixture->path = g_build_filename(fixture->directory, name, NULL);
    fixture->recorder = recorder_new();
}

void teardown(Fixture *fixture, gconstpointer unused)
{
    (void)unused;
    port_free(fixture->port);
    recorder_free(fixture->recorder);
    g_unlink(fixture->path);
    g_assert_cmpint(g_rmdir(fixture->directory), ==, 0);
    g_free(fixture->path);
    g_free(fixture->directory);
}
