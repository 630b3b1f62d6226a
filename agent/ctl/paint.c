/*
 * paint: see paint.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "ctl/paint.h"

#include <langinfo.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define HOLD_COLUMNS 8u /* of the axis, for the hold */

Paint paint_detect(bool no_colour)
{
    const char *terminal = g_getenv("TERM"), *refused = g_getenv("NO_COLOR");
    struct winsize size = {0};
    Paint paint = {.width = PAINT_WIDTH};

    paint.unicode = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    paint.colour = !no_colour && isatty(STDOUT_FILENO) && terminal &&
                   strcmp(terminal, "dumb") != 0 && !(refused && *refused);
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        paint.width = CLAMP(size.ws_col, PAINT_WIDTH_MIN, PAINT_WIDTH_MAX);
    return paint;
}

const char *paint_on(const Paint *paint, PaintColour colour)
{
    static const char *const CODES[] = {
        [PAINT_PLAIN] = "",       [PAINT_GOOD] = "\033[32m", [PAINT_WARN] = "\033[33m",
        [PAINT_BAD] = "\033[31m", [PAINT_DIM] = "\033[2m",   [PAINT_BOLD] = "\033[1m",
    };

    return paint->colour ? CODES[colour] : "";
}

const char *paint_off(const Paint *paint)
{
    return paint->colour ? "\033[0m" : "";
}

PaintColour paint_of(const char *word)
{
    static const struct {
        const char *word;
        PaintColour colour;
    } WORDS[] = {
        {"ok", PAINT_GOOD},         {"frozen", PAINT_GOOD},    {"application", PAINT_GOOD},
        {"thawed", PAINT_GOOD},     {"run", PAINT_GOOD},       {"freeze", PAINT_GOOD},
        {"filesystem", PAINT_WARN}, {"late", PAINT_WARN},      {"skipped", PAINT_DIM},
        {"skip", PAINT_DIM},        {"cancelled", PAINT_WARN}, {"refused", PAINT_WARN},
        {"failed", PAINT_BAD},      {"timed-out", PAINT_BAD},  {"lost", PAINT_BAD},
        {"crash", PAINT_BAD},       {"busy", PAINT_BAD},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(WORDS); i++)
        if (strcmp(WORDS[i].word, word) == 0)
            return WORDS[i].colour;
    return PAINT_PLAIN;
}

char *paint_duration(int64_t ms)
{
    if (ms < 1000)
        return g_strdup_printf("%" G_GINT64_FORMAT " ms", MAX(ms, 0));
    if (ms < 10 * 1000)
        return g_strdup_printf("%.2f s", (double)ms / 1000);
    if (ms < 120 * 1000)
        return g_strdup_printf("%.1f s", (double)ms / 1000);
    return g_strdup_printf("%" G_GINT64_FORMAT " min %" G_GINT64_FORMAT " s", ms / 60000,
                           ms / 1000 % 60);
}

char *paint_bytes(int64_t bytes)
{
    return g_format_size_full((guint64)MAX(bytes, 0), G_FORMAT_SIZE_IEC_UNITS);
}

char *paint_time(int64_t unix_ms)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_local(unix_ms / 1000);
    char *text = time ? g_date_time_format(time, "%Y-%m-%d %H:%M:%S") : NULL;

    return text ? text : g_strdup("?");
}

PaintAxis paint_axis(int64_t hold_from, int64_t hold_to, int64_t end, unsigned width)
{
    PaintAxis axis = {hold_from, hold_to, MAX(end, 1), width, 0};

    if (hold_to <= hold_from) {
        axis.hold_from = axis.hold_to = axis.end;
        return axis;
    }
    axis.end = MAX(end, hold_to + 1);
    axis.hold_width = MIN(HOLD_COLUMNS, width / 3);
    return axis;
}

unsigned paint_column(const PaintAxis *axis, int64_t ms)
{
    int64_t hold = axis->hold_to - axis->hold_from;
    int64_t busy = MAX(axis->end - hold, 1);
    unsigned columns = axis->width - axis->hold_width;
    unsigned before = (unsigned)(axis->hold_from * columns / busy);
    int64_t at = CLAMP(ms, 0, axis->end);

    if (at <= axis->hold_from)
        return (unsigned)(at * columns / busy);
    if (at < axis->hold_to)
        return before + (unsigned)((at - axis->hold_from) * axis->hold_width / hold);
    return MIN((unsigned)((at - hold) * columns / busy) + axis->hold_width, axis->width);
}

char *paint_bar(const Paint *paint, const PaintAxis *axis, int64_t from, int64_t to)
{
    unsigned first = MIN(paint_column(axis, from), axis->width - 1);
    unsigned last = MAX(paint_column(axis, to), first + 1);
    GString *bar = g_string_new(NULL);

    for (unsigned i = 0; i < axis->width; i++) {
        bool inside = i >= first && i < last;

        if (paint->unicode)
            g_string_append(bar, inside ? "█" : "·");
        else
            g_string_append_c(bar, inside ? '#' : '.');
    }
    return g_string_free(bar, FALSE);
}
