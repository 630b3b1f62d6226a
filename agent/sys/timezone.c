/*
 * timezone: see timezone.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/timezone.h"

char *timezone_now(int *ret_offset)
{
    /* Not g_time_zone_new_local(), which keeps what it read first for the life of the process. */
    g_autoptr(GTimeZone) zone = g_time_zone_new_identifier(g_getenv("TZ"));
    g_autoptr(GDateTime) now =
        zone ? g_date_time_new_now(zone) : g_date_time_new_now_utc(); /* a zone that is none */

    *ret_offset = (int)(g_date_time_get_utc_offset(now) / G_TIME_SPAN_SECOND);
    return g_strdup(g_date_time_get_timezone_abbreviation(now));
}
