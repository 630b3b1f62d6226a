/*
 * test_request: frames to requests, and the exact texts for what is none.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "proto/framer.h"
#include "proto/request.h"

#include <glib.h>
#include <string.h>

#define PARSE_ERROR "JSON parse error, "

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Request, request_clear)

static void good(const char *frame, Request *ret_request)
{
    ProtoError error = {PROTO_GENERIC_ERROR, ""};
    const bool parsed = request_parse(frame, strlen(frame), ret_request, &error);

    g_assert_cmpstr(error.text, ==, "");
    g_assert_true(parsed);
    g_assert_nonnull(ret_request->command);
}

/* `id` is the JSON of the id kept, NULL for none. */
static void bad_bytes(const char *frame, size_t length, const char *text, const char *id)
{
    g_auto(Request) request = {0};
    ProtoError error;

    g_assert_false(request_parse(frame, length, &request, &error));
    g_assert_cmpint(error.class, ==, PROTO_GENERIC_ERROR);
    g_assert_cmpstr(error.text, ==, text);
    g_assert_null(request.command);
    g_assert_null(request.arguments);
    if (id == NULL) {
        g_assert_null(request.id);
        return;
    }
    g_assert_nonnull(request.id);
    char *shown = json_dumps(request.id, JSON_ENCODE_ANY | JSON_COMPACT);
    g_assert_cmpstr(shown, ==, id);
    free(shown);
}

static void bad(const char *frame, const char *text)
{
    bad_bytes(frame, strlen(frame), text, NULL);
}

/* For the parser's own words: only that it is one bounded line of the right kind. */
static void malformed_bytes(const char *frame, size_t length)
{
    g_auto(Request) request = {0};
    ProtoError error;

    g_assert_false(request_parse(frame, length, &request, &error));
    g_test_message("%s", error.text);
    g_assert_true(g_str_has_prefix(error.text, PARSE_ERROR));
    g_assert_cmpuint(strlen(error.text), >, strlen(PARSE_ERROR));
    g_assert_true(g_utf8_validate(error.text, -1, NULL));
    g_assert_null(strpbrk(error.text, "\r\n\t"));
    g_assert_null(request.id);
}

static void malformed(const char *frame)
{
    malformed_bytes(frame, strlen(frame));
}

static void test_good(void)
{
    g_auto(Request) plain = {0};
    g_auto(Request) full = {0};

    good(" \n{\"execute\": \"guest-ping\"}\r\n", &plain);
    g_assert_cmpstr(plain.command, ==, "guest-ping");
    g_assert_null(plain.arguments);
    g_assert_null(plain.id);

    good("{\"id\":[1,{\"a\":null}],\"arguments\":{\"id\":-9223372036854775808,\"s\":\"\\u00e4\"},"
         "\"execute\":\"guest-sync\"}",
         &full);
    g_assert_cmpstr(full.command, ==, "guest-sync");
    g_assert_true(json_integer_value(json_object_get(full.arguments, "id")) == INT64_MIN);
    g_assert_cmpstr(json_string_value(json_object_get(full.arguments, "s")), ==, "ä");
    g_assert_cmpuint(json_array_size(full.id), ==, 2);
}

static void test_id_kinds(void)
{
    static const char *const ids[] = {"1",    "-5",   "1.5", "\"x\"", "null",
                                      "true", "[[]]", "{}",  "\"'\"", "9223372036854775807"};

    for (size_t i = 0; i < G_N_ELEMENTS(ids); i++) {
        g_autofree char *frame = g_strdup_printf("{\"execute\":\"x\",\"id\":%s}", ids[i]);
        g_auto(Request) request = {0};
        good(frame, &request);
        char *shown = json_dumps(request.id, JSON_ENCODE_ANY | JSON_COMPACT);
        g_assert_cmpstr(shown, ==, ids[i]);
        free(shown);
    }
}

static void test_not_an_object(void)
{
    static const char *const frames[] = {
        "[]",   "1",    "-1.5e3", "\"x\"", "'x'",
        "null", "true", "false",  " 1 ",   "[{\"execute\":\"x\"}]"};

    for (size_t i = 0; i < G_N_ELEMENTS(frames); i++)
        bad(frames[i], "QMP input must be a JSON object");
}

static void test_words(void)
{
    g_autofree char *word = g_strnfill(FRAMER_SCALAR_MAX, 'x');
    g_auto(Request) request = {0};
    ProtoError error;

    bad("garbage", PARSE_ERROR "invalid keyword 'garbage'");
    bad("nullx", PARSE_ERROR "invalid keyword 'nullx'");
    bad("True", PARSE_ERROR "invalid keyword 'True'");
    bad("@", PARSE_ERROR "stray '@'");
    bad("\x80", PARSE_ERROR "stray '?'");
    bad_bytes("\0", 1, PARSE_ERROR "stray ''", NULL);
    bad("", PARSE_ERROR "expecting value");
    bad(" \n", PARSE_ERROR "expecting value");
    malformed("12abc");
    malformed("-");
    malformed("{]");
    malformed("[}");
    g_assert_false(request_parse(word, FRAMER_SCALAR_MAX, &request, &error));
    g_assert_cmpuint(strlen(error.text), <, 256);
}

static void test_members(void)
{
    bad("{}", "QMP input lacks member 'execute'");
    bad("{\"arguments\":{}}", "QMP input lacks member 'execute'");
    bad("{\"execute\":1}", "QMP input member 'execute' must be a string");
    bad("{\"execute\":null}", "QMP input member 'execute' must be a string");
    bad("{\"execute\":\"x\",\"arguments\":[]}", "QMP input member 'arguments' must be an object");
    bad("{\"execute\":\"x\",\"arguments\":null}", "QMP input member 'arguments' must be an object");
    bad("{\"execute\":\"x\",\"foo\":1}", "QMP input member 'foo' is unexpected");
    bad("{\"foo\":1}", "QMP input member 'foo' is unexpected");
    bad("{\"exec-oob\":\"x\"}", "QMP input member 'exec-oob' is unexpected");
    bad("{\"execute\":\"x\",\"a\\nb\":1}", "QMP input member 'a b' is unexpected");
}

static void test_id_kept_on_errors(void)
{
    const char *lacks = "{\"id\":7}";
    const char *extra = "{\"foo\":1,\"id\":{\"n\":[1]}}";
    const char *type = "{\"execute\":1,\"id\":null}";
    const char *torn = "{\"id\":7,\"execute\":\"x\",}";

    bad_bytes(lacks, strlen(lacks), "QMP input lacks member 'execute'", "7");
    bad_bytes(extra, strlen(extra), "QMP input member 'foo' is unexpected", "{\"n\":[1]}");
    bad_bytes(type, strlen(type), "QMP input member 'execute' must be a string", "null");
    malformed(torn);
}

static void test_malformed(void)
{
    static const char *const frames[] = {
        "{\"execute\":}",
        "{\"execute\":\"x\"",
        "{\"execute\":\"x\"}}",
        "{\"execute\":\"x\"}{\"execute\":\"y\"}",
        "{execute:\"x\"}",
        "{\"execute\":\"x\",}",
        "{\"execute\":garbage}",
        "{\"execute\":\"a\tb\"}",
        "{\"execute\":\"\\x\"}",
        "{\"execute\":\"\\ud800\"}",
        "{\"execute\":\"\xC0\xAF\"}",
        "{\"execute\":\"\xED\xA0\x80\"}",
        "{\"execute\":\"x\",\"id\":01}",
        "{\"execute\":\"x\",\"id\":1e999}",
        "{\"execute\":\"x\",\"id\":NaN}",
        "{\"execute\":\"x\",\"id\":9223372036854775808}",
        "{\"execute\":\"x\",\"id\":-9223372036854775809}",
        "{\"execute\":\"x\" /* no comments */}",
        "{'execute':'x}",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(frames); i++)
        malformed(frames[i]);
    malformed_bytes("{\"execute\":\"a\0b\"}", 17);
    bad("{\"execute\":\"a\\u0000b\"}", PARSE_ERROR "\\u0000 is not allowed in a string");
    bad("{\"a\\u0000b\":1}", PARSE_ERROR "\\u0000 is not allowed in a string");
}

static void test_duplicates(void)
{
    bad("{\"execute\":\"x\",\"execute\":\"y\"}", PARSE_ERROR "duplicate key");
    bad("{\"execute\":\"x\",\"arguments\":{\"a\":1,\"a\":1}}", PARSE_ERROR "duplicate key");
    bad("{'execute':'x',\"execute\":'y'}", PARSE_ERROR "duplicate key");
}

static void check_argument(const char *frame, const char *expected)
{
    g_auto(Request) request = {0};

    good(frame, &request);
    g_assert_cmpstr(request.command, ==, "x");
    g_assert_cmpstr(json_string_value(json_object_get(request.arguments, "s")), ==, expected);
}

static void test_single_quotes(void)
{
    check_argument("{'execute':'x','arguments':{'s':'it\\'s \"x\"'}}", "it's \"x\"");
    check_argument("{'execute':'x','arguments':{'s':''}}", "");
    check_argument("{'execute':\"x\",'arguments':{\"s\":\"it's\"}}", "it's");
    check_argument("{\"execute\":\"x\",\"arguments\":{\"s\":\"it's '}\"}}", "it's '}");
    check_argument("{\"execute\":\"x\",\"arguments\":{\"s\":\"it\\'s\"}}", "it's");
    check_argument("{'execute':'x','arguments':{'s':'\\\\\\\"\\n\\u00e4}\\\\'}}", "\\\"\nä}\\");
    malformed("{'execute':'x\\");
    malformed("'");
}

static void test_depth(void)
{
    g_autoptr(GString) frame = g_string_new("{\"execute\":\"x\",\"id\":");
    g_auto(Request) request = {0};

    for (unsigned i = 1; i < FRAMER_DEPTH_MAX; i++)
        g_string_append_c(frame, '[');
    for (unsigned i = 1; i < FRAMER_DEPTH_MAX; i++)
        g_string_append_c(frame, ']');
    g_string_append_c(frame, '}');
    good(frame->str, &request);

    /* Without the framer in front the parser's own limit holds. */
    g_autofree char *openers = g_strnfill(1000000, '[');
    malformed(openers);
}

static void test_long_strings(void)
{
    const size_t length = (size_t)8 << 20;
    g_autofree char *body = g_strnfill(length, 'A');
    g_autofree char *frame = g_strconcat("{'execute':'x','arguments':{'s':'", body, "'}}", NULL);
    g_auto(Request) request = {0};

    good(frame, &request);
    g_assert_cmpuint(json_string_length(json_object_get(request.arguments, "s")), ==, length);

    /* The texts stay bounded. */
    g_autofree char *key = g_strconcat("{\"", body, "\":1}", NULL);
    g_auto(Request) rejected = {0};
    ProtoError error;
    g_assert_false(request_parse(key, strlen(key), &rejected, &error));
    g_assert_true(g_str_has_prefix(error.text, "QMP input member 'AAAA"));
    g_assert_true(g_str_has_suffix(error.text, "' is unexpected"));
    g_assert_cmpuint(strlen(error.text), <, 256);
}

static const ArgSpec SPECS[] = {
    {"id", ARG_INTEGER, true},
    {"mode", ARG_STRING, false},
    {"reset", ARG_BOOLEAN, false},
    {"mountpoints", ARG_STRING_ARRAY, false},
};

/* NULL: they are fine. */
static void check_arguments(const char *arguments, const char *text)
{
    g_autofree char *frame = g_strdup_printf("{\"execute\":\"x\",\"arguments\":%s}", arguments);
    g_auto(Request) request = {0};
    ProtoError error = {PROTO_COMMAND_NOT_FOUND, ""};

    good(frame, &request);
    const bool fine = request_check_arguments(&request, SPECS, G_N_ELEMENTS(SPECS), &error);
    g_assert_cmpstr(error.text, ==, text != NULL ? text : "");
    g_assert_true(fine == (text == NULL));
    if (text != NULL)
        g_assert_cmpint(error.class, ==, PROTO_GENERIC_ERROR);
}

#define WRONG_TYPE "Invalid parameter type for "

static void test_arguments(void)
{
    check_arguments("{\"id\":1}", NULL);
    check_arguments("{\"id\":1,\"mode\":\"\",\"reset\":false,\"mountpoints\":[\"/\",\"/a\"]}",
                    NULL);
    check_arguments("{\"id\":1,\"mountpoints\":[]}", NULL);
    check_arguments("{}", "Parameter 'id' is missing");
    check_arguments("{\"id\":1,\"foo\":2}", "Parameter 'foo' is unexpected");
    check_arguments("{\"foo\":2}", "Parameter 'id' is missing");
    check_arguments("{\"id\":\"1\"}", WRONG_TYPE "'id', expected: integer");
    check_arguments("{\"id\":1.0}", WRONG_TYPE "'id', expected: integer");
    check_arguments("{\"id\":null}", WRONG_TYPE "'id', expected: integer");
    check_arguments("{\"id\":1,\"mode\":1}", WRONG_TYPE "'mode', expected: string");
    check_arguments("{\"id\":1,\"mode\":null}", WRONG_TYPE "'mode', expected: string");
    check_arguments("{\"id\":1,\"reset\":1}", WRONG_TYPE "'reset', expected: boolean");
    check_arguments("{\"id\":1,\"mountpoints\":\"/\"}",
                    WRONG_TYPE "'mountpoints', expected: array");
    check_arguments("{\"id\":1,\"mountpoints\":[\"/\",1]}",
                    WRONG_TYPE "'mountpoints[1]', expected: string");
    check_arguments("{\"id\":1,\"a\\u0007b\":2}", "Parameter 'a b' is unexpected");
}

static const ArgSpec MEMBERS[] = {
    {"logical-id", ARG_INTEGER, true},
    {"online", ARG_BOOLEAN, true},
    {"can-offline", ARG_BOOLEAN, false},
};

static void check_objects(const char *array, const char *text)
{
    static const ArgSpec LIST[] = {{"cpus", ARG_OBJECT_ARRAY, true}, {"any", ARG_ANY, false}};
    g_autofree char *frame =
        g_strdup_printf("{\"execute\":\"x\",\"arguments\":{\"any\":null,\"cpus\":%s}}", array);
    g_auto(Request) request = {0};
    ProtoError error = {PROTO_COMMAND_NOT_FOUND, ""};

    good(frame, &request);
    if (request_check_arguments(&request, LIST, G_N_ELEMENTS(LIST), &error))
        g_assert_true(request_check_objects(json_object_get(request.arguments, "cpus"), "cpus",
                                            MEMBERS, G_N_ELEMENTS(MEMBERS),
                                            &error) == (text == NULL));
    g_assert_cmpstr(error.text, ==, text != NULL ? text : "");
}

/* The texts are those of the stock agent. */
static void test_objects(void)
{
    check_objects("[]", NULL);
    check_objects("[{\"logical-id\":0,\"online\":true},{\"logical-id\":1,\"online\":false,"
                  "\"can-offline\":true}]",
                  NULL);
    check_objects("1", WRONG_TYPE "'cpus', expected: array");
    check_objects("[1]", WRONG_TYPE "'cpus[0]', expected: object");
    check_objects("[{}]", "Parameter 'cpus[0].logical-id' is missing");
    check_objects("[{\"logical-id\":0,\"online\":true},{\"logical-id\":\"a\"}]",
                  WRONG_TYPE "'cpus[1].logical-id', expected: integer");
    check_objects("[{\"logical-id\":0,\"online\":true,\"can-offline\":3}]",
                  WRONG_TYPE "'cpus[0].can-offline', expected: boolean");
    check_objects("[{\"logical-id\":0,\"online\":true,\"foo\":3}]",
                  "Parameter 'cpus[0].foo' is unexpected");
}

static void test_no_arguments(void)
{
    g_auto(Request) request = {0};
    ProtoError error;

    good("{\"execute\":\"x\"}", &request);
    g_assert_true(request_check_arguments(&request, NULL, 0, &error));
    g_assert_true(request_check_arguments(&request, SPECS + 1, 3, &error));
    g_assert_false(request_check_arguments(&request, SPECS, 1, &error));
    g_assert_cmpstr(error.text, ==, "Parameter 'id' is missing");
}

static void test_error_set(void)
{
    ProtoError error;
    g_autofree char *ascii = g_strnfill(2000, 'x');

    proto_error_set(&error, PROTO_COMMAND_NOT_FOUND, "The command %s has not been found", "nope");
    g_assert_cmpstr(error.text, ==, "The command nope has not been found");
    g_assert_cmpstr(proto_class_name(error.class), ==, "CommandNotFound");
    g_assert_cmpstr(proto_class_name(PROTO_GENERIC_ERROR), ==, "GenericError");

    proto_error_set(&error, PROTO_GENERIC_ERROR, "%s", ascii);
    g_assert_cmpuint(strlen(error.text), ==, PROTO_TEXT_MAX - 1);
    /* Four-byte characters at each offset: never half of one. */
    for (unsigned offset = 0; offset < 4; offset++) {
        g_autoptr(GString) text = g_string_new(NULL);
        for (unsigned i = 0; i < offset; i++)
            g_string_append_c(text, 'x');
        while (text->len < 1000)
            g_string_append(text, "\xF0\x9F\x94\x92");
        proto_error_set(&error, PROTO_GENERIC_ERROR, "%s", text->str);
        g_assert_cmpuint(strlen(error.text), >=, PROTO_TEXT_MAX - 4);
        g_assert_true(g_str_has_prefix(text->str, error.text));
        g_assert_true(g_utf8_validate(error.text, -1, NULL));
    }
    proto_error_set(&error, PROTO_GENERIC_ERROR, "a\xFFz");
    g_assert_cmpstr(error.text, ==, "a?z");
}

static void test_clear(void)
{
    Request request;

    good("{\"execute\":\"x\",\"arguments\":{},\"id\":1}", &request);
    request_clear(&request);
    g_assert_null(request.command);
    g_assert_null(request.arguments);
    g_assert_null(request.id);
    request_clear(&request);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/request/members_are_taken", test_good);
    g_test_add_func("/request/id_of_any_kind", test_id_kinds);
    g_test_add_func("/request/other_values_are_no_requests", test_not_an_object);
    g_test_add_func("/request/words_are_named", test_words);
    g_test_add_func("/request/members_are_checked", test_members);
    g_test_add_func("/request/id_is_kept_on_errors", test_id_kept_on_errors);
    g_test_add_func("/request/malformed_gets_one_line", test_malformed);
    g_test_add_func("/request/duplicate_keys_are_errors", test_duplicates);
    g_test_add_func("/request/single_quotes_are_rewritten", test_single_quotes);
    g_test_add_func("/request/depth_is_limited", test_depth);
    g_test_add_func("/request/long_strings_pass_and_texts_stay_short", test_long_strings);
    g_test_add_func("/request/arguments_follow_the_table", test_arguments);
    g_test_add_func("/request/objects_follow_their_table", test_objects);
    g_test_add_func("/request/arguments_may_be_absent", test_no_arguments);
    g_test_add_func("/request/error_texts_are_cut_between_characters", test_error_set);
    g_test_add_func("/request/clear_is_idempotent", test_clear);
    return g_test_run();
}
