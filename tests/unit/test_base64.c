/*
 * test_base64: what is taken for base64, and what it stands for.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "base/base64.h"

#include <string.h>

static void check(const char *text, const char *expected)
{
    g_autoptr(GError) error = NULL;
    Base64Decoder decoder = {0};
    size_t bytes = 99, done = 0;
    uint8_t out[64] = {0};

    g_assert_true(base64_measure(text, strlen(text), &bytes, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(bytes, ==, strlen(expected));
    /* In pieces of 5 characters, as large ones are. */
    for (size_t i = 0; i < strlen(text); i += 5)
        done += base64_decode(&decoder, text + i, MIN((size_t)5, strlen(text) - i), out + done);
    g_assert_cmpmem(out, done, expected, strlen(expected));
}

static void check_bad(const char *text, const char *reason)
{
    g_autoptr(GError) error = NULL;
    size_t bytes = 0;

    g_assert_false(base64_measure(text, strlen(text), &bytes, &error));
    g_assert_error(error, AGENT_ERROR, AGENT_ERROR_FAILED);
    g_assert_nonnull(strstr(error->message, reason));
}

static void test_good(void)
{
    check("", "");
    check("YQ==", "a");
    check("YWI=", "ab");
    check("YWJj", "abc");
    check("YWJjZGVm\nZ2hpamts\r\nbQ==\n", "abcdefghijklm");
    check("/+8=", "\xff\xef");
}

static void test_bad(void)
{
    check_bad("!", "invalid characters");
    check_bad("YWJj YWJj", "invalid characters");
    check_bad("YQ==YQ==", "invalid characters");
    check_bad("Y\xc3\xa9==", "invalid characters");
    check_bad("Y", "cut short");
    check_bad("YQ", "cut short");
    check_bad("YWJjZA=", "cut short");
    check_bad("Y===", "cut short");
    check_bad("====", "cut short");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/base64/good_is_decoded_in_pieces", test_good);
    g_test_add_func("/base64/garbage_and_ends_are_errors", test_bad);
    return g_test_run();
}
