/*
 * options: checks the a{sv} of a call before anything is taken from it.
 *
 * Who calls is not trusted: names, types, ranges, lengths and the size of the whole are checked,
 * and what is not known is an error, so that a misspelt option is not one that does nothing.
 * Errors are of G_DBUS_ERROR, for the caller.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gio/gio.h>
#include <stdbool.h>

#define OPTIONS_SIZE_MAX                                                                           \
    ((size_t)64 << 10)         /* arguments of one call; real ones have some hundreds */
#define OPTIONS_TEXT_MAX 4096u /* PATH_MAX: the longest is a mount point */

typedef struct {
    const char *name;
    const char *type;         /* "u" (any integer type is taken), "s" or "as" */
    unsigned min, max;        /* of a number; `max` also how many a list may have */
    const char *const *words; /* NULL terminated, the only texts there may be; NULL: any */
} OptionSpec;

bool options_check(GVariant *options, const OptionSpec *specs, unsigned n_specs, GError **error);
/* Of checked ones. */
unsigned options_number(GVariant *options, const char *name, unsigned otherwise);
const char *options_text(GVariant *options,
                         const char *name);               /* NULL: absent; as `options` lives */
char **options_list(GVariant *options, const char *name); /* NULL: absent */

/* Answers with it; what has no error name of D-Bus's own gets OPTIONS_ERROR_FAILED. */
#define OPTIONS_ERROR_FAILED "org.quiesced.Error.Failed"
void options_refuse(GDBusMethodInvocation *invocation, const GError *error);
