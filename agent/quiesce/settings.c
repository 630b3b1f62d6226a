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

    settings_gentle_end(ledger, procfs);
    if (ledger_saved_writeback(ledger, &now) || !writeback_read(procfs, &now, NULL))
        return false;
    ledger_save_writeback(ledger, &now);
    gentle = writeback_gentle(&now);
    if (!writeback_apply(procfs, &gentle, NULL))
        settings_gentle_end(ledger, procfs); /* of which half may be done */
    return ledger_saved_writeback(ledger, &now);
}

void settings_gentle_end(Ledger *ledger, const char *procfs)
{
    WritebackSettings before, now, ours;

    if (!ledger_saved_writeback(ledger, &before) || !writeback_read(procfs, &now, NULL))
        return;
    ours = writeback_gentle(&before);
    if (now.expire_cs != ours.expire_cs)
        before.expire_cs = -1;
    if (now.period_cs != ours.period_cs)
        before.period_cs = -1;
    if (writeback_apply(procfs, &before, NULL))
        ledger_clear_writeback(ledger);
}

bool settings_expedite(Ledger *ledger, const char *sysfs)
{
    int32_t now;

    settings_expedite_end(ledger, sysfs);
    if (ledger_saved_grace(ledger, &now) || !grace_read(sysfs, &now, NULL) || now > 0)
        return false;
    ledger_save_grace(ledger, now);
    if (!grace_apply(sysfs, EXPEDITED, NULL))
        settings_expedite_end(ledger, sysfs);
    return ledger_saved_grace(ledger, &now);
}

void settings_expedite_end(Ledger *ledger, const char *sysfs)
{
    int32_t before, now;

    if (!ledger_saved_grace(ledger, &before) || !grace_read(sysfs, &now, NULL))
        return;
    if (now != EXPEDITED || grace_apply(sysfs, before, NULL))
        ledger_clear_grace(ledger);
}
