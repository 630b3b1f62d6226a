/*
 * keeper_rig_files: see keeper_rig_files.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "keeper_rig_files.h"

#include <glib/gstdio.h>
#include <unistd.h>

char *rig_path(const Rig *rig, unsigned index, const char *name)
{
    return g_strdup_printf("%s/%03u/%s", rig->top, index, name);
}

void rig_write(const Rig *rig, unsigned index, const char *name, const char *text)
{
    g_autofree char *path = rig_path(rig, index, name);

    g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

bool rig_frozen(const Rig *rig, unsigned index)
{
    g_autofree char *path = rig_path(rig, index, ".frozen");

    return g_access(path, F_OK) == 0;
}

bool rig_thawed_within(const Rig *rig, unsigned index, int ms)
{
    for (int waited = 0; waited < ms && rig_frozen(rig, index); waited += 5)
        g_usleep(5000);
    return !rig_frozen(rig, index);
}

RigCall rig_call(const Rig *rig, unsigned index, const char *verb)
{
    g_autofree char *path = rig_path(rig, index, ".calls");
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    RigCall call = {0};

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return call;
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        g_auto(GStrv) words = g_strsplit(*line, " ", -1);

        if (g_strv_length(words) != 4 || !g_str_equal(words[0], verb))
            continue;
        call.start = g_ascii_strtoll(words[1], NULL, 10);
        call.end = g_ascii_strtoll(words[2], NULL, 10);
        g_strlcpy(call.result, words[3], sizeof call.result);
        call.calls++;
    }
    return call;
}

KeeperFilesystemState rig_state(const Rig *rig, unsigned index)
{
    KeeperLedgerFilesystem *list = (KeeperLedgerFilesystem *)(rig->ledger + 1);

    return (KeeperFilesystemState)__atomic_load_n(&list[index].state, __ATOMIC_ACQUIRE);
}

void rig_await(const Rig *rig, unsigned index, KeeperFilesystemState state)
{
    for (int waited = 0; waited < RIG_WAIT_MS && rig_state(rig, index) != state; waited++)
        g_usleep(1000);
    g_assert_cmpint(rig_state(rig, index), ==, state);
}
