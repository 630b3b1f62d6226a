/*
 * test_paint: durations, bars and the time axis of quiescectl.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "ctl/paint.h"

#include <string.h>

static void assert_duration(int64_t ms, const char *expected)
{
    g_autofree char *text = paint_duration(ms);

    g_assert_cmpstr(text, ==, expected);
}

static void durations(void)
{
    assert_duration(-5, "0 ms");
    assert_duration(0, "0 ms");
    assert_duration(999, "999 ms");
    assert_duration(1000, "1.00 s");
    assert_duration(31500, "31.5 s");
    assert_duration(250000, "4 min 10 s");
}

static void assert_bar(const PaintAxis *axis, int64_t from, int64_t to, const char *expected)
{
    const Paint paint = {.width = 80};
    g_autofree char *bar = paint_bar(&paint, axis, from, to);

    g_assert_cmpstr(bar, ==, expected);
}

static void bars_without_a_hold(void)
{
    PaintAxis axis = paint_axis(0, 0, 100, 10);

    assert_bar(&axis, 0, 100, "##########");
    assert_bar(&axis, 0, 10, "#.........");
    assert_bar(&axis, 50, 100, ".....#####");
    assert_bar(&axis, 40, 40, "....#....."); /* at least a cell */
    assert_bar(&axis, 100, 100, ".........#");
    assert_bar(&axis, 500, 900, ".........#"); /* beyond the end */
}

/* An hour of hold leaves the second before and the second after it visible. */
static void the_hold_takes_few_columns(void)
{
    PaintAxis axis = paint_axis(1000, 3601000, 3602000, 28);

    assert_bar(&axis, 0, 1000, "##########..................");
    assert_bar(&axis, 1000, 3601000, "..........########..........");
    assert_bar(&axis, 3601000, 3602000, "..................##########");
    assert_bar(&axis, 500, 3601500, ".....##################.....");
}

static void columns_never_leave_the_axis(void)
{
    for (unsigned width = 1; width < 60; width++) {
        for (int64_t hold = 0; hold < 5; hold++) {
            PaintAxis axis = paint_axis(3, 3 + hold, 11, width);
            unsigned before = 0;

            for (int64_t ms = -2; ms < 20; ms++) {
                unsigned column = paint_column(&axis, ms);
                const Paint paint = {.unicode = false};
                g_autofree char *bar = paint_bar(&paint, &axis, ms, ms + 1);

                g_assert_cmpuint(column, >=, before);
                g_assert_cmpuint(column, <=, width);
                g_assert_cmpuint(strlen(bar), ==, width);
                before = column;
            }
        }
    }
}

static void an_operation_of_no_time_has_an_axis(void)
{
    PaintAxis axis = paint_axis(0, 0, 0, 4);

    assert_bar(&axis, 0, 0, "#...");
}

static void colours_only_where_wanted(void)
{
    const Paint plain = {.colour = false}, coloured = {.colour = true};

    g_assert_cmpstr(paint_on(&plain, PAINT_BAD), ==, "");
    g_assert_cmpstr(paint_off(&plain), ==, "");
    g_assert_cmpstr(paint_on(&coloured, paint_of("failed")), ==, "\033[31m");
    g_assert_cmpstr(paint_on(&coloured, paint_of("a new word")), ==, "");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/paint/durations", durations);
    g_test_add_func("/paint/bars_without_a_hold", bars_without_a_hold);
    g_test_add_func("/paint/the_hold_takes_few_columns", the_hold_takes_few_columns);
    g_test_add_func("/paint/columns_never_leave_the_axis", columns_never_leave_the_axis);
    g_test_add_func("/paint/an_operation_of_no_time", an_operation_of_no_time_has_an_axis);
    g_test_add_func("/paint/colours", colours_only_where_wanted);
    return g_test_run();
}
