/*
 * test_bus_speed: a hundred applications at one order, on a private bus.
 *
 * They are served by a process of their own, as they would be: what is measured is the service's
 * fan-out and its taking of the answers. The best of some rounds counts, the machine may be busy.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bus_rig.h"
#include "coordinator_rig_requests.h"

#include "bus/bus.h"
#include "bus/interface.h"

#include <gio/gunixfdlist.h>
#include <glib-unix.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define APPLICATIONS   100u
#define PER_CONNECTION 10u /* REGISTRAR_CONNECTION_MAX is 16 */
#define ROUNDS         8u
#define AT_MOST_US     MSEC(50)

/* --- the applications' process -----------------------------------------------------------------
 */

static void asked(GDBusConnection *bus, const char *sender, const char *path, const char *interface,
                  const char *method, GVariant *context, GDBusMethodInvocation *invocation,
                  gpointer user_data)
{
    (void)bus;
    (void)sender;
    (void)path;
    (void)interface;
    (void)method;
    (void)context;
    (void)user_data;
    g_dbus_method_invocation_return_value(invocation, NULL);
}

static void register_applications(GDBusConnection *bus, unsigned first)
{
    static const GDBusInterfaceVTable VTABLE = {.method_call = asked};

    g_assert_cmpuint(g_dbus_connection_register_object(
                         bus, "/app", (GDBusInterfaceInfo *)&org_quiesced_participant1_interface,
                         &VTABLE, NULL, NULL, NULL),
                     !=, 0);
    for (unsigned i = first; i < first + PER_CONNECTION; i++) {
        g_autofree char *name = g_strdup_printf("app%u", i);
        g_autoptr(GUnixFDList) guard = NULL;
        g_autoptr(GError) error = NULL;
        g_autoptr(GVariant) reply = g_dbus_connection_call_with_unix_fd_list_sync(
            bus, BUS_NAME, "/org/quiesced", "org.quiesced.Manager1", "Register",
            g_variant_new("(soa{sv})", name, "/app", NULL), NULL, G_DBUS_CALL_FLAGS_NONE, 30000,
            NULL, &guard, NULL, &error);

        g_assert_no_error(error);
        g_assert_nonnull(reply);
        /* Ours for as long as the process lives. */
        g_assert_cmpint(g_unix_fd_list_get(guard, 0, NULL), >=, 0);
    }
}

static G_GNUC_NORETURN void be_applications(const BusRig *rig, int begin, int done)
{
    char byte = 0;

    g_assert_cmpint(read(begin, &byte, 1), ==, 1); /* the service has its name */
    for (unsigned first = 0; first < APPLICATIONS; first += PER_CONNECTION)
        register_applications(bus_rig_connect(rig, NULL), first);
    g_assert_cmpint(write(done, &byte, 1), ==, 1);
    for (;;)
        g_main_context_iteration(NULL, TRUE);
}

/* --- the service -------------------------------------------------------------------------------
 */

typedef struct {
    BusRig *bus;
    pid_t applications;
    int begin, done; /* pipes to and from them */
    bool acquired, registered;
    GDBusConnection *watcher;
} Progress;

static void on_name(GDBusConnection *bus, const char *name, const char *owner, gpointer user_data)
{
    (void)bus;
    (void)name;
    (void)owner;
    ((Progress *)user_data)->acquired = true;
}

static gboolean on_registered(int fd, GIOCondition condition, gpointer user_data)
{
    (void)fd;
    (void)condition;
    ((Progress *)user_data)->registered = true;
    return G_SOURCE_REMOVE;
}

/* From the first call of the verb to its last answer. */
static int64_t took(const Report *report, Verb verb)
{
    int64_t first_us = INT64_MAX, last_us = 0;

    g_assert_cmpuint(report->participants->len, ==, APPLICATIONS);
    for (unsigned i = 0; i < report->participants->len; i++) {
        const ReportParticipant *entry = g_ptr_array_index(report->participants, i);

        for (unsigned k = 0; k < entry->steps->len; k++) {
            const ReportStep *step = &g_array_index(entry->steps, ReportStep, k);

            g_assert_cmpint(step->result, ==, STEP_OK);
            if (step->verb != verb)
                continue;
            first_us = MIN(first_us, step->start_us);
            last_us = MAX(last_us, step->start_us + step->duration_us);
        }
    }
    return last_us - first_us;
}

static void measure(Rig *rig)
{
    int64_t best_us[VERB_COUNT] = {INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX};

    for (unsigned round = 0; round < ROUNDS; round++) {
        rig_hold(rig);
        rig_thaws(rig, 1);
        rig_settle(rig);
        for (Verb verb = VERB_PREPARE; verb <= VERB_THAW; verb++)
            best_us[verb] = MIN(best_us[verb], took(rig_report(rig), verb));
    }
    for (Verb verb = VERB_PREPARE; verb <= VERB_THAW; verb++) {
        g_test_message("%s of %u applications: %.1f ms", verb_name(verb), APPLICATIONS,
                       (double)best_us[verb] / USEC_PER_MSEC);
        if (!g_getenv("QUIESCED_SANITIZED"))
            g_assert_cmpint(best_us[verb], <=, AT_MOST_US);
    }
}

static void a_hundred_at_one_order(gconstpointer data)
{
    Progress *progress = (Progress *)data;
    g_autoptr(Rig) rig = rig_new("a");
    Bus *bus = NULL;
    guint watch;

    rig_start(rig);
    bus = bus_new(rig->log, rig->coordinator, rig->config);
    bus_start(bus);
    progress->watcher = bus_rig_connect(progress->bus, NULL);
    watch = g_bus_watch_name_on_connection(
        progress->watcher, BUS_NAME, G_BUS_NAME_WATCHER_FLAGS_NONE, on_name, NULL, progress, NULL);
    (void)g_unix_fd_add(progress->done, G_IO_IN, on_registered, progress);
    rig_await(rig, progress->acquired);
    g_assert_cmpint(write(progress->begin, "", 1), ==, 1);
    rig_await(rig, progress->registered);
    measure(rig);
    g_bus_unwatch_name(watch);
    bus_rig_disconnect(progress->watcher);
    rig_settle(rig);
    rig_end(rig);
    bus_free(bus);
}

/* Before GDBus has threads here, which a child would not have. */
static void start_applications(Progress *progress)
{
    int begin[2], done[2];

    g_assert_cmpint(pipe(begin), ==, 0);
    g_assert_cmpint(pipe(done), ==, 0);
    progress->applications = fork();
    g_assert_cmpint(progress->applications, >=, 0);
    if (progress->applications == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        be_applications(progress->bus, begin[0], done[1]);
    }
    close(begin[0]);
    close(done[1]);
    progress->begin = begin[1];
    progress->done = done[0];
}

int main(int argc, char **argv)
{
    Progress progress = {0};
    int status;

    g_test_init(&argc, &argv, NULL);
    progress.bus = bus_rig_new();
    if (!progress.bus) {
        g_print("1..0 # SKIP dbus-daemon is not installed\n");
        return 0;
    }
    start_applications(&progress);
    bus_rig_start(progress.bus);
    g_test_add_data_func("/bus/speed", &progress, a_hundred_at_one_order);
    status = g_test_run();
    g_assert_cmpint(kill(progress.applications, SIGKILL), ==, 0);
    g_assert_cmpint(waitpid(progress.applications, NULL, 0), ==, progress.applications);
    bus_rig_free(progress.bus);
    return status;
}
