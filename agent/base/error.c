/*
 * error: see error.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "base/error.h"

/* Threads make errors too; the macro's own would race. */
GQuark agent_error_quark(void)
{
    static gsize quark;

    if (g_once_init_enter(&quark))
        g_once_init_leave(&quark, g_quark_from_static_string("agent-error-quark"));
    return (GQuark)quark;
}

gboolean agent_error_errno(GError **error, AgentError code, int errno_value, const char *prefix,
                           ...)
{
    va_list args;
    g_autofree char *text = NULL;

    va_start(args, prefix);
    text = g_strdup_vprintf(prefix, args);
    va_end(args);
    g_set_error(error, AGENT_ERROR, (int)code, "%s: %s", text, g_strerror(errno_value));
    return FALSE;
}
