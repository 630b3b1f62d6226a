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

typedef struct {
    GDBusConnection *bus;
    const char *sender; /* unique name */
    const char *action; /* of polkit */
    bool interactive;   /* the caller lets polkit ask a person */
} AuthoritySpec;

/* `error` NULL: allowed; else G_DBUS_ERROR_ACCESS_DENIED with a text for the caller, or
 * G_IO_ERROR_CANCELLED. From the main loop, exactly once. */
typedef void (*AuthorityDone)(uid_t uid, const GError *error, gpointer user_data);

void authority_ask(const AuthoritySpec *spec, GCancellable *cancel, AuthorityDone done,
                   gpointer user_data);
