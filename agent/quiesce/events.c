/*
 * events: see events.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/events.h"

void event_operation(Log *log, LogLevel level, const char *id, const Report *report,
                     const char *reason, const char *text)
{
    const char *fields[] = {
        "OPERATION", report->operation, "LEVEL", level_name(report->level), "REASON", reason, NULL};

    log_event(log, level, id, fields, "%s", text);
}

void event_participant(Log *log, const Report *report, const char *participant, const char *phase,
                       const char *reason)
{
    const char *fields[] = {"OPERATION", report->operation, "PARTICIPANT", participant, "PHASE",
                            phase,       "REASON",          reason,        NULL};

    log_event(log, LOG_WARNING, EVENT_ID_PARTICIPANT, fields,
              "%s: %s failed: %s; look at the application", participant, phase, reason);
}
