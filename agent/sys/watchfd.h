/*
 * watchfd: inotify instances that are used again and not closed.
 *
 * The kernel's close() of an inotify instance that had a watch waits for a grace period: 1 to 90 ms
 * as seen in an idle machine with Linux 6.1, and a device that comes or goes is several changes in
 * a row. To remove the watches waits for nothing. So who is done with an instance gives it back,
 * and the next one to watch something takes it. There are as many as were ever in use at once: one
 * a channel that waits for its device, and one for the keeper. Main loop only.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

/* An instance without watches or events, non-blocking; -1 with errno as of inotify_init1(2). Its
 * fd is the module's: give it back, never close it. */
int watchfd_take(void);

/* Gives it back, and drops the events that are left. The caller has removed its watches, and its
 * source of the fd is gone. -1: nothing to give. */
void watchfd_give(int fd);
