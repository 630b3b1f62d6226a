/*
 * bus_rig: see bus_rig.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bus_rig.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

BusRig *bus_rig_new(void)
{
    g_autofree char *program = g_find_program_in_path("dbus-daemon");
    g_autofree char *text = NULL;
    BusRig *rig = NULL;

    if (!program)
        return NULL;
    rig = g_new0(BusRig, 1);
    rig->top = g_dir_make_tmp("bus-XXXXXX", NULL);
    rig->config = g_build_filename(rig->top, "config", NULL);
    rig->socket = g_build_filename(rig->top, "socket", NULL);
    rig->address = g_strdup_printf("unix:path=%s", rig->socket);
    text = g_strdup_printf("<busconfig><listen>%s</listen><auth>EXTERNAL</auth>"
                           "<policy context='default'><allow send_destination='*'/>"
                           "<allow receive_sender='*'/><allow own='*'/><allow user='*'/>"
                           "</policy></busconfig>",
                           rig->address);
    g_assert_true(g_file_set_contents(rig->config, text, -1, NULL));
    g_assert_true(g_setenv("DBUS_SYSTEM_BUS_ADDRESS", rig->address, TRUE));
    return rig;
}

GDBusConnection *bus_rig_connect(const BusRig *rig, GError **error)
{
    return g_dbus_connection_new_for_address_sync(
        rig->address,
        G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
            G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
        NULL, NULL, error);
}

void bus_rig_disconnect(GDBusConnection *bus)
{
    (void)g_dbus_connection_close_sync(bus, NULL, NULL); /* the bus may be gone */
    g_object_unref(bus);
}

/* A test that aborts leaves no bus behind, whose open standard output somebody would wait for. */
static void bus_rig_child(gpointer data)
{
    (void)data;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}

void bus_rig_start(BusRig *rig)
{
    g_autofree char *option = g_strdup_printf("--config-file=%s", rig->config);
    char *argv[] = {(char *)"dbus-daemon", option, (char *)"--nofork", (char *)"--nopidfile", NULL};
    GDBusConnection *bus = NULL;

    g_assert_true(g_spawn_async(NULL, argv, NULL,
                                G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD |
                                    G_SPAWN_STDOUT_TO_DEV_NULL | G_SPAWN_STDERR_TO_DEV_NULL,
                                bus_rig_child, NULL, &rig->pid, NULL));
    for (int waited = 0; waited < BUS_RIG_START_MS && !bus; waited += 5) {
        bus = bus_rig_connect(rig, NULL);
        if (!bus)
            g_usleep(5000);
    }
    g_assert_nonnull(bus);
    bus_rig_disconnect(bus);
}

void bus_rig_stop(BusRig *rig)
{
    if (rig->pid == 0)
        return;
    g_assert_cmpint(kill(rig->pid, SIGKILL), ==, 0);
    g_assert_cmpint(waitpid(rig->pid, NULL, 0), ==, rig->pid);
    rig->pid = 0;
    (void)g_unlink(rig->socket);
}

void bus_rig_free(BusRig *rig)
{
    bus_rig_stop(rig);
    (void)g_unlink(rig->config);
    g_assert_cmpint(g_rmdir(rig->top), ==, 0);
    g_free(rig->top);
    g_free(rig->config);
    g_free(rig->socket);
    g_free(rig->address);
    g_free(rig);
}
