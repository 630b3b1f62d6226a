/*
 * coordinator_rig_files: the scripts and files of a coordinator under test, and what the hooks and
 * the fake filesystems wrote into theirs.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "coordinator_rig.h"

/* Body of a hook: at `verb` it stands still until the file go-VERB exists; not for ever, should the
 * test have failed meanwhile. */
#define RIG_STANDS_AT(verb)                                                                        \
    "[ $1 != " verb " ] || for n in $(seq 3000); do [ ! -e go-$1 ] || break; sleep 0.01; done\n"
/* A script that appends "NAME VERB" to hook.log, then runs `body` in rig->root. */
void rig_hook(const Rig *rig, const char *name, const char *body);
void rig_hook_conf(const Rig *rig, const char *name, const char *conf);
char *rig_hooks(const Rig *rig); /* what was called, ", " between */
bool rig_called(const Rig *rig, const char *call);
void rig_write(const Rig *rig, const char *path, const char *text);
char *rig_path(const Rig *rig, const char *path);
char *rig_text(const Rig *rig, const char *path); /* "" when it is not there */
void rig_write_program(const Rig *rig, const char *path, const char *text);
bool rig_exists(const Rig *rig, const char *path);
char *rig_calls(const Rig *rig, const char *filesystem); /* "sync freeze thaw" */
bool rig_frozen(const Rig *rig);                         /* any of the filesystems */

void assert_hooks(const Rig *rig, const char *expected);
