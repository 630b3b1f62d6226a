/*
 * member: a registered application as the Participant of one operation.
 *
 * A call is a D-Bus call with our own deadline; its reply is the acknowledgement, an error a
 * refusal. A reply after the deadline is noted in the log and changes nothing. The application
 * cannot be killed: abort may reach it while its freeze still runs, and it is told so.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bus/registration_internal.h"

#include "base/text.h"

#include <string.h>

#define INTERFACE "org.quiesced.Participant1"

typedef struct {
    BusMember *member; /* NULL: was answered without the reply */
    Registration *registration;
    Verb verb;
    Deadline deadline;
} Ask;

struct BusMember {
    Participant participant; /* first: the owner has a pointer to it */
    Registration *registration;
    Ask *ask; /* whose reply is waited for */
    Verb verb;
    bool running; /* a call is not answered yet */
    bool holds;
    int64_t asked_us;
    GSource *timer; /* the deadline, or an answer that is given from the main loop */
    StepOutcome early;
    ParticipantAnswered answered;
    gpointer user_data;
};

/* The reply, should it still come, finds nobody. */
static void let_go_of_reply(BusMember *self)
{
    if (self->ask)
        self->ask->member = NULL;
    self->ask = NULL;
}

/* The owner may free the participant in its callback: nothing is touched after it. */
static void answer(BusMember *self, const StepOutcome *outcome)
{
    deadline_source_clear(&self->timer);
    let_go_of_reply(self);
    self->running = false;
    if (self->verb == VERB_PREPARE || self->verb == VERB_FREEZE)
        self->holds = outcome->result == STEP_OK;
    self->answered(&self->participant, outcome, self->user_data);
}

static gboolean answer_early(gpointer user_data)
{
    BusMember *self = user_data;
    StepOutcome outcome = self->early;

    answer(self, &outcome);
    return G_SOURCE_REMOVE;
}

G_GNUC_PRINTF(3, 4)
static void answer_soon(BusMember *self, StepResult result, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    self->early = (StepOutcome){.result = result, .exit_code = -1};
    text_line(self->early.reason, sizeof self->early.reason, text, (size_t)-1);
    let_go_of_reply(self);
    deadline_source_clear(&self->timer);
    self->timer = deadline_source_new(deadline_in(0), answer_early, self);
}

static gboolean timed_out(gpointer user_data)
{
    BusMember *self = user_data;
    StepOutcome outcome = {.result = STEP_TIMED_OUT, .exit_code = -1};

    (void)g_snprintf(outcome.reason, sizeof outcome.reason, "timed out after %.1f s",
                     (double)(deadline_now() - self->asked_us) / USEC_PER_SEC);
    answer(self, &outcome);
    return G_SOURCE_REMOVE;
}

/* --- replies -----------------------------------------------------------------------------------
 */

static StepOutcome outcome_of_error(GError *error)
{
    StepOutcome outcome = {.result = STEP_FAILED, .exit_code = -1};
    bool remote = g_dbus_error_is_remote_error(error);
    g_autofree char *name = remote ? g_dbus_error_get_remote_error(error) : NULL;
    const char *text = NULL;

    /* What the bus itself says when there is nobody to answer. */
    if (g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_NO_REPLY) ||
        g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_SERVICE_UNKNOWN) ||
        g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_NAME_HAS_NO_OWNER)) {
        text = "left the bus before it answered";
    } else if (remote) {
        outcome.result = STEP_REFUSED;
        (void)g_dbus_error_strip_remote_error(error);
        text = *error->message ? error->message : name;
    } else {
        text = "the bus went away before it answered";
    }
    text_line(outcome.reason, sizeof outcome.reason, text, (size_t)-1);
    return outcome;
}

static void note_late(const Ask *ask)
{
    if (ask->registration->log && deadline_passed(ask->deadline))
        log_warning(ask->registration->log,
                    "%s: answered %s %.1f s after its deadline; that counts as no answer",
                    ask->registration->name, verb_name(ask->verb),
                    (double)(deadline_now() - ask->deadline.at_us) / USEC_PER_SEC);
}

static void on_reply(GObject *source, GAsyncResult *result, gpointer user_data)
{
    g_autofree Ask *ask = user_data;
    BusMember *self = ask->member;
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) reply =
        g_dbus_connection_call_finish(G_DBUS_CONNECTION(source), result, &error);
    StepOutcome outcome = {.result = STEP_OK, .exit_code = -1};

    if (!self) {
        if (reply || g_dbus_error_is_remote_error(error))
            note_late(ask);
        registration_unref(ask->registration);
        return;
    }
    registration_unref(ask->registration);
    self->ask = NULL;
    if (!reply)
        outcome = outcome_of_error(error);
    answer(self, &outcome);
}

/* --- the call ----------------------------------------------------------------------------------
 */

static GVariant *context_of(const BusMember *self, const VerbContext *context, Deadline deadline)
{
    static const char *const NONE[] = {NULL};
    GVariantBuilder builder;
    const char *const *mountpoints = context->mountpoints ? context->mountpoints : NONE;

    g_variant_builder_init(&builder, G_VARIANT_TYPE_VARDICT);
    g_variant_builder_add(&builder, "{sv}", "operation",
                          g_variant_new_string(context->operation ? context->operation : ""));
    g_variant_builder_add(&builder, "{sv}", "deadline-ms",
                          g_variant_new_uint64((guint64)(deadline_left(deadline) / USEC_PER_MSEC)));
    g_variant_builder_add(&builder, "{sv}", "mountpoints", g_variant_new_strv(mountpoints, -1));
    g_variant_builder_add(&builder, "{sv}", "rehearsal", g_variant_new_boolean(context->rehearsal));
    if (self->verb == VERB_COMPLETE)
        g_variant_builder_add(&builder, "{sv}", "success",
                              g_variant_new_boolean(context->success != 0));
    return g_variant_new("(a{sv})", &builder);
}

static void send_call(BusMember *self, const VerbContext *context, Deadline deadline)
{
    static const char *const METHODS[VERB_COUNT] = {
        [VERB_PREPARE] = "Prepare", [VERB_FREEZE] = "Freeze",     [VERB_THAW] = "Thaw",
        [VERB_ABORT] = "Abort",     [VERB_COMPLETE] = "Complete",
    };
    Registration *registration = self->registration;
    int64_t patience_us = MIN(deadline_left(deadline), G_MAXINT / 2) + REGISTRATION_LATE_US;

    self->ask = g_new0(Ask, 1);
    *self->ask = (Ask){self, registration_ref(registration), self->verb, deadline};
    self->timer = deadline_source_new(deadline, timed_out, self);
    g_dbus_connection_call(registration->bus, registration->sender, registration->object, INTERFACE,
                           METHODS[self->verb], context_of(self, context, deadline), NULL,
                           G_DBUS_CALL_FLAGS_NO_AUTO_START, (int)(patience_us / USEC_PER_MSEC),
                           registration->cancel, on_reply, self->ask);
}

static void member_call(Participant *participant, Verb verb, const VerbContext *context,
                        Deadline deadline, ParticipantAnswered answered, gpointer user_data)
{
    BusMember *self = (BusMember *)participant;
    Registration *registration = self->registration;

    g_return_if_fail(!self->running);
    self->running = true;
    self->verb = verb;
    self->asked_us = deadline_now();
    self->answered = answered;
    self->user_data = user_data;
    if (verb != VERB_PREPARE && verb != VERB_FREEZE)
        self->holds = false;
    if (registration->ended) {
        answer_soon(self, STEP_FAILED, "is not registered any more");
    } else if (registration->bus_gone) {
        answer_soon(self, STEP_FAILED,
                    "the bus it was registered on is gone; let go of its guard, which means Abort");
        registration_let_go(registration);
    } else {
        send_call(self, context, deadline);
    }
}

static void member_cancel(Participant *participant)
{
    BusMember *self = (BusMember *)participant;

    if (self->running)
        answer_soon(self, STEP_CANCELLED, "cancelled");
}

static bool member_busy(const Participant *participant)
{
    (void)participant; /* what it still does after its deadline is its own */
    return false;
}

static void member_verify(Participant *participant)
{
    registration_look(((BusMember *)participant)->registration);
}

static void member_free(Participant *participant)
{
    BusMember *self = (BusMember *)participant;

    deadline_source_clear(&self->timer);
    let_go_of_reply(self);
    registration_member_removed(self->registration, self);
    g_free(self);
}

void member_left(BusMember *self, const char *reason)
{
    StepOutcome lost = {.result = STEP_LOST, .exit_code = -1};

    if (self->running) {
        answer_soon(self, STEP_FAILED, "%s before it answered", reason);
        return;
    }
    if (!self->holds)
        return;
    self->holds = false;
    g_strlcpy(lost.reason, reason, sizeof lost.reason);
    if (self->participant.lost)
        self->participant.lost(&self->participant, &lost, self->participant.lost_data);
}

/* Not when its operation is over, which may keep it for the host's verdict. */
bool member_holds(const BusMember *self)
{
    return self->holds && self->participant.lost;
}

Participant *registration_join(Registration *registration)
{
    static const ParticipantOps OPS = {
        .call = member_call,
        .cancel = member_cancel,
        .busy = member_busy,
        .verify = member_verify,
        .free = member_free,
    };
    BusMember *self = g_new0(BusMember, 1);

    self->registration = registration;
    self->participant = (Participant){
        .ops = &OPS,
        .name = g_strdup(registration->name),
        .source = g_strdup_printf("%s %s", registration->sender, registration->object),
        .kind = PARTICIPANT_DBUS,
        .order = registration->order,
        .verbs = registration->verbs,
        .timeout_us = registration->timeout_us,
        .on_failure = registration->on_failure,
        .mountpoints = g_strdupv(registration->mountpoints),
    };
    registration_member_added(registration, self);
    return &self->participant;
}
