/*
 * hookdir: finds hook scripts, vets them, reads their NAME.conf.
 *
 * Directories in order of precedence (/etc, /run, /usr/lib): a name found earlier hides the same
 * name later, a link to /dev/null masks it. Two leading digits and '-' are the order and not part
 * of the name that people see ("50-postgresql" is "postgresql", order 50). Editor and package
 * left-overs
 * (*~, *.bak, *.orig, *.rpm*, *.dpkg-*, *.swp, *.sample, dotfiles) and *.conf are ignored.
 * Refused, with a reason: not root-owned, group- or world-writable (file or folder), not a regular
 * file, not executable, a bad NAME.conf (with file and line).
 *
 * Touches disks: call hookdir_scan() from an offload thread. It uses no globals.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/error.h"
#include "sys/hook.h"
#include <stdbool.h>
#include <sys/types.h>

#define HOOKDIR_HOOKS_MAX 256u /* scripts in all directories together; more is an error */
#define HOOKDIR_CONF_MAX  ((size_t)64 << 10) /* bytes of one NAME.conf */
#define HOOKDIR_ORDER_MAX 99u
#define HOOKDIR_ORDER     50u /* default */

typedef struct {
    const char *const *directories; /* highest precedence first */
    const char *stock_directory;    /* NULL or "": none */
    const char *stock_hook;         /* one file instead of stock_directory, or NULL */
    uid_t owner;                    /* 0; tests use their own */
    const char *run_as;             /* quiesced-run-as; NULL: none */
} HookdirOptions;

/* Hook * elements sorted by order, then name, owned by the array. Missing directories are fine. */
GPtrArray *hookdir_scan(const HookdirOptions *options, GError **error) G_GNUC_WARN_UNUSED_RESULT;
