/*
 * events: what an operator's monitoring looks for in the journal; systemd/quiesced.catalog explains
 * each.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/log.h"
#include "quiesce/report.h"

#define EVENT_ID_FROZE       "5b6f0f8e41f9446c8a0b1f7e6a2d9c11"
#define EVENT_ID_THAWED      "5b6f0f8e41f9446c8a0b1f7e6a2d9c12"
#define EVENT_ID_FAILED      "5b6f0f8e41f9446c8a0b1f7e6a2d9c13"
#define EVENT_ID_LOST        "0f4b9a54b77b4b7fa2f0c6de1f3d62a1"
#define EVENT_ID_PARTICIPANT "c7a1f5d03e5f4c0f9d6b8e2a41b7f390"
#define EVENT_ID_RECOVERED   "e2b64c1d7f3a4f5b8c90ad13e6f7285b"

/* With OPERATION, LEVEL and, unless NULL, REASON. */
void event_operation(Log *log, LogLevel level, const char *id, const Report *report,
                     const char *reason, const char *text);
/* A participant failed, was refused or lost its hold: with OPERATION, PARTICIPANT, PHASE, REASON.
 */
void event_participant(Log *log, const Report *report, const char *participant, const char *phase,
                       const char *reason);
