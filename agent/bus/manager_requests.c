/*
 * manager_requests: Freeze and Thaw, from the call to its answer.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bus/manager_internal.h"

#include "bus/leaving.h"
#include "bus/options.h"
#include "quiesce/json.h"
#include "quiesce/plan.h"

#include <string.h>

#define ACTION_FREEZE "org.quiesced.freeze"
#define ACTION_THAW   "org.quiesced.thaw"

typedef struct {
    Manager *manager;                  /* NULL: gone; the answer of authority ends it */
    GDBusMethodInvocation *invocation; /* given away with the answer */
    GVariant *options;
    bool freezes;
    bool asked;       /* the coordinator has it and will answer */
    bool left;        /* its caller did, before that */
    Leaving *leaving; /* a freeze whose caller leaves is undone */
} Request;

static void request_free(Request *request)
{
    leaving_free(request->leaving);
    if (request->manager)
        g_ptr_array_remove_fast(request->manager->requests, request);
    g_variant_unref(request->options);
    g_free(request);
}

static void fail(Request *request, const char *text)
{
    manager_return_failed(g_steal_pointer(&request->invocation), text);
    request_free(request);
}

/* --- answers -----------------------------------------------------------------------------------
 */

static void answered(const Answer *answer, gpointer user_data)
{
    Request *request = user_data;
    Coordinator *coordinator = request->manager->spec.coordinator;

    if (answer->kind != ANSWER_OK) {
        fail(request, answer->kind == ANSWER_FROZEN
                          ? "quiesce failed: agent: prepare: frozen already; thaw first"
                          : answer->text);
        return;
    }
    manager_return_json(g_steal_pointer(&request->invocation),
                        request->freezes ? quiesce_freeze_json(coordinator, answer)
                                         : quiesce_thaw_json(answer));
    request_free(request);
}

/* Nobody is there who would thaw what is being frozen. */
static void caller_left(gpointer user_data)
{
    Request *request = user_data;

    request->left = true;
    if (request->asked)
        coordinator_lose(request->manager->spec.coordinator, ENDED_BY_ROLLBACK,
                         "who asked for the freeze left the bus");
}

void manager_callers_left(Manager *self)
{
    g_autoptr(GPtrArray) requests = g_ptr_array_copy(self->requests, NULL, NULL);

    for (unsigned i = 0; i < requests->len; i++) {
        Request *request = g_ptr_array_index(requests, i);

        if (g_ptr_array_find(self->requests, request, NULL) && request->freezes)
            caller_left(request);
    }
}

/* --- requests ----------------------------------------------------------------------------------
 */

static int level_of(GVariant *options)
{
    const char *level = options_text(options, "level");

    for (int i = LEVEL_CRASH; level && i <= LEVEL_APPLICATION; i++)
        if (strcmp(level, level_name((Level)i)) == 0)
            return i;
    return -1;
}

static void run_freeze(Request *request)
{
    g_auto(GStrv) mountpoints = options_list(request->options, "mountpoints");
    FreezeRequest freeze = {
        .mountpoints = mountpoints,
        .limit_us = (int64_t)options_number(request->options, "frozen-limit-ms", 0) * USEC_PER_MSEC,
        .budget_us = (int64_t)options_number(request->options, "budget-ms", 0) * USEC_PER_MSEC,
        .level = level_of(request->options),
        .rehearsal = g_strcmp0(options_text(request->options, "filesystems"), "none") == 0,
    };

    coordinator_freeze(request->manager->spec.coordinator, &freeze, answered, request);
}

static void on_authority(uid_t uid, const GError *denial, gpointer user_data)
{
    Request *request = user_data;

    if (denial) {
        options_refuse(g_steal_pointer(&request->invocation), denial);
        request_free(request);
        return;
    }
    if (!request->manager || request->left) {
        fail(request, "the service ends, or its caller left");
        return;
    }
    request->asked = true;
    if (request->freezes)
        run_freeze(request);
    else
        coordinator_thaw_local(request->manager->spec.coordinator,
                               options_text(request->options, "operation"), uid, answered, request);
}

static void ask_authority(Manager *self, GDBusMethodInvocation *invocation, GVariant *options,
                          bool freezes)
{
    Request *request = NULL;
    AuthoritySpec ask = {
        .bus = g_dbus_method_invocation_get_connection(invocation),
        .sender = g_dbus_method_invocation_get_sender(invocation),
        .action = freezes ? ACTION_FREEZE : ACTION_THAW,
        .interactive = (g_dbus_message_get_flags(g_dbus_method_invocation_get_message(invocation)) &
                        G_DBUS_MESSAGE_FLAGS_ALLOW_INTERACTIVE_AUTHORIZATION) != 0,
    };

    request = g_new0(Request, 1);
    *request = (Request){
        .manager = self,
        .invocation = invocation,
        .options = g_variant_ref(options),
        .freezes = freezes,
    };
    g_ptr_array_add(self->requests, request);
    if (freezes)
        request->leaving = leaving_new(ask.bus, ask.sender, caller_left, request);
    authority_ask(self->spec.authority, &ask, on_authority, request);
}

static void checked(Manager *self, GDBusMethodInvocation *invocation, const OptionSpec *specs,
                    unsigned n_specs, bool freezes)
{
    g_autoptr(GVariant) options =
        g_variant_get_child_value(g_dbus_method_invocation_get_parameters(invocation), 0);
    g_autoptr(GError) error = NULL;

    if (options_check(options, specs, n_specs, &error))
        ask_authority(self, invocation, options, freezes);
    else
        options_refuse(invocation, error);
}

void manager_freeze(Manager *self, GDBusMethodInvocation *invocation)
{
    static const char *const FILESYSTEMS[] = {"all", "none", NULL};
    static const char *const LEVELS[] = {"application", "filesystem", "crash", NULL};
    unsigned limit_ms =
        (unsigned)MIN(self->spec.config->quiesce.frozen_limit_max_us / USEC_PER_MSEC, G_MAXUINT);
    const OptionSpec specs[] = {
        {"filesystems", "s", 0, 0, FILESYSTEMS},
        {"mountpoints", "as", 0, PLAN_MOUNTPOINTS_MAX, NULL},
        {"frozen-limit-ms", "u", 1, limit_ms, NULL},
        {"budget-ms", "u", 1, G_MAXUINT, NULL},
        {"level", "s", 0, 0, LEVELS},
    };

    checked(self, invocation, specs, G_N_ELEMENTS(specs), true);
}

void manager_thaw(Manager *self, GDBusMethodInvocation *invocation)
{
    static const OptionSpec SPECS[] = {{"operation", "s", 0, 0, NULL}};

    checked(self, invocation, SPECS, G_N_ELEMENTS(SPECS), false);
}

/* Those the coordinator had are not answered by it any more; the others end with authority's. */
void manager_drop_requests(Manager *self)
{
    while (self->requests->len > 0) {
        Request *request = g_ptr_array_index(self->requests, self->requests->len - 1);

        g_ptr_array_remove_index(self->requests, self->requests->len - 1);
        request->manager = NULL;
        if (request->asked)
            fail(request, "the service ends");
    }
}
