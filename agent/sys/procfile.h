/*
 * procfile: small files of procfs and sysfs, read whole into the caller's memory.
 *
 * Nothing here waits for a disk. What a process's own files show may wait for that process, so
 * those are read in offload threads only.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* At most `size` - 1 bytes of `path`, terminated; false: errno says why. */
bool procfile_read(const char *path, char *text, size_t size);
/* An attribute of sysfs, `name` below the fd `directory` (or AT_FDCWD): one read gives all of it.
 */
bool procfile_attribute(int directory, const char *name, char *text, size_t size);
/* All of `path`, new; of more than `max` bytes the whole lines that fit. What cannot be opened has
 * the stock agent's error text. */
char *procfile_whole(const char *path, size_t max, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The same of `root`/`name`, with an error that names the file. */
bool procfile_text(const char *root, const char *name, char *text, size_t size, GError **error);
/* A file that holds one number from 0 to INT32_MAX, as sysctls do. */
bool procfile_number(const char *root, const char *name, int32_t *ret_value, GError **error);
/* Below 0: nothing is written. */
bool procfile_write_number(const char *root, const char *name, int32_t value, GError **error);
/* The number of KEY in lines of "KEY   NUMBER UNIT", as in meminfo; false: no such line. `unit` has
 * its leading blank, as in " kB". */
bool procfile_find(const char *text, const char *key, const char *unit, uint64_t *ret_value);
