/*
 * Tests of quiesce/machine: every state and event, against what must hold for all of them.
 *
 * The expectations are properties and one list with reasons, not a second copy of the table. Those
 * that speak of more than one step (each request is answered once, a verdict is told once, what is
 * held is released) are checked on every situation that can be reached: the state, and beside it
 * what the coordinator remembers.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/machine.h"

#include <glib.h>
#include <stdbool.h>

#define BIT(value)   (1u << (value))
#define OTHERS(bits) ((BIT(EVENT_COUNT) - 1u) & ~(bits))

/* --- single steps ------------------------------------------------------------------------------
 */

/* Which events cannot happen in a state, and why. */
static const struct {
    MachineState state;
    unsigned events;
    const char *reason;
} IMPOSSIBLE[] = {
    {STATE_THAWED, BIT(EVENT_PREPARED) | BIT(EVENT_HELD) | BIT(EVENT_FAIL) | BIT(EVENT_DETACH),
     "no freeze is under way that could get on, fail or be left"},
    {STATE_THAWED, BIT(EVENT_HOLD_LOST), "nobody holds"},
    {STATE_THAWED, BIT(EVENT_EXPIRE), "there is no verdict"},
    {STATE_PREPARING, BIT(EVENT_HELD), "filesystems are frozen in FREEZING only"},
    {STATE_PREPARING, BIT(EVENT_HOLD_LOST), "holds begin with the participants' freeze"},
    {STATE_PREPARING, BIT(EVENT_RELEASED), "no release has begun"},
    {STATE_PREPARING, BIT(EVENT_EXPIRE), "a freeze drops the verdict of the one before"},
    {STATE_FREEZING, BIT(EVENT_PREPARED), "it was"},
    {STATE_FREEZING, BIT(EVENT_RELEASED), "no release has begun"},
    {STATE_FREEZING, BIT(EVENT_EXPIRE), "a freeze drops the verdict of the one before"},
    {STATE_FROZEN, BIT(EVENT_PREPARED) | BIT(EVENT_HELD), "they were"},
    {STATE_FROZEN, BIT(EVENT_FAIL), "the freeze succeeded; what ends it now is a loss"},
    {STATE_FROZEN, BIT(EVENT_DETACH), "the freeze was answered"},
    {STATE_FROZEN, BIT(EVENT_RELEASED), "no release has begun"},
    {STATE_FROZEN, BIT(EVENT_EXPIRE), "there is no verdict"},
    {STATE_THAWING, BIT(EVENT_PREPARED) | BIT(EVENT_HELD) | BIT(EVENT_FAIL),
     "no freeze is under way"},
    {STATE_THAWING, BIT(EVENT_DETACH), "the freeze was answered"},
    {STATE_THAWING, BIT(EVENT_EXPIRE), "the thaw that gets the verdict is there"},
    {STATE_ABORTING, BIT(EVENT_PREPARED) | BIT(EVENT_HELD) | BIT(EVENT_FAIL),
     "the freeze has failed; what it does now is its release"},
    {STATE_ABORTING, BIT(EVENT_DETACH), "the freeze ends by itself in a moment"},
    {STATE_ABORTING, BIT(EVENT_EXPIRE), "there is no verdict"},
    {STATE_LOST, BIT(EVENT_PREPARED) | BIT(EVENT_HELD) | BIT(EVENT_FAIL), "no freeze is under way"},
    {STATE_LOST, BIT(EVENT_DETACH), "the freeze was answered"},
    {STATE_PREPARING, BIT(EVENT_RECOVER), "only once, at start"},
    {STATE_FREEZING, BIT(EVENT_RECOVER), "only once, at start"},
    {STATE_FROZEN, BIT(EVENT_RECOVER), "only once, at start"},
    {STATE_THAWING, BIT(EVENT_RECOVER), "only once, at start"},
    {STATE_ABORTING, BIT(EVENT_RECOVER), "only once, at start"},
    {STATE_LOST, BIT(EVENT_RECOVER), "only once, at start"},
};

static const char *why_impossible(MachineState state, MachineEvent event)
{
    const char *reason = NULL;

    for (unsigned i = 0; i < G_N_ELEMENTS(IMPOSSIBLE); i++)
        if (IMPOSSIBLE[i].state == state && (IMPOSSIBLE[i].events & BIT(event))) {
            g_assert_null(reason); /* one reason is enough */
            reason = IMPOSSIBLE[i].reason;
        }
    return reason;
}

static void test_what_cannot_happen_is_listed(void)
{
    for (MachineState state = 0; state < STATE_COUNT; state++)
        for (MachineEvent event = 0; event < EVENT_COUNT; event++) {
            MachineStep step = machine_step(state, event);
            const char *reason = why_impossible(state, event);

            if ((step.action == ACTION_INVALID) != (reason != NULL))
                g_error("%s in %s: %s", machine_event_name(event), machine_state_name(state),
                        reason ? reason : "has no entry");
            if (reason)
                g_assert_cmpint(step.next, ==, state);
            g_assert_cmpuint(step.next, <, STATE_COUNT);
        }
}

static void test_out_of_range_changes_nothing(void)
{
    const int values[] = {-1, STATE_COUNT, EVENT_COUNT, 99};

    for (unsigned i = 0; i < G_N_ELEMENTS(values); i++) {
        MachineStep step = machine_step((MachineState)values[i], EVENT_FREEZE);

        if ((unsigned)values[i] >= STATE_COUNT) {
            g_assert_cmpint(step.next, ==, (MachineState)values[i]);
            g_assert_cmpint(step.action, ==, ACTION_INVALID);
        }
        step = machine_step(STATE_FROZEN, (MachineEvent)values[i]);
        if ((unsigned)values[i] >= EVENT_COUNT) {
            g_assert_cmpint(step.next, ==, STATE_FROZEN);
            g_assert_cmpint(step.action, ==, ACTION_INVALID);
        }
    }
}

/* What each state may be entered by from another one. */
static void test_doors(void)
{
    static const unsigned DOORS[STATE_COUNT] = {
        [STATE_THAWED] = BIT(EVENT_RELEASED) | BIT(EVENT_EXPIRE),
        [STATE_PREPARING] = BIT(EVENT_FREEZE),
        [STATE_FREEZING] = BIT(EVENT_PREPARED),
        [STATE_FROZEN] = BIT(EVENT_HELD),
        [STATE_THAWING] = BIT(EVENT_THAW),
        [STATE_ABORTING] = OTHERS(BIT(EVENT_FREEZE) | BIT(EVENT_PREPARED) | BIT(EVENT_HELD)),
        [STATE_LOST] = BIT(EVENT_LOSE) | BIT(EVENT_HOLD_LOST) | BIT(EVENT_RECOVER),
    };

    for (MachineState state = 0; state < STATE_COUNT; state++)
        for (MachineEvent event = 0; event < EVENT_COUNT; event++) {
            MachineState next = machine_step(state, event).next;

            g_assert_true(next == state || (DOORS[next] & BIT(event)));
        }
}

/* Without the host: what the limit, a death or time alone can bring about. */
static void test_every_state_leads_to_thawed_without_the_host(void)
{
    static const MachineEvent ALWAYS[] = {EVENT_LOSE, EVENT_RELEASED, EVENT_EXPIRE};

    for (MachineState start = 0; start < STATE_COUNT; start++) {
        unsigned reached = BIT(start), before;

        do {
            before = reached;
            for (MachineState state = 0; state < STATE_COUNT; state++)
                for (unsigned i = 0; i < G_N_ELEMENTS(ALWAYS) && (reached & BIT(state)); i++)
                    reached |= BIT(machine_step(state, ALWAYS[i]).next);
        } while (reached != before);
        g_assert_true(reached & BIT(STATE_THAWED));
        g_assert_true(start == STATE_FROZEN || !(reached & BIT(STATE_FROZEN)));
    }
}

/* The host alone: one thaw and the end of its release. */
static void test_a_thaw_leads_to_thawed_from_everywhere(void)
{
    for (MachineState state = 0; state < STATE_COUNT; state++) {
        MachineState now = machine_step(state, EVENT_THAW).next;

        g_assert_cmpint(machine_step(now, EVENT_RELEASED).next, ==, STATE_THAWED);
    }
}

static void test_freeze_and_thaw_get_an_answer_everywhere(void)
{
    for (MachineState state = 0; state < STATE_COUNT; state++) {
        g_assert_cmpint(machine_step(state, EVENT_FREEZE).action, >, ACTION_NONE);
        g_assert_cmpint(machine_step(state, EVENT_THAW).action, >, ACTION_NONE);
    }
}

/* --- situations --------------------------------------------------------------------------------
 */

/* What the coordinator remembers beside the state. */
typedef struct {
    MachineState state;
    bool freeze_waits; /* a freeze was not answered yet */
    bool thaw_waits;
    bool verdict; /* pending */
    bool held;    /* participants were called or filesystems frozen */
    bool releasing;
} Situation;

#define SITUATIONS (STATE_COUNT << 5)

static unsigned number_of(Situation s)
{
    return (unsigned)s.state << 5 | (unsigned)s.freeze_waits << 4 | (unsigned)s.thaw_waits << 3 |
           (unsigned)s.verdict << 2 | (unsigned)s.held << 1 | (unsigned)s.releasing;
}

static Situation situation(unsigned number)
{
    return (Situation){
        .state = (MachineState)(number >> 5),
        .freeze_waits = number & 16,
        .thaw_waits = number & 8,
        .verdict = number & 4,
        .held = number & 2,
        .releasing = number & 1,
    };
}

/* When the coordinator sends which event; written down without a look at the table. */
static bool can_happen(Situation s, MachineEvent event, bool at_start)
{
    bool under_way = s.state == STATE_PREPARING || s.state == STATE_FREEZING;

    switch (event) {
    case EVENT_FREEZE: /* a second one while one waits is refused before */
        return s.state != STATE_PREPARING || !s.freeze_waits;
    case EVENT_PREPARED:
        return s.state == STATE_PREPARING && s.freeze_waits;
    case EVENT_HELD:
        return s.state == STATE_FREEZING;
    case EVENT_FAIL:
        return under_way;
    case EVENT_DETACH:
        return under_way && s.freeze_waits;
    case EVENT_RELEASED: /* also at once, for a thaw that finds everything released */
        return s.releasing || s.state == STATE_THAWING;
    case EVENT_HOLD_LOST:
        return s.held && s.state != STATE_THAWED && s.state != STATE_PREPARING;
    case EVENT_RECOVER:
        return at_start;
    case EVENT_EXPIRE: /* what HOLD_LOST left frozen has its own limit, which is earlier */
        return s.state == STATE_LOST && (!s.held || s.releasing);
    default: /* THAW and LOSE: the host's and the world's */
        return true;
    }
}

static Situation act(Situation s, MachineEvent event, MachineAction action)
{
    switch (action) {
    case ACTION_START: /* a verdict, and what is still being released, is not its own */
        s.verdict = s.releasing = false;
        s.held = true;
        G_GNUC_FALLTHROUGH;
    case ACTION_JOIN:
        g_assert_false(s.freeze_waits); /* or one of the two would never be answered */
        s.freeze_waits = true;
        break;
    case ACTION_ANSWER_FROZEN:
    case ACTION_ASK_AGAIN:
        g_assert_true(s.freeze_waits); /* or it would be answered twice */
        s.freeze_waits = false;
        break;
    case ACTION_RELEASE:
    case ACTION_ROLL_BACK:
        s.releasing = true;
        s.thaw_waits = s.thaw_waits || event == EVENT_THAW;
        break;
    case ACTION_JOIN_THAW:
        s.thaw_waits = true;
        break;
    case ACTION_LOSE:
    case ACTION_NOTE_LOSS:
        s.releasing = s.releasing || action == ACTION_LOSE;
        s.verdict = true;
        break;
    case ACTION_FINISH: /* answers everybody; a verdict goes to the thaw */
        g_assert_true(!s.verdict || s.thaw_waits);
        s.freeze_waits = s.thaw_waits = s.verdict = false;
        break;
    case ACTION_FORGET:
        s.verdict = false;
        break;
    default:
        break;
    }
    if (event == EVENT_RELEASED)
        s.held = s.releasing = false;
    return s;
}

static void must_be_sound(Situation s)
{
    bool rests = s.state == STATE_THAWED || s.state == STATE_LOST || s.state == STATE_FROZEN;
    bool released =
        s.state == STATE_THAWED || s.state == STATE_THAWING || s.state == STATE_ABORTING;

    if (rests) /* nobody waits for something that does not come */
        g_assert_false(s.freeze_waits || s.thaw_waits);
    if (s.state == STATE_FREEZING) /* nothing is frozen for nobody */
        g_assert_true(s.freeze_waits);
    if (s.state == STATE_LOST)
        g_assert_true(s.verdict);
    else if (s.state != STATE_THAWING)
        g_assert_false(s.verdict);
    if (released) /* somebody sees to it that what is held does not stay so */
        g_assert_true(!s.held || s.releasing);
    if (s.state == STATE_PREPARING || s.state == STATE_FREEZING || s.state == STATE_FROZEN)
        g_assert_true(s.held && !s.releasing);
}

/* Marks every situation that can be reached, and every cell of the table that was used. */
static void explore(bool reached[SITUATIONS], unsigned used[STATE_COUNT])
{
    unsigned todo[SITUATIONS], n_todo = 1;

    todo[0] = number_of((Situation){.state = STATE_THAWED});
    reached[todo[0]] = true;
    while (n_todo > 0) {
        unsigned number = todo[--n_todo];
        Situation now = situation(number);

        for (MachineEvent event = 0; event < EVENT_COUNT; event++) {
            MachineStep step = machine_step(now.state, event);
            Situation next;

            if (!can_happen(now, event, number == number_of((Situation){.state = STATE_THAWED})))
                continue;
            if (step.action == ACTION_INVALID)
                g_error("%s can happen in %s", machine_event_name(event),
                        machine_state_name(now.state));
            used[now.state] |= BIT(event);
            next = act(now, event, step.action);
            next.state = step.next;
            must_be_sound(next);
            if (!reached[number_of(next)])
                todo[n_todo++] = number_of(next);
            reached[number_of(next)] = true;
        }
    }
}

static void test_every_request_is_answered_once_and_every_verdict_told(void)
{
    bool reached[SITUATIONS] = {false};
    unsigned used[STATE_COUNT] = {0}, states = 0;

    explore(reached, used);
    for (unsigned i = 0; i < SITUATIONS; i++)
        if (reached[i])
            states |= BIT(situation(i).state);
    g_assert_cmpuint(states, ==, BIT(STATE_COUNT) - 1u);
    /* And no entry of the table is for something that never happens. */
    for (MachineState state = 0; state < STATE_COUNT; state++)
        for (MachineEvent event = 0; event < EVENT_COUNT; event++)
            g_assert_cmpint(!(used[state] & BIT(event)), ==,
                            machine_step(state, event).action == ACTION_INVALID);
}

/* Who waits for a release hears its end, whatever happens in between. */
static void test_a_release_that_ends_answers_who_waits(void)
{
    bool reached[SITUATIONS] = {false};
    unsigned used[STATE_COUNT] = {0};

    explore(reached, used);
    for (unsigned i = 0; i < SITUATIONS; i++) {
        Situation now = situation(i);

        if (reached[i] && (now.thaw_waits || (now.freeze_waits && now.releasing)))
            g_assert_cmpint(machine_step(now.state, EVENT_RELEASED).action, ==, ACTION_FINISH);
    }
}

/* --- names -------------------------------------------------------------------------------------
 */

static void test_names(void)
{
    g_autoptr(GHashTable) names = g_hash_table_new(g_str_hash, g_str_equal);

    for (MachineState state = 0; state < STATE_COUNT; state++)
        g_assert_true(g_hash_table_add(names, (gpointer)machine_state_name(state)));
    for (MachineEvent event = 0; event < EVENT_COUNT; event++)
        g_assert_true(g_hash_table_add(names, (gpointer)machine_event_name(event)));
    g_assert_false(g_hash_table_contains(names, "invalid"));
    g_assert_cmpstr(machine_state_name(STATE_ABORTING), ==, "aborting");
    g_assert_cmpstr(machine_state_name((MachineState)99), ==, "invalid");
    g_assert_cmpstr(machine_event_name((MachineEvent)-1), ==, "invalid");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/machine/what_cannot_happen_is_listed", test_what_cannot_happen_is_listed);
    g_test_add_func("/machine/out_of_range_changes_nothing", test_out_of_range_changes_nothing);
    g_test_add_func("/machine/doors", test_doors);
    g_test_add_func("/machine/every_state_leads_to_thawed_without_the_host",
                    test_every_state_leads_to_thawed_without_the_host);
    g_test_add_func("/machine/a_thaw_leads_to_thawed_from_everywhere",
                    test_a_thaw_leads_to_thawed_from_everywhere);
    g_test_add_func("/machine/freeze_and_thaw_get_an_answer_everywhere",
                    test_freeze_and_thaw_get_an_answer_everywhere);
    g_test_add_func("/machine/every_request_is_answered_once_and_every_verdict_told",
                    test_every_request_is_answered_once_and_every_verdict_told);
    g_test_add_func("/machine/a_release_that_ends_answers_who_waits",
                    test_a_release_that_ends_answers_who_waits);
    g_test_add_func("/machine/names", test_names);
    return g_test_run();
}
