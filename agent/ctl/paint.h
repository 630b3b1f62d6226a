/*
 * paint: how things look on a terminal: colours, bars, durations. Pure but for paint_detect().
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum { PAINT_PLAIN, PAINT_GOOD, PAINT_WARN, PAINT_BAD, PAINT_DIM, PAINT_BOLD } PaintColour;

typedef struct {
    bool colour;    /* a terminal, and NO_COLOR is not set */
    bool unicode;   /* the locale's character set has block elements */
    unsigned width; /* columns */
} Paint;

#define PAINT_WIDTH     80u  /* where there is no terminal to ask */
#define PAINT_WIDTH_MIN 60u  /* narrower ones wrap */
#define PAINT_WIDTH_MAX 160u /* wider bars say no more */

Paint paint_detect(bool no_colour);
const char *paint_on(const Paint *paint, PaintColour colour); /* "" without colour */
const char *paint_off(const Paint *paint);
/* Of a step's, filesystem's or operation's result, or of a level. */
PaintColour paint_of(const char *word);

/* "31 ms", "1.50 s", "4 min 10 s"; to be freed. */
char *paint_duration(int64_t ms);
char *paint_bytes(int64_t bytes);  /* "512 KiB", "73.4 MiB" */
char *paint_time(int64_t unix_ms); /* "2026-01-31 12:00:05", local */

/* A time axis on which the long hold between freeze and thaw takes a few columns only. */
typedef struct {
    int64_t hold_from, hold_to, end; /* ms; equal: no hold */
    unsigned width, hold_width;
} PaintAxis;
PaintAxis paint_axis(int64_t hold_from, int64_t hold_to, int64_t end, unsigned width);
unsigned paint_column(const PaintAxis *axis, int64_t ms);
/* `from` to `to` as a bar of at least one cell; to be freed. */
char *paint_bar(const Paint *paint, const PaintAxis *axis, int64_t from, int64_t to);
