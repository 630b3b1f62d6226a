/*
 * Tests of bus/options: every way in which the a{sv} of a stranger can be wrong.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bus/options.h"

#include <string.h>

static const char *const COLOURS[] = {"red", "green", NULL};
static const OptionSpec SPECS[] = {
    {"number", "u", 5, 10, NULL},
    {"colour", "s", 0, 0, COLOURS},
    {"text", "s", 0, 0, NULL},
    {"list", "as", 0, 3, NULL},
};

static GVariant *options_of(const char *text)
{
    g_autoptr(GError) error = NULL;
    GVariant *options = g_variant_parse(G_VARIANT_TYPE_VARDICT, text, NULL, NULL, &error);

    g_assert_no_error(error);
    return g_variant_take_ref(options);
}

static void fine(const char *text)
{
    g_autoptr(GVariant) options = options_of(text);
    g_autoptr(GError) error = NULL;

    g_assert_true(options_check(options, SPECS, G_N_ELEMENTS(SPECS), &error));
    g_assert_no_error(error);
}

static void wrong(const char *text, const char *pattern)
{
    g_autoptr(GVariant) options = options_of(text);
    g_autoptr(GError) error = NULL;

    g_assert_false(options_check(options, SPECS, G_N_ELEMENTS(SPECS), &error));
    g_assert_error(error, G_DBUS_ERROR, G_DBUS_ERROR_INVALID_ARGS);
    if (!g_regex_match_simple(pattern, error->message, 0, 0))
        g_error("'%s' is not like '%s'", error->message, pattern);
    g_assert_cmpuint(strlen(error->message), <, 200);
}

static void test_fine(void)
{
    fine("{}");
    fine("{'number': <uint32 5>, 'colour': <'red'>, 'text': <'x'>, 'list': <['a', 'b']>}");
    fine("{'number': <10>}");
    fine("{'number': <byte 7>}");
    fine("{'number': <int16 7>}");
    fine("{'number': <uint64 7>}");
    fine("{'list': <@as []>}");
    fine("{'text': <''>}");
}

static void test_wrong(void)
{
    wrong("{'nmber': <uint32 5>}", "option 'nmber' is not known; see org.quiesced");
    wrong("{'number': <uint32 4>}", "option number: 4 is not from 5 to 10");
    wrong("{'number': <uint32 11>}", "11 is not from 5 to 10");
    wrong("{'number': <-7>}", "-7 is not from 5 to 10");
    wrong("{'number': <uint64 18446744073709551615>}", "is not from 5 to 10");
    wrong("{'number': <int64 4294967301>}", "4294967301 is not from 5 to 10");
    wrong("{'number': <'7'>}", "option number has the type s, it must be u");
    wrong("{'number': <true>}", "has the type b, it must be u");
    wrong("{'number': <7.0>}", "has the type d, it must be u");
    wrong("{'number': <<uint32 7>>}", "has the type v, it must be u");
    wrong("{'colour': <'blue'>}", "option colour: 'blue' is none of red, green");
    wrong("{'colour': <['red']>}", "has the type as, it must be s");
    wrong("{'list': <['a', 'b', 'c', 'd']>}", "option list: more than 3 texts");
    wrong("{'list': <[1, 2]>}", "has the type ai, it must be as");
    wrong("{'text': <'x'>, 'text': <'y'>}", "option text stands there twice");
}

static void test_long(void)
{
    g_autofree char *fits = g_strnfill(OPTIONS_TEXT_MAX, 'a');
    g_autofree char *long_text = g_strnfill(OPTIONS_TEXT_MAX + 1, 'a');
    g_autofree char *huge = g_strnfill(OPTIONS_SIZE_MAX + 1, 'a');
    g_autofree char *one = g_strdup_printf("{'text': <'%s'>}", fits);
    g_autofree char *two = g_strdup_printf("{'text': <'%s'>}", long_text);
    g_autofree char *three = g_strdup_printf("{'list': <['%s']>}", long_text);
    g_autofree char *four = g_strdup_printf("{'colour': <'%s'>}", fits);
    g_autofree char *five = g_strdup_printf("{'%s': <1>}", fits);
    g_autofree char *six = g_strdup_printf("{'text': <'%s'>}", huge);
    g_autoptr(GVariant) options = options_of(six);
    g_autoptr(GError) error = NULL;

    fine(one);
    wrong(two, "option text: a text is longer than 4096 bytes");
    wrong(three, "option list: a text is longer than 4096 bytes");
    wrong(four, "option colour: 'aaa.* is none of");
    wrong(five, "option 'aaa.* is not known");
    g_assert_false(options_check(options, SPECS, G_N_ELEMENTS(SPECS), &error));
    g_assert_error(error, G_DBUS_ERROR, G_DBUS_ERROR_LIMITS_EXCEEDED);
}

static void test_taken(void)
{
    g_autoptr(GVariant) options =
        options_of("{'number': <int64 7>, 'text': <'x'>, 'list': <['a', 'b']>}");
    g_auto(GStrv) list = options_list(options, "list");

    g_assert_cmpuint(options_number(options, "number", 1), ==, 7);
    g_assert_cmpuint(options_number(options, "other", 1), ==, 1);
    g_assert_cmpstr(options_text(options, "text"), ==, "x");
    g_assert_null(options_text(options, "other"));
    g_assert_cmpuint(g_strv_length(list), ==, 2);
    g_assert_cmpstr(list[1], ==, "b");
    g_assert_null(options_list(options, "other"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/options/fine", test_fine);
    g_test_add_func("/options/wrong", test_wrong);
    g_test_add_func("/options/long", test_long);
    g_test_add_func("/options/taken", test_taken);
    return g_test_run();
}
