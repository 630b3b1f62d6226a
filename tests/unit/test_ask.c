/*
 * Tests of commands/ask: who waits, for how long, and what is answered instead.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "commands/ask.h"
#include "offload_rig.h"
#include "sys/thaw.h"

#include <stdlib.h>
#include <string.h>

/* The commands pull the coordinator in; no test program contains the real one. */
int thaw_filesystem(int fd)
{
    (void)fd;
    g_assert_not_reached();
}

static unsigned gathered; /* how often; under the gate's lock */

static json_t *gather_number(const AskPaths *paths, GPtrArray *names, GError **error)
{
    (void)paths;
    (void)names;
    (void)error;
    gate_pass();
    gate_count(&gathered);
    return json_pack("{s:i}", "number", (int)gate_read(&gathered));
}

static json_t *gather_failure(const AskPaths *paths, GPtrArray *names, GError **error)
{
    (void)names;
    g_set_error(error, AGENT_ERROR, AGENT_ERROR_FAILED, "%s is gone", paths->sysfs);
    return NULL;
}

static bool probe_length(const char *name, void *answer)
{
    if (strcmp(name, "hang") == 0)
        gate_pass();
    *(size_t *)answer = strlen(name);
    return true;
}

static void add_length(json_t *element, const void *answer)
{
    (void)json_object_set_new(element, "length", json_integer((json_int_t) * (size_t *)answer));
}

static json_t *gather_list(const AskPaths *paths, GPtrArray *names, GError **error)
{
    (void)paths;
    (void)error;
    g_ptr_array_add(names, g_strdup("ab"));
    g_ptr_array_add(names, g_strdup("hang"));
    g_ptr_array_add(names, g_strdup("abc"));
    return json_pack("[{}, {}, {}]");
}

static const Question NUMBER = {.name = "number", .gather = gather_number};
static const Question KEPT = {.name = "kept", .gather = gather_number, .remember = true};
static const Question DISK = {.name = "disk", .gather = gather_number, .disk = true};
static const Question FAILURE = {.name = "failure", .gather = gather_failure};
static const Question LIST = {.name = "list",
                              .gather = gather_list,
                              .probe = probe_length,
                              .answer_size = sizeof(size_t),
                              .add = add_length};

typedef struct {
    unsigned answers;
    char *text; /* of the last reply line */
    int64_t took_us, began_us;
} Reply;

static void on_answer(Call *call, char *bytes, size_t length, gpointer user_data)
{
    Reply *reply = user_data;

    (void)call;
    reply->answers++;
    reply->took_us = deadline_now() - reply->began_us;
    g_free(reply->text);
    reply->text = g_strndup(bytes, length);
    free(bytes);
}

static const Command COMMAND = {.name = "guest-get-it"};

static Asker *rig_asker(void)
{
    static const AskPaths PATHS = {"mountinfo", "sysfs", "procfs", "run"};

    gathered = 0;
    return asker_new(&PATHS);
}

static void ask_it(Asker *asker, const Question *question, bool frozen, Reply *reply)
{
    Request request = {0};

    *reply = (Reply){.began_us = deadline_now()};
    ask(asker, question, call_new(NULL, &COMMAND, &request, "test", on_answer, reply), frozen);
}

static void assert_reply(Reply *reply, const char *text)
{
    run_until(reply->answers == 1);
    g_assert_nonnull(strstr(reply->text, text));
    g_clear_pointer(&reply->text, g_free);
}

static void all_who_ask_at_once_share_an_answer(void)
{
    Before state = before();
    Asker *asker = rig_asker();
    Reply first, second, third;

    ask_it(asker, &NUMBER, true, &first); /* no disk: asked while frozen */
    ask_it(asker, &NUMBER, false, &second);
    run_until(gate_read(&gate.entered) == 1);
    gate_set(true);
    assert_reply(&first, "{\"number\": 1}");
    assert_reply(&second, "{\"number\": 1}");
    ask_it(asker, &NUMBER, false, &third);
    assert_reply(&third, "{\"number\": 2}");
    asker_free(asker);
    assert_clean(state);
}

static void what_is_late_is_answered_from_memory(void)
{
    Before state = before();
    Asker *asker = rig_asker();
    Reply reply, second;

    gate_set(true);
    ask_it(asker, &KEPT, false, &reply);
    assert_reply(&reply, "{\"number\": 1}");
    gate_set(false);
    ask_it(asker, &KEPT, false, &reply);
    run_until(gate_read(&gate.entered) == 1);
    assert_reply(&reply, "{\"number\": 1}");
    g_assert_cmpint(reply.took_us, >=, ASK_FRESH_US / 2);
    g_assert_cmpint(reply.took_us, <, ASK_PATIENCE_US);
    /* Known to be late: nobody waits, and there is one thread. */
    ask_it(asker, &KEPT, false, &second);
    g_assert_cmpuint(second.answers, ==, 1);
    assert_reply(&second, "{\"number\": 1}");
    g_assert_cmpuint(gate_read(&gate.entered), ==, 1);
    gate_set(true);
    run_until(gate_read(&gathered) == 2);
    /* As soon as the loop hears of it. */
    for (bool old = true; old;) {
        ask_it(asker, &KEPT, false, &reply);
        run_until(reply.answers == 1);
        old = strstr(reply.text, "{\"number\": 1}") != NULL;
        g_free(reply.text);
        (void)g_main_context_iteration(NULL, FALSE);
    }
    asker_free(asker);
    assert_clean(state);
}

static void nothing_known_is_an_error_in_time(void)
{
    Before state = before();
    Asker *asker = rig_asker();
    Reply reply;

    ask_it(asker, &NUMBER, false, &reply);
    run_until(reply.answers == 1);
    g_assert_true(g_regex_match_simple("answered for [3-9]\\.", reply.text, 0, 0));
    assert_reply(&reply, "guest-get-it: the system has not answered for ");
    ask_it(asker, &NUMBER, false, &reply);
    g_assert_cmpuint(reply.answers, ==, 1);
    assert_reply(&reply, "has not answered for");
    g_assert_cmpuint(gate_read(&gate.entered), ==, 1);
    asker_free(asker);
    assert_clean(state);
}

static void frozen_means_from_memory(void)
{
    Before state = before();
    Asker *asker = rig_asker();
    Reply reply;

    gate_set(true);
    ask_it(asker, &DISK, true, &reply);
    assert_reply(&reply, "Command guest-get-it has been disabled: the agent is in frozen state");
    g_assert_cmpuint(gate_read(&gathered), ==, 0);
    ask_ahead(asker, &DISK);
    run_until(gate_read(&gathered) == 1);
    ask_it(asker, &DISK, false, &reply);
    run_until(reply.answers == 1);
    g_free(reply.text);
    gate_set(false);
    ask_it(asker, &DISK, true, &reply);
    g_assert_cmpuint(reply.answers, ==, 1);
    assert_reply(&reply, "{\"number\": ");
    g_assert_cmpuint(gate_read(&gate.entered), ==, 0);
    asker_free(asker);
    assert_clean(state);
}

static void a_failure_is_told_and_not_kept(void)
{
    Before state = before();
    Asker *asker = rig_asker();
    Reply reply;

    ask_it(asker, &FAILURE, false, &reply);
    assert_reply(&reply, "\"sysfs is gone\"");
    ask_it(asker, &FAILURE, false, &reply);
    assert_reply(&reply, "\"sysfs is gone\"");
    asker_free(asker);
    assert_clean(state);
}

/* Who was not begun in time on a slow machine is there the next time. */
static void ask_until(Asker *asker, const char *text)
{
    bool whole = false;
    Reply reply;

    for (unsigned i = 0; i < 100 && !whole; i++) {
        ask_it(asker, &LIST, false, &reply);
        run_until(reply.answers == 1);
        whole = strstr(reply.text, text) != NULL;
        assert_reply(&reply, "[{");
    }
    g_assert_true(whole);
}

static void a_list_is_complete_but_for_what_hangs(void)
{
    static const char WITHOUT_THE_ONE[] = "[{\"length\": 2}, {}, {\"length\": 3}]";
    static const char COMPLETE[] = "[{\"length\": 2}, {\"length\": 4}, {\"length\": 3}]";
    Before state = before();
    Asker *asker = rig_asker();

    ask_until(asker, WITHOUT_THE_ONE);
    gate_set(true);
    run_until(offload_abandoned() == 0);
    ask_until(asker, COMPLETE);
    asker_free(asker);
    assert_clean(state);
}

static json_t *gather_many(const AskPaths *paths, GPtrArray *names, GError **error)
{
    json_t *list = json_array();

    (void)paths;
    (void)names;
    (void)error;
    for (unsigned i = 0; i < (gate_read(&gathered) ? ASK_REMEMBER_MAX + 1 : 1); i++)
        (void)json_array_append_new(list, json_integer(i));
    gate_pass();
    gate_count(&gathered);
    return list;
}

static void a_very_long_list_is_not_kept(void)
{
    static const Question MANY = {.name = "many", .gather = gather_many, .remember = true};
    Before state = before();
    Asker *asker = rig_asker();
    Reply reply;

    gate_set(true);
    ask_it(asker, &MANY, false, &reply);
    assert_reply(&reply, "[0]");
    ask_it(asker, &MANY, false, &reply);
    assert_reply(&reply, " 1024]");
    gate_set(false);
    ask_it(asker, &MANY, false, &reply);
    assert_reply(&reply, "has not answered");
    asker_free(asker);
    assert_clean(state);
}

/* On a slow machine what is to hang may not have begun when the list is answered without it. */
static bool the_end_finds_both_waiting(void)
{
    Asker *asker = rig_asker();
    Reply first, second;
    bool both;

    ask_it(asker, &NUMBER, false, &first);
    ask_it(asker, &LIST, false, &second);
    run_until(gate_read(&gate.entered) == 2 || second.answers > 0);
    both = second.answers == 0;
    asker_free(asker);
    assert_reply(&first, "is being stopped");
    assert_reply(&second, both ? "is being stopped" : "[{");
    return both;
}

static void the_end_answers_who_waits(void)
{
    Before state = before();
    unsigned tries = 1;

    for (; !the_end_finds_both_waiting(); tries++) {
        g_assert_cmpuint(tries, <, 20);
        gate_set(true);
        run_until(offload_abandoned() == 0);
        gate_set(false);
    }
    assert_clean(state);
}

int main(int argc, char **argv)
{
    rig_init(&argc, &argv);
    g_test_add_func("/ask/shared", all_who_ask_at_once_share_an_answer);
    g_test_add_func("/ask/late", what_is_late_is_answered_from_memory);
    g_test_add_func("/ask/unknown", nothing_known_is_an_error_in_time);
    g_test_add_func("/ask/frozen", frozen_means_from_memory);
    g_test_add_func("/ask/failure", a_failure_is_told_and_not_kept);
    g_test_add_func("/ask/list", a_list_is_complete_but_for_what_hangs);
    g_test_add_func("/ask/many", a_very_long_list_is_not_kept);
    g_test_add_func("/ask/end", the_end_answers_who_waits);
    return g_test_run();
}
