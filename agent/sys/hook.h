/*
 * hook: one hook script, as hookdir found it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <stdint.h>

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

Hook *hook_copy(const Hook *hook);
void hook_free(Hook *hook);
