/*
 * test_reply: the bytes that hosts match on.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "proto/reply.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

typedef json_t Json;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Json, json_decref)

static char *take(char *bytes, size_t length)
{
    g_assert_nonnull(bytes);
    g_assert_cmpuint(length, <=, REPLY_SIZE_MAX);
    char *text = g_strndup(bytes, length);
    g_assert_cmpuint(strlen(text), ==, length);
    free(bytes);
    g_assert_true(g_str_has_suffix(text, "}\n"));
    g_assert_true(strchr(text, '\n') == text + length - 1);
    return text;
}

static void check_success(json_t *value, json_t *id, bool delimited, const char *expected)
{
    size_t length = 0;
    char *bytes = reply_success(value, id, delimited, &length);
    g_autofree char *text = take(bytes, length);

    g_assert_cmpstr(text, ==, expected);
}

static void check_error(const ProtoError *error, json_t *id, const char *expected)
{
    size_t length = 0;
    char *bytes = reply_error(error, id, &length);
    g_autofree char *text = take(bytes, length);

    g_assert_cmpstr(text, ==, expected);
}

static void test_success(void)
{
    g_autoptr(Json) sync = json_integer(9223372036854775807);
    g_autoptr(Json) list = json_pack("[{s:s, s:b}, {}]", "name", "eth0", "up", 1);
    g_autoptr(Json) id = json_pack("{s:[i,n]}", "a", 1);
    g_autoptr(Json) none = json_null();

    check_success(NULL, NULL, false, "{\"return\": {}}\n");
    check_success(sync, NULL, false, "{\"return\": 9223372036854775807}\n");
    check_success(sync, NULL, true, "\xFF{\"return\": 9223372036854775807}\n");
    check_success(list, id, false,
                  "{\"return\": [{\"name\": \"eth0\", \"up\": true}, {}], "
                  "\"id\": {\"a\": [1, null]}}\n");
    check_success(NULL, none, false, "{\"return\": {}, \"id\": null}\n");
}

/* What Proxmox looks for: 0xFF, the sync reply, a newline, at once the command's reply. */
static void test_sync_then_reply(void)
{
    g_autoptr(Json) id = json_integer(12345);
    g_autoptr(Json) value = json_string("thawed");
    size_t length = 0;
    char *bytes = reply_success(id, NULL, true, &length);
    g_autofree char *sync = take(bytes, length);
    bytes = reply_success(value, NULL, false, &length);
    g_autofree char *reply = take(bytes, length);
    g_autofree char *both = g_strconcat(sync, reply, NULL);
    g_autoptr(GRegex) regex =
        g_regex_new("^.*\\xff([^\\n]+}\\r?\\n[^\\n]+})\\r?\\n(.*)$", G_REGEX_RAW, 0, NULL);

    g_assert_nonnull(regex);
    g_assert_true(g_regex_match(regex, both, 0, NULL));
}

static void test_escapes(void)
{
    g_autoptr(Json) value = json_string("a\n\r\t\x01\"\\/ä\xF0\x9D\x84\x9E");

    check_success(value, value, false,
                  "{\"return\": \"a\\n\\r\\t\\u0001\\\"\\\\/\\u00E4\\uD834\\uDD1E\", "
                  "\"id\": \"a\\n\\r\\t\\u0001\\\"\\\\/\\u00E4\\uD834\\uDD1E\"}\n");
}

static void test_error(void)
{
    g_autoptr(Json) id = json_string("x");
    ProtoError error;

    proto_error_set(&error, PROTO_COMMAND_NOT_FOUND, "The command nope has not been found");
    check_error(&error, NULL,
                "{\"error\": {\"class\": \"CommandNotFound\", "
                "\"desc\": \"The command nope has not been found\"}}\n");
    proto_error_set(&error, PROTO_GENERIC_ERROR, "a\nb \"c\"");
    check_error(&error, id,
                "{\"error\": {\"class\": \"GenericError\", \"desc\": \"a\\nb \\\"c\\\"\"}, "
                "\"id\": \"x\"}\n");
}

/* Whoever fills the text by hand need not know about UTF-8, nor keep it short. */
static void test_error_text(void)
{
    ProtoError error = {PROTO_GENERIC_ERROR, "bad \xC0\xAF \xED\xA0\x80"};

    check_error(&error, NULL,
                "{\"error\": {\"class\": \"GenericError\", \"desc\": \"bad ?? ???\"}}\n");

    memset(error.text, 'x', PROTO_TEXT_MAX - 1);
    error.text[PROTO_TEXT_MAX - 1] = '\0';
    g_autofree char *expected = g_strdup_printf(
        "{\"error\": {\"class\": \"GenericError\", \"desc\": \"%s\"}}\n", error.text);
    check_error(&error, NULL, expected);
}

static json_t *filled(size_t length)
{
    g_autofree char *text = g_strnfill(length, 'A');

    return json_string(text);
}

static void test_size_limit(void)
{
    const size_t frame = strlen("\xFF{\"return\": \"\"}\n");
    g_autoptr(Json) fits = filled(REPLY_SIZE_MAX - frame);
    g_autoptr(Json) large = filled(REPLY_SIZE_MAX - frame + 1);
    g_autoptr(Json) id = json_integer(7);
    size_t length = 0;
    char *bytes = reply_success(fits, NULL, true, &length);

    g_assert_cmpuint(length, ==, REPLY_SIZE_MAX);
    g_assert_true(memcmp(bytes, "\xFF{\"return\": \"AAA", 14) == 0);
    free(bytes);

    bytes = reply_success(large, NULL, true, &length);
    g_autofree char *refused = take(bytes, length);
    g_assert_true(g_str_has_prefix(refused, "{\"error\": {\"class\": \"GenericError\", "
                                            "\"desc\": \"the reply would be larger than "));

    bytes = reply_success(fits, id, false, &length);
    g_autofree char *with_id = take(bytes, length);
    g_assert_true(g_str_has_prefix(with_id, "{\"error\": "));
    g_assert_true(g_str_has_suffix(with_id, ", \"id\": 7}\n"));
}

/* A request may be 64 MiB, and all of it its id. */
static void test_large_id(void)
{
    g_autoptr(Json) id = filled(REPLY_SIZE_MAX);
    ProtoError error;

    proto_error_set(&error, PROTO_GENERIC_ERROR, "no");
    check_error(&error, id, "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\"}}\n");

    size_t length = 0;
    char *bytes = reply_success(NULL, id, false, &length);
    g_autofree char *text = take(bytes, length);
    g_assert_true(g_str_has_prefix(text, "{\"error\": "));
    g_assert_cmpuint(length, <, 300);
}

static void test_unencodable(void)
{
    g_autoptr(Json) bad = json_string_nocheck("\xC0\xAF");
    size_t length = 0;
    char *bytes = reply_success(bad, bad, false, &length);
    g_autofree char *text = take(bytes, length);

    g_assert_cmpstr(text, ==,
                    "{\"error\": {\"class\": \"GenericError\", "
                    "\"desc\": \"the reply cannot be written as JSON\"}}\n");
}

static void check_finish(json_t *id, const char *expected)
{
    size_t length = 0;
    char *begun = strdup(REPLY_BEGIN "{\"count\": 3}");
    char *bytes = reply_finish(begun, strlen(begun), id, &length);
    g_autofree char *text = take(bytes, length);

    g_assert_cmpstr(text, ==, expected);
}

/* What others began ends like every other reply. */
static void test_finish(void)
{
    g_autoptr(Json) id = json_pack("{s:[i,n]}", "a", 1);
    g_autofree char *long_text = g_strnfill(REPLY_SIZE_MAX + 1, 'x');
    g_autoptr(Json) large = json_string(long_text);

    check_finish(NULL, "{\"return\": {\"count\": 3}}\n");
    check_finish(id, "{\"return\": {\"count\": 3}, \"id\": {\"a\": [1, null]}}\n");
    check_finish(large, "{\"return\": {\"count\": 3}}\n");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/reply/success_is_one_line", test_success);
    g_test_add_func("/reply/sync_and_reply_match_a_host", test_sync_then_reply);
    g_test_add_func("/reply/text_is_escaped", test_escapes);
    g_test_add_func("/reply/error_has_class_and_text", test_error);
    g_test_add_func("/reply/error_text_is_made_valid", test_error_text);
    g_test_add_func("/reply/size_is_limited", test_size_limit);
    g_test_add_func("/reply/large_id_is_left_out", test_large_id);
    g_test_add_func("/reply/bad_value_is_an_error", test_unencodable);
    g_test_add_func("/reply/begun_elsewhere_is_finished", test_finish);
    return g_test_run();
}
