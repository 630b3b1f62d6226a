/*
 * ctl: quiescectl, for the people inside the machine: what its files share.
 *
 * A program that runs once and ends. It may wait, but every wait has a deadline. Each command is a
 * function that prints to standard output and returns the exit status; errors go to standard error
 * by ctl_fail(). With --json a command prints exactly one JSON text, of the shapes that hosts get.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "ctl/client.h"
#include "ctl/paint.h"

/* Exit statuses; quiescectl(1) lists them. */
typedef enum {
    CTL_OK = 0,
    CTL_NO = 1, /* the answer is no: errors were found, a freeze failed or was not held */
    CTL_USAGE = 2,
    CTL_UNREACHABLE = 3, /* no bus, or the service does not run or answer */
    CTL_DENIED = 4,
} CtlExit;

typedef struct {
    bool json, offline, rehearse;
    char *config;     /* FILE of check, NULL: the installed one */
    int lines;        /* of history */
    int limit_s;      /* of freeze; 0: configured */
    char **arguments; /* after the command, never NULL */
    Paint paint;
} Ctl;

int ctl_status(const Ctl *ctl);
int ctl_plan(const Ctl *ctl);
int ctl_check(const Ctl *ctl);
int ctl_participants(const Ctl *ctl);
int ctl_history(const Ctl *ctl);
int ctl_show(const Ctl *ctl);
int ctl_freeze(const Ctl *ctl);
int ctl_thaw(const Ctl *ctl);
int ctl_monitor(const Ctl *ctl);
int ctl_metrics(const Ctl *ctl);

/* Prints "quiescectl: MESSAGE" and gives the exit status that belongs to the error. */
int ctl_fail(const GError *error);
int ctl_print_json(const json_t *value);
/* One call whose answer is JSON; NULL: it failed, was told, and `*ret_exit` is the status. */
json_t *ctl_ask(const char *method, GVariant *parameters, int timeout_ms, int *ret_exit);

/* show.c: one operation as guest-quiesce-report has it, as a timeline. */
void show_operation(const Ctl *ctl, const json_t *operation);

/* Members of JSON objects; what is absent or of another type is "" or `otherwise`. */
const char *fact_text(const json_t *object, const char *key);
int64_t fact_number(const json_t *object, const char *key, int64_t otherwise);
bool fact_true(const json_t *object, const char *key);
