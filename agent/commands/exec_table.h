/*
 * exec_table: the programs that hosts run, by pid, until their end was read.
 *
 * A record goes when its end was read, when it has not been for EXEC_UNREAD_US, and when there are
 * EXEC_RECORDS_MAX: then the oldest that has ended. Freeing the table ends no program.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "sys/exec.h"

#define EXEC_RECORDS_MAX 256u               /* three pipes each: a tenth of the fds we may have */
#define EXEC_KEPT_MAX    ((size_t)64 << 20) /* output of all of them; the rest is truncated */
#define EXEC_UNREAD_US   (3600 * USEC_PER_SEC) /* who has not asked by then has gone */

typedef struct ExecTable ExecTable;

/* `error` is an errno: nothing runs. */
typedef void (*ExecTableStarted)(pid_t pid, int error, gpointer user_data);

ExecTable *exec_table_new(void);
void exec_table_free(ExecTable *table); /* starts under way get ECANCELED */
/* `spec`'s budget is set here; its input is taken over in any case. False: too many are running. */
bool exec_table_start(ExecTable *table, ExecSpec *spec, ExecTableStarted started,
                      gpointer user_data, GError **error);
Exec *exec_table_find(const ExecTable *table, int64_t pid); /* NULL: none, or it was read */
void exec_table_read(ExecTable *table, Exec *exec);         /* its end: it is found no more */
unsigned exec_table_count(const ExecTable *table);
