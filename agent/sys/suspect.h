/*
 * suspect: one process that is likely to hold up the freeze of a filesystem, and what speaks for
 * it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <stdbool.h>

typedef enum {
    SUSPECT_LOOP,
    SUSPECT_SPLICE,
    SUSPECT_LISTENER,
    SUSPECT_WRITER,
    SUSPECT_JOURNAL
} SuspectKind;

/* What of its own a process has on a filesystem; the later the worse. */
typedef enum {
    SUSPECT_FILE_NONE,
    SUSPECT_FILE_FOLDER,  /* its working directory, other than "/" */
    SUSPECT_FILE_PROGRAM, /* what it executes */
    SUSPECT_FILE_OPEN,
    SUSPECT_FILE_WRITTEN, /* open for writing */
} SuspectFile;

typedef struct {
    SuspectKind kind;
    unsigned filesystem; /* in the order of suspects_input_add() */
    int pid;             /* 0: SUSPECT_LOOP */
    char name[32];       /* the process's, fit to be shown; SUSPECT_LOOP: "" */
    bool marked;         /* listener: it is asked about opens there */
    SuspectFile file;    /* listener, journal */
    const char *call;    /* splice, writer: static; else NULL */
    unsigned carrier;    /* loop: the filesystem that its file lies on */
} Suspect;
