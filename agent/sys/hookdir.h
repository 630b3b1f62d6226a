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
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define HOOKDIR_HOOKS_MAX 256u /* scripts in all directories together; more is an error */
#define HOOKDIR_CONF_MAX  ((size_t)64 << 10) /* bytes of one NAME.conf */
#define HOOKDIR_ORDER_MAX 99u
#define HOOKDIR_ORDER     50u /* default */

typedef enum {
    HOOK_PLAIN,   /* quiesced's contract: a process a verb */
    HOOK_STOCK,   /* freeze|thaw only */
    HOOK_SESSION, /* Type=session: one process holds from freeze to thaw */
} HookKind;

typedef enum { ON_FAILURE_ABORT, ON_FAILURE_DEGRADE } OnFailure;

/* Bits of Hook.verbs. */
enum {
    HOOK_VERB_PREPARE = 1 << 0,
    HOOK_VERB_FREEZE = 1 << 1,
    HOOK_VERB_THAW = 1 << 2,
    HOOK_VERB_ABORT = 1 << 3,
    HOOK_VERB_COMPLETE = 1 << 4, /* opt-in */
    /* A session hook always gets abort, which ends its process; this one is called with it too. */
    HOOK_VERB_SESSION_ABORT = 1 << 5,
};
#define HOOK_VERBS_SESSION (HOOK_VERB_FREEZE | HOOK_VERB_THAW | HOOK_VERB_ABORT)
#define HOOK_VERBS_DEFAULT (HOOK_VERB_PREPARE | HOOK_VERB_FREEZE | HOOK_VERB_THAW | HOOK_VERB_ABORT)

typedef struct {
    char *name; /* without order prefix */
    char *path;
    HookKind kind;
    unsigned order;
    unsigned verbs;
    int64_t timeout_us; /* 0: the configured default */
    OnFailure on_failure;
    char **mountpoints; /* NULL: always run */
    char *user;         /* whom it runs as; NULL: the service's own */
    char *refused;      /* reason, or NULL when it may run */
} Hook;

typedef struct {
    const char *const *directories; /* highest precedence first */
    const char *stock_directory;    /* NULL or "": none */
    const char *stock_hook;         /* one file instead of stock_directory, or NULL */
    uid_t owner;                    /* 0; tests use their own */
    const char *run_as;             /* quiesced-run-as; NULL: none */
} HookdirOptions;

/* Hook * elements sorted by order, then name, owned by the array. Missing directories are fine. */
GPtrArray *hookdir_scan(const HookdirOptions *options, GError **error) G_GNUC_WARN_UNUSED_RESULT;
Hook *hook_copy(const Hook *hook);
void hook_free(Hook *hook);
