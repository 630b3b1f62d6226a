/*
 * settings: see settings.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/settings.h"

#include "sys/grace.h"
#include "sys/ledger_kept.h"
#include "sys/writeback.h"

#define EXPEDITED 1

bool settings_gentle(Ledger *ledger, const char *procfs)
{
    WritebackSettings now, gentle;

    if (settings_gentle_end(ledger, procfs) || !writeback_read(procfs, &now, NULL))
        return false;
    ledger_save_writeback(ledger, &now);
    gentle = writeback_gentle(&now);
    if (!writeback_apply(procfs, &gentle, NULL))
        return settings_gentle_end(ledger, procfs); /* half of it may be done */
    return true;
}

bool settings_gentle_end(Ledger *ledger, const char *procfs)
{
    WritebackSettings before, now, ours;

    if (!ledger_saved_writeback(ledger, &before))
        return false;
    if (!writeback_read(procfs, &now, NULL))
        return true;
    ours = writeback_gentle(&before);
    if (now.expire_cs != ours.expire_cs)
        before.expire_cs = -1;
    if (now.period_cs != ours.period_cs)
        before.period_cs = -1;
    if (!writeback_apply(procfs, &before, NULL))
        return true;
    ledger_clear_writeback(ledger);
    return false;
}

bool settings_expedite(Ledger *ledger, const char *sysfs)
{
    int32_t now;

    if (settings_expedite_end(ledger, sysfs) || !grace_read(sysfs, &now, NULL) || now > 0)
        return false;
    ledger_save_grace(ledger, now);
    if (!grace_apply(sysfs, EXPEDITED, NULL))
        return settings_expedite_end(ledger, sysfs);
    return true;
}

bool settings_expedite_end(Ledger *ledger, const char *sysfs)
{
    int32_t before, now;

    if (!ledger_saved_grace(ledger, &before))
        return false;
    if (!grace_read(sysfs, &now, NULL) || (now == EXPEDITED && !grace_apply(sysfs, before, NULL)))
        return true;
    ledger_clear_grace(ledger);
    return false;
}
