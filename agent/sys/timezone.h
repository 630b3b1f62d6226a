/*
 * timezone: the machine's time zone now.
 *
 * Reads /etc/localtime, or what $TZ names, anew where it has changed: for offload threads.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

/* The abbreviation in force ("CET"), new; `*ret_offset` is in seconds, positive east of UTC. */
char *timezone_now(int *ret_offset);
