/*
 * port_rig: what the programs that test port share: a recorder of its events and waiting.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "sys/port.h"
#include <glib.h>

#define MIB ((size_t)1 << 20)

typedef struct Recorder Recorder;

struct Recorder {
    PortPeer *peer; /* the last one opened; NULL when it closed */
    unsigned opened, closed, parted, eofs, reads, state_calls;
    GString *data;        /* all bytes that came */
    char *reason, *error; /* of the last peer_closed and state_changed(false) */
    bool open;            /* of the last state_changed */
    bool owes;            /* what is said when the host's side was closed */
    bool echo;            /* answer with the same bytes */
    const char *act_on;   /* "opened", "data", "eof", "closed", "state" */
    void (*act)(Port *port, PortPeer *peer);
};

void on_opened(Port *port, PortPeer *peer, gpointer user_data);
void on_data(PortPeer *peer, const uint8_t *bytes, size_t count, gpointer user_data);
void on_closed(PortPeer *peer, const char *reason, gpointer user_data);

extern const PortEvents RECORDING;

Recorder *recorder_new(void);
void recorder_free(Recorder *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Recorder, recorder_free)

gboolean set_flag(gpointer flag);

/* Runs the loop until `condition` holds; fails the test after 20 s. */
#define PUMP_UNTIL(condition)                                                                      \
    do {                                                                                           \
        bool late_ = false;                                                                        \
        unsigned timer_ = g_timeout_add(20000, set_flag, &late_);                                  \
        while (!(condition) && !late_)                                                             \
            g_main_context_iteration(NULL, TRUE);                                                  \
        g_assert_true(condition);                                                                  \
        if (!late_)                                                                                \
            g_source_remove(timer_);                                                               \
    } while (0)

/* Runs the loop for a while and says how often anything but the end of that woke it. */
unsigned pump_for(unsigned milliseconds);
#define IDLE_WAKEUPS 2u /* the timer's own rounding */

unsigned count_fds(void); /* without instances of inotify: watchfd keeps them */
/* Reads until `size` bytes came, letting the loop run in between. */
size_t pump_read(int fd, char *buffer, size_t size);
void act_free(Port *port, PortPeer *peer);
void act_reopen(Port *port, PortPeer *peer);

/* A port, and the directory that its socket, or the link to its device, is in. */
typedef struct {
    char *directory, *path;
    Recorder *recorder;
    Port *port;
} Fixture;

void put(int fd, const char *text);
void fixture_begin(Fixture *fixture, const char *name); /* no port yet; `name`: in the directory */
void teardown(Fixture *fixture, gconstpointer unused);
