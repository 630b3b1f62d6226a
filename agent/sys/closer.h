/*
 * closer: close() in a thread, for fds whose end may take long.
 *
 * The last fd of a filesystem that was unmounted lazily is its umount, with all that is left to
 * write; a file of somebody's FUSE is closed when that one likes. The thread has an fd table of its
 * own, as those of offload.h: one that hangs keeps nothing else open when the process is killed.
 * Any thread may call this.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

/* Threads that close at once, of each kind; ends are quick but for those made to hang. Beyond it,
 * and when no thread can be had, the caller closes. */
#define CLOSER_THREADS_MAX 8

typedef enum { CLOSER_OWN, CLOSER_FOREIGN } CloserKind; /* what others make hang takes no place */

/* Takes over `fds`, which ends with -1 and is freed with g_free(). NULL and none are fine. */
void closer_close(CloserKind kind, int *fds);
void closer_close_one(CloserKind kind, int fd); /* -1 is fine */
