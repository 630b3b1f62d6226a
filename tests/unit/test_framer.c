/*
 * test_framer: byte streams as hosts, and broken hosts, send them.
 *
 * A stream is shown as a list of events, "F:" and the value or "E:" and the error, each on a line.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "proto/framer.h"

#include <glib.h>
#include <limits.h>
#include <string.h>

#define EXPECTING "E:JSON parse error, expecting value\n"
#define TOO_LARGE "E:JSON token size limit exceeded\n"
#define TOO_DEEP  "E:JSON nesting depth limit exceeded\n"
#define TOO_MANY  "E:JSON token count limit exceeded\n"
#define BROKEN    "E:JSON parse error, line break inside a string\n"
#define NOISE_MIB 16u

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Framer, framer_free)

static void feed(Framer *framer, const void *bytes, size_t length, size_t chunk, GString *events)
{
    const uint8_t *at = bytes;

    while (length > 0) {
        size_t left = MIN(chunk, length);
        length -= left;
        while (left > 0) {
            FramerResult result;
            const size_t used = framer_push(framer, at, left, &result);
            g_assert_cmpuint(used, <=, left);
            g_assert_true(used > 0 || result.event != FRAMER_MORE);
            at += used;
            left -= used;
            if (result.event == FRAMER_MORE) {
                g_assert_cmpuint(left, ==, 0);
                continue;
            }
            g_assert_cmpint(result.data[result.length], ==, '\0');
            if (events == NULL)
                continue;
            g_string_append(events, result.event == FRAMER_FRAME ? "F:" : "E:");
            g_string_append_len(events, result.data, (gssize)result.length);
            g_string_append_c(events, '\n');
        }
    }
}

static void check_limits(size_t size_max, unsigned depth_max, const char *bytes, size_t length,
                         const char *expected)
{
    static const size_t chunks[] = {1, 2, 3, 7, SIZE_MAX};

    for (size_t i = 0; i < G_N_ELEMENTS(chunks); i++) {
        g_autoptr(Framer) framer = framer_new(size_max, depth_max);
        g_autoptr(GString) events = g_string_new(NULL);
        feed(framer, bytes, length, chunks[i], events);
        g_assert_cmpstr(events->str, ==, expected);
    }
}

static void check(const char *bytes, const char *expected)
{
    check_limits(FRAMER_SIZE_MAX, FRAMER_DEPTH_MAX, bytes, strlen(bytes), expected);
}

static void test_values(void)
{
    check("", "");
    check(" \r\n\t", "");
    check("{\"execute\": \"guest-ping\"}\n", "F:{\"execute\": \"guest-ping\"}\n");
    check("{\"a\":1}", "F:{\"a\":1}\n"); /* no newline needed */
    check("{\"a\":1}{\"b\":2} {\"c\":3}\n", "F:{\"a\":1}\nF:{\"b\":2}\nF:{\"c\":3}\n");
    check("{\n \"a\":\n [1,\n {\"b\": {}}]\n}\n", "F:{\n \"a\":\n [1,\n {\"b\": {}}]\n}\n");
    check("[]\n[[1],2]\n", "F:[]\nF:[[1],2]\n");
    check("{\"a\":", "");
}

static void test_strings(void)
{
    check("{\"a\":\"}{][\"}", "F:{\"a\":\"}{][\"}\n");
    check("{\"a\":\"\\\"}\"}", "F:{\"a\":\"\\\"}\"}\n");
    check("{\"a\":\"\\\\\"}", "F:{\"a\":\"\\\\\"}\n");
    check("{'a':'}\"'}", "F:{'a':'}\"'}\n");
    check("{'a':'it\\'s }'}", "F:{'a':'it\\'s }'}\n");
    check("{\"a\":\"it's }\"}", "F:{\"a\":\"it's }\"}\n");
    check("\"top\\\"}\"x", "F:\"top\\\"}\"\n");
    check("{\"ä\":\"日本 \xF0\x9F\x94\x92\"}", "F:{\"ä\":\"日本 \xF0\x9F\x94\x92\"}\n");
}

static void test_words(void)
{
    check("garbage\n", "F:garbage\n");
    check("garbage", ""); /* may go on */
    check("12 true{\"a\":1}", "F:12\nF:true\nF:{\"a\":1}\n");
    check("x\"y\"", "F:x\nF:\"y\"\n");
    check("one two\r\n", "F:one\nF:two\n");
    check("garbage}", "F:garbage\n" EXPECTING);
}

static void test_closers(void)
{
    check("}", EXPECTING);
    check("}]", EXPECTING EXPECTING);
    check(",:", EXPECTING EXPECTING);
    check("}{\"a\":1}\n", EXPECTING "F:{\"a\":1}\n");
    /* The wrong closer ends the value at once: its balance cannot come any more. */
    check("{]}\n{\"a\":1}", "F:{]\n" EXPECTING "F:{\"a\":1}\n");
    check("[}", "F:[}\n");
}

static void test_reset(void)
{
    check("\xFF\xFF{\"a\":1}\n", "F:{\"a\":1}\n");
    check("{\"a\":\xFF{\"b\":1}", "F:{\"b\":1}\n");
    check("{\"a\":\"x\xFF{\"b\":1}", "F:{\"b\":1}\n");
    check("{\"a\":\"x\\\xFF{\"b\":1}", "F:{\"b\":1}\n");
    check("garb\xFF{\"b\":1}", "F:{\"b\":1}\n");
    check("{\"b\":1}\xFF", "F:{\"b\":1}\n");
}

static void test_line_break(void)
{
    /* Half a request, then a whole one: the second is not swallowed for ever. */
    check("{\"execute\":\"guest-fi\n{\"a\":1}\n", BROKEN "F:{\"a\":1}\n");
    check("{'a':'x\n{\"a\":1}", BROKEN "F:{\"a\":1}\n");
    check("{\"a\":\"x\\\n{\"b\":1}", BROKEN "F:{\"b\":1}\n");
    check("\"x\n{\"a\":1}", BROKEN "F:{\"a\":1}\n");
}

static void test_nul(void)
{
    static const char bytes[] = "{\"a\":\"x\0y\"}\n\0\n";
    g_autoptr(Framer) framer = framer_new(FRAMER_SIZE_MAX, FRAMER_DEPTH_MAX);
    FramerResult result;

    g_assert_cmpuint(framer_push(framer, (const uint8_t *)bytes, 14, &result), ==, 11);
    g_assert_cmpint(result.event, ==, FRAMER_FRAME);
    g_assert_cmpmem(result.data, result.length, bytes, 11);
    g_assert_cmpuint(framer_push(framer, (const uint8_t *)bytes + 11, 3, &result), ==, 2);
    g_assert_cmpint(result.event, ==, FRAMER_FRAME);
    g_assert_cmpmem(result.data, result.length, "\0", 1);
}

static void test_size_limit(void)
{
    const char *fits = "{\"a\":\"1234567\"}";     /* 15 bytes */
    const char *exceeds = "{\"a\":\"12345678\"}"; /* 16 bytes */

    g_assert_cmpuint(strlen(fits), ==, 15);
    check_limits(15, 8, fits, 15, "F:{\"a\":\"1234567\"}\n");
    check_limits(15, 8, exceeds, 16, TOO_LARGE);
    /* The limit is crossed in a string, at its end, in the escape before its end, by blanks. */
    static const char *const values[] = {
        "{\"a\":\"0123456789012345678901234567890\", \"b\":{}}",
        "{\"a\":\"012345678\"}",
        "{\"a\":\"01234567\\\"}\"}",
        "{\"a\":1                   }",
        "[[[1],[2],[3],[4],[5],[6]]]",
        "\"0123456789012345678\"",
        "01234567890123456789",
    };
    for (size_t i = 0; i < G_N_ELEMENTS(values); i++) {
        g_autofree char *bytes = g_strconcat(values[i], "\n", fits, NULL);
        check_limits(15, 8, bytes, strlen(bytes), TOO_LARGE "F:{\"a\":\"1234567\"}\n");
    }
    /* A word of just the limit, with and without its end in the same chunk. */
    check_limits(4, 8, "1234 12345 1234\n", 16, "F:1234\n" TOO_LARGE "F:1234\n");
    check_limits(4, 8, "1234{}", 6, "F:1234\nF:{}\n");
}

static void test_skip_ends(void)
{
    const char *reset = "{\"a\":\"01234567890123456789\xFF{\"b\":1}";
    const char *newline = "{\"a\":\"01234567890123456789\n{\"b\":1}";
    const char *silence = "{\"a\":\"01234567890123456789\",[[";

    check_limits(15, 8, reset, strlen(reset), TOO_LARGE "F:{\"b\":1}\n");
    check_limits(15, 8, newline, strlen(newline), TOO_LARGE "F:{\"b\":1}\n");

    g_autoptr(Framer) framer = framer_new(15, 8);
    g_autoptr(GString) events = g_string_new(NULL);
    feed(framer, silence, strlen(silence), SIZE_MAX, events);
    g_assert_true(framer_in_frame(framer));
    framer_reset(framer);
    g_assert_false(framer_in_frame(framer));
    feed(framer, "{\"b\":1}", 7, SIZE_MAX, events);
    g_assert_cmpstr(events->str, ==, TOO_LARGE "F:{\"b\":1}\n");
}

static void test_depth_limit(void)
{
    check_limits(100, 3, "[[[]]] [[[[]]]] {}", 18, "F:[[[]]]\n" TOO_DEEP "F:{}\n");
    check_limits(100, 3, "{[{[\"]\",[]]}]}{}", 16, TOO_DEEP "F:{}\n");

    g_autoptr(GString) value = g_string_new(NULL);
    for (unsigned i = 0; i < FRAMER_DEPTH_MAX; i++)
        g_string_append_c(value, '[');
    for (unsigned i = 0; i < FRAMER_DEPTH_MAX; i++)
        g_string_append_c(value, ']');
    g_autofree char *frame = g_strdup_printf("F:%s\n", value->str);
    check(value->str, frame);
    g_string_prepend_c(value, '[');
    g_string_append(value, "]{}");
    check(value->str, TOO_DEEP "F:{}\n");
}

/* Limits above the module's own cannot be had. */
static void test_limits_are_capped(void)
{
    g_autoptr(Framer) framer = framer_new(SIZE_MAX, UINT_MAX);
    g_autoptr(GString) events = g_string_new(NULL);
    g_autofree char *openers = g_strnfill(FRAMER_DEPTH_MAX + 1, '[');

    feed(framer, openers, FRAMER_DEPTH_MAX + 1, SIZE_MAX, events);
    g_assert_cmpstr(events->str, ==, TOO_DEEP);
}

static void test_token_limit(void)
{
    g_autoptr(Framer) framer = framer_new(FRAMER_SIZE_MAX, FRAMER_DEPTH_MAX);
    g_autoptr(GString) events = g_string_new(NULL);
    g_autofree char *commas = g_strnfill(FRAMER_TOKENS_MAX, ',');

    /* The opener counts, the final closer is never one too many. */
    feed(framer, "{", 1, SIZE_MAX, NULL);
    feed(framer, commas, FRAMER_TOKENS_MAX - 1, SIZE_MAX, events);
    g_assert_cmpstr(events->str, ==, "");
    feed(framer, "}{", 2, SIZE_MAX, NULL);
    feed(framer, commas, FRAMER_TOKENS_MAX, SIZE_MAX, events);
    g_assert_cmpstr(events->str, ==, TOO_MANY);
    feed(framer, ",,,}{}", 6, SIZE_MAX, events);
    g_assert_cmpstr(events->str, ==, TOO_MANY "F:{}\n");
}

static void test_scalar_limit(void)
{
    g_autofree char *word = g_strnfill(FRAMER_SCALAR_MAX + 1, 'x');
    g_autofree char *line = g_strconcat(word, "\n\"", word, "\"\n{}", NULL);

    check(line, TOO_LARGE TOO_LARGE "F:{}\n");
    word[FRAMER_SCALAR_MAX] = '\n';
    g_autofree char *frame = g_strdup_printf("F:%s", word);
    check(word, frame);
}

/* A 64 MiB request as 4 KiB reads; the memory goes up with it, and away after it. */
static void test_large_frame(void)
{
    g_autoptr(Framer) framer = framer_new(FRAMER_SIZE_MAX, FRAMER_DEPTH_MAX);
    g_autofree uint8_t *bytes = g_malloc(FRAMER_SIZE_MAX);
    FramerResult result = {FRAMER_MORE, NULL, 0};
    size_t used = 0;

    memset(bytes, 'A', FRAMER_SIZE_MAX);
    memcpy(bytes, "{\"a\":\"", 6);
    memcpy(bytes + FRAMER_SIZE_MAX - 2, "\"}", 2);
    while (used < FRAMER_SIZE_MAX && result.event == FRAMER_MORE) {
        used += framer_push(framer, bytes + used, MIN(4096, FRAMER_SIZE_MAX - used), &result);
        g_assert_cmpuint(framer_memory(framer), <=, MAX(2 * used + 512, FRAMER_KEEP));
        g_assert_cmpuint(framer_memory(framer), <=, FRAMER_SIZE_MAX + 1);
    }
    g_assert_cmpint(result.event, ==, FRAMER_FRAME);
    g_assert_cmpuint(result.length, ==, FRAMER_SIZE_MAX);
    g_assert_true(memcmp(result.data, bytes, FRAMER_SIZE_MAX) == 0);
    framer_push(framer, bytes, 0, &result);
    g_assert_cmpuint(framer_memory(framer), <=, FRAMER_KEEP);
}

static void test_memory_after_limit(void)
{
    g_autoptr(Framer) framer = framer_new((size_t)1 << 20, 8);
    g_autofree char *piece = g_strnfill((size_t)1 << 20, 'A');
    g_autoptr(GString) events = g_string_new(NULL);

    feed(framer, "{\"a\":\"", 6, SIZE_MAX, events);
    for (unsigned i = 0; i < 64; i++) {
        feed(framer, piece, (size_t)1 << 20, 65536, events);
        g_assert_cmpuint(framer_memory(framer), <=, FRAMER_KEEP);
    }
    feed(framer, "\"}\n{}", 5, SIZE_MAX, events);
    g_assert_cmpstr(events->str, ==, TOO_LARGE "F:{}\n");
}

static void test_reset_gives_memory_back(void)
{
    g_autoptr(Framer) framer = framer_new((size_t)1 << 20, 8);
    g_autofree char *piece = g_strnfill((size_t)1 << 19, 'A');

    feed(framer, "[\"", 2, SIZE_MAX, NULL);
    feed(framer, piece, (size_t)1 << 19, SIZE_MAX, NULL);
    g_assert_true(framer_in_frame(framer));
    g_assert_cmpuint(framer_memory(framer), >, (size_t)1 << 19);
    framer_reset(framer);
    g_assert_cmpuint(framer_memory(framer), <=, FRAMER_KEEP);
    g_assert_false(framer_in_frame(framer));
}

static void test_in_frame(void)
{
    g_autoptr(Framer) framer = framer_new(100, 8);

    g_assert_false(framer_in_frame(framer));
    feed(framer, " \n", 2, SIZE_MAX, NULL);
    g_assert_false(framer_in_frame(framer));
    feed(framer, "{\"a\"", 4, SIZE_MAX, NULL);
    g_assert_true(framer_in_frame(framer));
    feed(framer, ":1}", 3, SIZE_MAX, NULL);
    g_assert_false(framer_in_frame(framer));
    feed(framer, "gar", 3, SIZE_MAX, NULL);
    g_assert_true(framer_in_frame(framer));
    feed(framer, "\xFF", 1, SIZE_MAX, NULL);
    g_assert_false(framer_in_frame(framer));
}

static unsigned count_events(const GString *events)
{
    unsigned count = 0;

    for (size_t i = 0; i < events->len; i++)
        count += events->str[i] == '\n';
    return count;
}

static void test_rubbish_is_limited(void)
{
    g_autoptr(Framer) framer = framer_new(FRAMER_SIZE_MAX, FRAMER_DEPTH_MAX);
    g_autoptr(GString) events = g_string_new(NULL);
    g_autofree char *closers = g_strnfill(1000, '}');
    g_autoptr(GString) words = g_string_new(NULL);

    feed(framer, closers, 1000, SIZE_MAX, events);
    g_assert_cmpuint(count_events(events), ==, FRAMER_RUBBISH_MAX);
    for (unsigned i = 0; i < 1000; i++)
        g_string_append(words, i % 2 ? "word " : "[1] ");
    feed(framer, words->str, words->len, SIZE_MAX, events);
    g_assert_cmpuint(count_events(events), ==, FRAMER_RUBBISH_MAX);

    /* Requests are served all the same, and a fresh start brings the errors back. */
    static const char *const starts[] = {"{\"a\":1}}", "\n}", "\xFF}"};
    for (size_t i = 0; i < G_N_ELEMENTS(starts); i++) {
        g_string_truncate(events, 0);
        feed(framer, starts[i], strlen(starts[i]), SIZE_MAX, events);
        g_assert_true(g_str_has_suffix(events->str, EXPECTING));
        feed(framer, closers, 1000, SIZE_MAX, NULL);
    }
}

/* Line noise without a newline: memory and answers stay within bounds. */
static void test_noise(void)
{
    g_autoptr(Framer) framer = framer_new((size_t)1 << 20, FRAMER_DEPTH_MAX);
    g_autoptr(GString) events = g_string_new(NULL);
    uint8_t bytes[4096];
    uint64_t state = 88172645463325252u;
    size_t told = 0;

    for (unsigned i = 0; i < NOISE_MIB * 256; i++) {
        for (size_t j = 0; j < sizeof bytes; j++) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes[j] = (uint8_t)state;
            if (bytes[j] == '\n' || bytes[j] == 0xFF)
                bytes[j] = 'x';
        }
        feed(framer, bytes, sizeof bytes, sizeof bytes, events);
        g_assert_cmpuint(framer_memory(framer), <=, ((size_t)1 << 20) + 1);
        told += count_events(events);
        g_string_truncate(events, 0);
    }
    g_test_message("%u MiB of noise: %" G_GSIZE_FORMAT " events", NOISE_MIB, told);
    g_assert_cmpuint(told, >, 0);
    g_assert_cmpuint(told, <, NOISE_MIB * 64);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/framer/values_end_where_they_balance", test_values);
    g_test_add_func("/framer/brackets_in_strings_do_not_count", test_strings);
    g_test_add_func("/framer/words_end_at_a_delimiter", test_words);
    g_test_add_func("/framer/closers_alone_are_errors", test_closers);
    g_test_add_func("/framer/reset_byte_forgets_silently", test_reset);
    g_test_add_func("/framer/line_break_in_a_string_ends_the_value", test_line_break);
    g_test_add_func("/framer/nul_bytes_pass", test_nul);
    g_test_add_func("/framer/size_limit_gives_one_error", test_size_limit);
    g_test_add_func("/framer/skipping_ends", test_skip_ends);
    g_test_add_func("/framer/depth_limit_gives_one_error", test_depth_limit);
    g_test_add_func("/framer/limits_are_capped", test_limits_are_capped);
    g_test_add_func("/framer/token_limit_gives_one_error", test_token_limit);
    g_test_add_func("/framer/scalars_have_a_smaller_limit", test_scalar_limit);
    g_test_add_func("/framer/large_frame_goes_through", test_large_frame);
    g_test_add_func("/framer/skipped_value_takes_no_memory", test_memory_after_limit);
    g_test_add_func("/framer/reset_gives_memory_back", test_reset_gives_memory_back);
    g_test_add_func("/framer/in_frame_tells_unfinished_values", test_in_frame);
    g_test_add_func("/framer/rubbish_is_answered_a_few_times", test_rubbish_is_limited);
    g_test_add_func("/framer/noise_is_bounded", test_noise);
    return g_test_run();
}
