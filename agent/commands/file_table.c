/*
 * file_table: see file_table.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "commands/file_table.h"

#include <errno.h>

#define FIRST_HANDLE  INT64_C(1000)
#define RESERVE       1000 /* handles taken from the file at once, so that it is written seldom */
#define HANDLES_FILE  "file-handles"
#define HANDLE_DIGITS 20

struct FileTable {
    char *path;
    GPtrArray *files;       /* HostFile * */
    int64_t next, reserved; /* equal: none are */
};

static void file_free(gpointer data)
{
    HostFile *file = data;

    strand_free(file->strand);
    if (file->job)
        file->job_cancelled(file->job);
    g_free(file);
}

FileTable *file_table_new(const char *runtime_dir)
{
    FileTable *table = g_new0(FileTable, 1);

    table->path = g_build_filename(runtime_dir, HANDLES_FILE, NULL);
    table->files = g_ptr_array_new_with_free_func(file_free);
    return table;
}

void file_table_free(FileTable *table)
{
    if (!table)
        return;
    g_ptr_array_unref(table->files);
    g_free(table->path);
    g_free(table);
}

/* What the start before this one had not reserved. tmpfs: no disk is waited for. */
static bool find_first(FileTable *table, GError **error)
{
    g_autofree char *text = NULL;
    g_autoptr(GError) problem = NULL;

    if (g_file_get_contents(table->path, &text, NULL, &problem))
        table->next = MAX(g_ascii_strtoll(text, NULL, 10), FIRST_HANDLE);
    else if (g_error_matches(problem, G_FILE_ERROR, G_FILE_ERROR_NOENT))
        table->next = FIRST_HANDLE;
    else
        g_propagate_prefixed_error(error, g_steal_pointer(&problem),
                                   "no file handle can be reserved: ");
    return table->next != 0;
}

static bool reserve(FileTable *table, GError **error)
{
    g_autofree char *text = NULL;

    if (table->next == 0 && !find_first(table, error))
        return false;
    text = g_strdup_printf("%" G_GINT64_FORMAT "\n", table->next + RESERVE);
    if (!g_file_set_contents(table->path, text, -1, error)) {
        g_prefix_error(error, "no file handle can be reserved: ");
        return false;
    }
    table->reserved = table->next + RESERVE;
    return true;
}

HostFile *file_table_add(FileTable *table, GError **error)
{
    HostFile *file = NULL;
    Strand *strand = NULL;

    if (table->files->len >= FILE_HANDLES_MAX) {
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_LIMIT,
                    "%u files are open already; close some with guest-file-close",
                    FILE_HANDLES_MAX);
        return NULL;
    }
    strand = strand_new("file", error);
    if (!strand)
        return NULL;
    file = g_new0(HostFile, 1);
    file->strand = strand;
    g_ptr_array_add(table->files, file);
    return file;
}

HostFile *file_table_find(FileTable *table, int64_t handle)
{
    for (unsigned i = 0; i < table->files->len; i++) {
        HostFile *file = g_ptr_array_index(table->files, i);

        if (file->handle == handle && handle != 0)
            return file;
    }
    return NULL;
}

int64_t file_table_opened(FileTable *table, HostFile *file, GError **error)
{
    if (table->next == table->reserved && !reserve(table, error))
        return 0;
    file->handle = table->next++;
    return file->handle;
}

void file_table_remove(FileTable *table, HostFile *file)
{
    (void)g_ptr_array_remove(table->files, file);
}

bool file_table_is_empty(const FileTable *table)
{
    return table->files->len == 0;
}
