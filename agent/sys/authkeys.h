/*
 * authkeys: a user's ~/.ssh/authorized_keys, read and changed with that user's own rights.
 *
 * The home is the user's: any name in it may be a link into another's. So the thread takes the
 * user's identity for everything it opens (of the file system alone, and of this thread alone), and
 * can do no more than the user can. For offload threads that end afterwards: looking a user up may
 * ask a network, and a home may lie on one.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <sys/types.h>

#define AUTHKEYS_FILE_MAX ((size_t)1 << 20) /* thousands of keys; sshd reads them at each login */

typedef struct {
    char *home;
    uid_t uid;
    gid_t gid;
} AuthkeysUser;

/* Texts are those of the stock agent. */
bool authkeys_find_user(const char *name, AuthkeysUser *ret_user, GError **error);
void authkeys_user_clear(AuthkeysUser *user);
/* The whole thread acts as that user from now on, where it may change at all. */
void authkeys_become(const AuthkeysUser *user);

/* One line each, as written; comments and empty lines are left out. */
char **authkeys_get(const AuthkeysUser *user, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Adds what is not yet there; `reset`: nothing else stays. The folder is made when it is missing.
 */
bool authkeys_add(const AuthkeysUser *user, const char *const *keys, bool reset, GError **error);
/* All else stays as it is; a file that is not there has none of them. */
bool authkeys_remove(const AuthkeysUser *user, const char *const *keys, GError **error);
