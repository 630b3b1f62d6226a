/*
 * exec_table: see exec_table.h.
 *
 * A record that was read stays, unseen, for as long as something holds the program's pipes: closing
 * them would kill a service that it started and that still writes there.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "commands/exec_table.h"

#include <errno.h>

struct ExecTable {
    GPtrArray *records; /* Record *, oldest first */
    ExecBudget budget;
};

typedef struct {
    ExecTable *table;
    Exec *exec;
    ExecTableStarted started; /* NULL: it has been called */
    gpointer user_data;
    GSource *expiry;
    bool read;
} Record;

static void record_free(gpointer data)
{
    Record *record = data;

    deadline_source_clear(&record->expiry);
    exec_free(record->exec);
    g_free(record);
}

ExecTable *exec_table_new(void)
{
    ExecTable *table = g_new0(ExecTable, 1);

    table->records = g_ptr_array_new_with_free_func(record_free);
    table->budget.max = EXEC_KEPT_MAX;
    return table;
}

void exec_table_free(ExecTable *table)
{
    if (!table)
        return;
    for (unsigned i = 0; i < table->records->len; i++) {
        Record *record = g_ptr_array_index(table->records, i);

        if (record->started)
            record->started(0, ECANCELED, record->user_data);
    }
    g_ptr_array_unref(table->records);
    g_free(table);
}

static Record *find(const ExecTable *table, int64_t pid)
{
    for (unsigned i = 0; i < table->records->len; i++) {
        Record *record = g_ptr_array_index(table->records, i);

        if (!record->started && !record->read && exec_pid(record->exec) == pid)
            return record;
    }
    return NULL;
}

static void started(Exec *exec, int error, gpointer user_data)
{
    Record *record = user_data;
    ExecTable *table = record->table;
    ExecTableStarted callback = record->started;
    gpointer callback_data = record->user_data;
    pid_t pid = exec_pid(exec);
    Record *before = error == 0 ? find(table, pid) : NULL;

    record->started = NULL;
    /* Its number was given anew, so it has ended; who asks now means this one. */
    if (before)
        (void)g_ptr_array_remove(table->records, before);
    if (error != 0)
        (void)g_ptr_array_remove(table->records, record);
    callback(pid, error, callback_data);
}

static gboolean expired(gpointer user_data)
{
    Record *record = user_data;

    (void)g_ptr_array_remove(record->table->records, record);
    return G_SOURCE_REMOVE;
}

static void over(Exec *exec, gpointer user_data)
{
    Record *record = user_data;

    (void)exec;
    record->expiry = deadline_source_new(deadline_in(EXEC_UNREAD_US), expired, record);
}

static void drained(Exec *exec, gpointer user_data)
{
    Record *record = user_data;

    (void)exec;
    if (record->read)
        (void)g_ptr_array_remove(record->table->records, record);
}

/* The record that is missed least. */
static Record *expendable(const ExecTable *table)
{
    Record *unread = NULL;

    for (unsigned i = 0; i < table->records->len; i++) {
        Record *record = g_ptr_array_index(table->records, i);

        if (record->read)
            return record;
        if (!unread && exec_is_over(record->exec))
            unread = record;
    }
    return unread;
}

bool exec_table_start(ExecTable *table, ExecSpec *spec, ExecTableStarted callback,
                      gpointer user_data, GError **error)
{
    static const ExecEvents EVENTS = {started, over, drained};
    Record *record = NULL;

    if (table->records->len >= EXEC_RECORDS_MAX) {
        record = expendable(table);
        if (!record) {
            g_free(spec->input);
            g_set_error(error, AGENT_ERROR, AGENT_ERROR_LIMIT,
                        "%u commands of guest-exec are still running; wait for one to end",
                        EXEC_RECORDS_MAX);
            return false;
        }
        (void)g_ptr_array_remove(table->records, record);
    }
    spec->budget = &table->budget;
    record = g_new0(Record, 1);
    *record = (Record){.table = table, .started = callback, .user_data = user_data};
    g_ptr_array_add(table->records, record);
    record->exec = exec_start(spec, &EVENTS, record);
    return true;
}

Exec *exec_table_find(const ExecTable *table, int64_t pid)
{
    Record *record = find(table, pid);

    return record ? record->exec : NULL;
}

void exec_table_read(ExecTable *table, Exec *exec)
{
    Record *record = find(table, exec_pid(exec));

    if (!record)
        return;
    record->read = true;
    deadline_source_clear(&record->expiry);
    if (exec_is_drained(exec))
        (void)g_ptr_array_remove(table->records, record);
}

unsigned exec_table_count(const ExecTable *table)
{
    return table->records->len;
}
