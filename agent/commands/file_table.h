/*
 * file_table: the files that hosts have open, by handle.
 *
 * Handles are never given twice, not even by the next start of the service: a host that did not
 * notice it must not write into another's file. They count from 1000, as in the stock agent; a file
 * on tmpfs says where the next start goes on.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "sys/strand.h"

#define FILE_HANDLES_MAX 128u /* each has a thread; hosts open one or two, and close them */

typedef struct FileTable FileTable;

typedef struct {
    int64_t handle; /* 0: being opened */
    Strand *strand;
    gpointer job; /* who waits for the call that it is busy with; NULL: nobody does */
    void (*job_cancelled)(gpointer job);
} HostFile;

FileTable *file_table_new(const char *runtime_dir);
void file_table_free(FileTable *table); /* cancels jobs */
/* A thread without a file yet. NULL: too many, or no thread. */
HostFile *file_table_add(FileTable *table, GError **error);
HostFile *file_table_find(FileTable *table, int64_t handle); /* NULL: none, or not yet open */
/* It is open now: its handle; 0 when none could be had. */
int64_t file_table_opened(FileTable *table, HostFile *file, GError **error);
void file_table_remove(FileTable *table, HostFile *file);
bool file_table_is_empty(const FileTable *table);
