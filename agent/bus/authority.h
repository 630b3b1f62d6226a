/*
 * authority: whether a caller on the bus may do what it asks for.
 *
 * Root may, without anybody being asked: polkitd may be unstartable while / is frozen. Others only
 * where polkit allows the action. Asks the bus and polkit without waiting, each with a deadline; no
 * answer is a denial.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gio/gio.h>
#include <stdbool.h>
#include <sys/types.h>

#define AUTHORITY_UID_MS    2000  /* the bus daemon knows it by heart */
#define AUTHORITY_CHECK_MS  5000  /* polkit may have to be started first */
#define AUTHORITY_DIALOG_MS 60000 /* somebody types a password */

/* Questions to polkit under way for one user: a flood of them is that user's own affair. Root, of
 * whom nothing is asked, is not counted. */
#define AUTHORITY_USER_MAX   16u
#define AUTHORITY_CALLER_MAX 32u /* of one connection, before it is known whose it is */

typedef struct Authority Authority;

typedef struct {
    GDBusConnection *bus;
    const char *sender; /* unique name */
    const char *action; /* of polkit */
    bool interactive;   /* the caller lets polkit ask a person */
} AuthoritySpec;

/* `error` NULL: allowed; else G_DBUS_ERROR_ACCESS_DENIED or _LIMITS_EXCEEDED with a text for the
 * caller, or G_IO_ERROR_CANCELLED. From the main loop, exactly once. */
typedef void (*AuthorityDone)(uid_t uid, const GError *error, gpointer user_data);

Authority *authority_new(void);
/* What is under way ends with G_IO_ERROR_CANCELLED, when the main loop runs on. NULL is fine. */
void authority_free(Authority *authority);
void authority_ask(Authority *authority, const AuthoritySpec *spec, AuthorityDone done,
                   gpointer user_data);
