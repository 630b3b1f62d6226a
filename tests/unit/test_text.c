/*
 * test_text: what a hook printed, as a host may show it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "base/text.h"

#include <glib.h>
#include <string.h>

#define ALL ((size_t)-1)

static void check_line(const char *source, size_t length, const char *expected)
{
    char target[TEXT_LINE_MAX + 1];

    memset(target, 'X', sizeof target);
    g_assert_cmpuint(text_line(target, sizeof target, source, length), ==, strlen(expected));
    g_assert_cmpstr(target, ==, expected);
}

static void check_last(const char *source, size_t length, const char *expected)
{
    char target[TEXT_LINE_MAX + 1];

    memset(target, 'X', sizeof target);
    g_assert_cmpuint(text_last_line(target, sizeof target, source, length), ==, strlen(expected));
    g_assert_cmpstr(target, ==, expected);
}

static void test_line_plain(void)
{
    check_line("mariadb: lock wait", ALL, "mariadb: lock wait");
    check_line("", ALL, "");
    check_line("abcdef", 3, "abc");
    check_line("Größe – 日本 \xF0\x9F\x94\x92", ALL, "Größe – 日本 \xF0\x9F\x94\x92");
}

static void test_line_controls(void)
{
    check_line("a\nb\tc", ALL, "a b c");
    check_line("a\r\nb", ALL, "a  b");
    check_line("a\x7F"
               "b\x1B[0m",
               ALL, "a b [0m");
    check_line("a\0b", 3, "a b");
    check_line("a\xC2\x85"
               "b", /* NEL, a C1 control */
               ALL, "a b");
    check_line("a\xE2\x80\xA8"
               "b\xE2\x80\xA9"
               "c",
               ALL, "a b c");
    check_line(" \n\t a \n ", ALL, "a");
    check_line("\n\r\t \x01", ALL, "");
}

static void test_line_bad_utf8(void)
{
    check_line("a\xFFz", ALL, "a?z");
    check_line("\x80", ALL, "?");
    check_line("\xC0\xAF", ALL, "??");                       /* overlong '/' */
    check_line("\xE0\x80\xAF", ALL, "???");                  /* overlong, three bytes */
    check_line("\xED\xA0\x80", ALL, "???");                  /* a surrogate */
    check_line("\xF4\x90\x80\x80", ALL, "????");             /* above U+10FFFF */
    check_line("\xF0\x80\x80\x80", ALL, "????");             /* overlong, four bytes */
    check_line("\xC3", ALL, "?");                            /* cut short by the end */
    check_line("\xE6\x97z", ALL, "??z");                     /* cut short by another character */
    check_line("\xC3\xA4z", 1, "?");                         /* cut short by the length */
    check_line("\xF4\x8F\xBF\xBF", ALL, "\xF4\x8F\xBF\xBF"); /* U+10FFFF is the last good one */
    check_line("\xEF\xBF\xBD", ALL, "\xEF\xBF\xBD");
}

static void test_line_cut(void)
{
    char target[6];

    g_assert_cmpuint(text_line(target, sizeof target, "abcdefgh", ALL), ==, 5);
    g_assert_cmpstr(target, ==, "abcde");
    /* "ä" would end one byte too late. */
    g_assert_cmpuint(text_line(target, sizeof target, "abcdäf", ALL), ==, 4);
    g_assert_cmpstr(target, ==, "abcd");
    /* Nothing shorter slips in behind the cut, and no blank stays in front of it. */
    g_assert_cmpuint(text_line(target, sizeof target, "abc \xF0\x9F\x94\x92z", ALL), ==, 3);
    g_assert_cmpstr(target, ==, "abc");
    g_assert_cmpuint(text_line(target, 1, "abc", ALL), ==, 0);
    g_assert_cmpstr(target, ==, "");
    target[0] = 'X';
    g_assert_cmpuint(text_line(target, 0, "abc", ALL), ==, 0);
    g_assert_cmpint(target[0], ==, 'X');
}

static void test_line_limit(void)
{
    char target[TEXT_LINE_MAX + 1];
    g_autofree char *source = g_strnfill(100000, 'x');

    g_assert_cmpuint(text_line(target, sizeof target, source, ALL), ==, TEXT_LINE_MAX);
    g_assert_cmpint(target[TEXT_LINE_MAX], ==, '\0');
}

/* Whatever the bytes, the result is UTF-8 on one line and within its size. */
static void test_line_any_bytes(void)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(1);

    for (unsigned round = 0; round < 20000; round++) {
        char source[40], target[24];
        const size_t length = (size_t)g_rand_int_range(rand, 0, sizeof source + 1);
        const size_t size = (size_t)g_rand_int_range(rand, 1, sizeof target + 1);

        for (size_t i = 0; i < length; i++)
            source[i] = (char)g_rand_int_range(rand, 0, 256);
        const size_t written = text_line(target, size, source, length);
        g_assert_cmpuint(written, <, size);
        g_assert_true(g_utf8_validate(target, (gssize)written, NULL));
        for (size_t i = 0; i < written; i++)
            g_assert_true((guchar)target[i] >= 0x20 && target[i] != 0x7F);
    }
}

static void test_last_line(void)
{
    check_last("one\ntwo\nthree", ALL, "three");
    check_last("one\ntwo\n\n  \n", ALL, "two");
    check_last("one", ALL, "one");
    check_last("one\n", ALL, "one");
    check_last("\n\n", ALL, "");
    check_last("", ALL, "");
    check_last("one\ntwo", 4, "one");
    check_last("10%\r20%\rfailed\r\n", ALL, "failed");
    check_last("\n\n\nerror: \xFF locked \n\x01\n", ALL, "error: ? locked");
}

static void test_utf8(void)
{
    char target[8];

    g_assert_cmpuint(text_utf8(target, sizeof target, " a\n\t ", ALL), ==, 5);
    g_assert_cmpstr(target, ==, " a\n\t ");
    g_assert_cmpuint(text_utf8(target, sizeof target, "a\xFFz", ALL), ==, 3);
    g_assert_cmpstr(target, ==, "a?z");
    g_assert_cmpuint(text_utf8(target, sizeof target, "a\0b", 3), ==, 3);
    g_assert_cmpstr(target, ==, "a?b");
    g_assert_cmpuint(text_utf8(target, sizeof target, "123456ä", ALL), ==, 6);
    g_assert_cmpstr(target, ==, "123456");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/text/line_keeps_plain_text", test_line_plain);
    g_test_add_func("/text/line_has_no_controls", test_line_controls);
    g_test_add_func("/text/line_replaces_bad_utf8", test_line_bad_utf8);
    g_test_add_func("/text/line_is_cut_between_characters", test_line_cut);
    g_test_add_func("/text/line_is_at_most_its_limit", test_line_limit);
    g_test_add_func("/text/line_of_any_bytes_is_utf8", test_line_any_bytes);
    g_test_add_func("/text/last_line_skips_blank_ones", test_last_line);
    g_test_add_func("/text/utf8_keeps_controls", test_utf8);
    return g_test_run();
}
