/*
 * error: the agent's one GError domain.
 *
 * Codes say what the caller may do about it, not where it happened. Messages are one line, name the
 * thing that failed and what to do next; they reach the journal and, through text_line(), the host.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

typedef enum {
    AGENT_ERROR_FAILED,      /* nothing more specific */
    AGENT_ERROR_CONFIG,      /* a configuration value; the message starts with FILE:LINE */
    AGENT_ERROR_USAGE,       /* a command line option */
    AGENT_ERROR_UNAVAILABLE, /* a facility (keeper, port, ledger) is not there now */
    AGENT_ERROR_LIMIT,       /* a named limit was crossed */
    AGENT_ERROR_TIMED_OUT,   /* a deadline passed */
} AgentError;

#define AGENT_ERROR (agent_error_quark())
GQuark agent_error_quark(void);

/* Sets `error` (may be NULL) to "PREFIX: strerror(errno_value)". Returns FALSE, for
 * `return agent_error_errno(...)`. */
gboolean agent_error_errno(GError **error, AgentError code, int errno_value, const char *prefix,
                           ...) G_GNUC_PRINTF(4, 5);
