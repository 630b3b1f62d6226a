/*
 * users: who is logged in, from utmp, or from logind's sessions where there is no utmp.
 *
 * Both are on /run, which is no disk. Still for offload threads, as anybody may have put something
 * else there.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/error.h"

#include <stdint.h>

#define USERS_RECORDS_MAX 65536u /* of utmp, one a terminal; what comes behind is not looked at */
#define USERS_MAX         4096u  /* different ones */

typedef struct {
    char *name;
    int64_t login_us; /* wall clock; of the earliest of the user's sessions */
} UserLogin;

/* UserLogin *, each user once, in the order found. Neither file there: empty. */
GPtrArray *users_list(const char *run, GError **error) G_GNUC_WARN_UNUSED_RESULT;
