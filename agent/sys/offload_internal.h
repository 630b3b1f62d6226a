/*
 * offload_internal: what offload.c, offload_open.c and strand.c share. Nobody else includes it but
 * their tests.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "sys/offload.h"
#include <glib-unix.h>

/* A thread with an fd table of its own, in which only its end of a SOCK_SEQPACKET pair and stderr
 * are open, and the main loop's half of it. Both hold a reference. */
typedef struct OffloadThread OffloadThread;

/* Runs in the thread. `error_number`: no fd table of its own could be had, or the main loop left
 * before the thread began (ECANCELED, `fd` -1); then nothing that may block is to be called. */
typedef void (*OffloadThreadBody)(OffloadThread *thread, int fd, int error_number, gpointer data);

/* `data` is freed with the last reference, or here on failure. */
OffloadThread *offload_thread_start(const char *name, OffloadThreadBody body, gpointer data,
                                    GDestroyNotify data_free, GError **error);
int offload_thread_fd(const OffloadThread *thread); /* the main loop's end */
/* Attached; calls `arrived` when something can be read from that end. */
GSource *offload_thread_source(const OffloadThread *thread, GUnixFDSourceFunc arrived,
                               gpointer user_data);
/* In the thread, when the work is done and before the main loop is told. False: it left. */
bool offload_thread_end(OffloadThread *thread);
/* On the main loop: closes its end. True: the thread had ended, what it worked on is the main
 * loop's. Else it counts as abandoned until it ends, and cleans up itself. */
bool offload_thread_leave(OffloadThread *thread);
void offload_thread_unref(OffloadThread *thread);

/* close(), which race detectors take for one of a race between two threads that mean different fds
 * by the same number, as they know nothing of fd tables. Also used on the main loop's ends. */
void offload_close(int fd);

/* The open itself, in the thread: an fd or -errno. */
typedef int (*OffloadOpenFunc)(const ReachPlace *place);

#define OFFLOAD_OPEN_THREADS 8u
/* A thread on one path for longer does not count among them: others are not to wait for it. */
#define OFFLOAD_OPEN_SLOW_US (100 * USEC_PER_MSEC)

/* offload_open() with another function than reach_open(). */
OffloadOpen *offload_open_with(OffloadOpenFunc function, const ReachPlace *place, Deadline deadline,
                               OffloadOpened opened, gpointer user_data);
