/*
 * ask: commands that ask the system something, and how long a host waits for it.
 *
 * What a Question gathers is gathered in a thread, one at a time for each question: who asks
 * meanwhile gets the same answer. An answer that is late is not waited for where an earlier one is
 * known; a thread that hangs in the kernel is waited for by nobody, and no second one is started.
 * While filesystems are frozen, questions that a disk may hold up are answered from memory only.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "commands/call.h"
#include "sys/probe.h"

#define ASK_FRESH_US    (80 * USEC_PER_MSEC) /* pollers get an answer within 100 ms */
#define ASK_PROBE_US    (50 * USEC_PER_MSEC) /* of it, for things that answer one by one */
#define ASK_PATIENCE_US (3 * USEC_PER_SEC)   /* with nothing to fall back on: libvirt waits 5 s */
#define ASK_HANG_US     (30 * USEC_PER_SEC)  /* an answer that comes later is not used */
/* A list stops here. Stock replies have no way to say so; libvirt takes 10 MiB, and people read
 * none of it. Some 10 000 interfaces fit. */
#define ASK_REPLY_MAX ((size_t)4 << 20)
/* Elements: a router's 100 000 routes would take 100 MiB for good. */
#define ASK_REMEMBER_MAX 1024u

struct Question {
    const char *name; /* of the thread: 15 characters */
    /* In a thread. A new reference, or NULL with `error`, whose text the host gets. With `probe` it
     * is an array, and `names` gets what each element is to be probed by, "" for nothing. */
    json_t *(*gather)(const AskPaths *paths, GPtrArray *names, GError **error);
    bool disk;       /* it may wait for a disk: while frozen from memory only */
    bool remember;   /* the last answer is better than none; with `disk` always */
    ProbeFunc probe; /* NULL: none */
    size_t answer_size;
    void (*add)(json_t *element, const void *answer);
};
typedef struct Question Question;

/* Appends and takes over `item` unless `*budget` bytes do not hold it; false: the list is full. For
 * gather(), with `*budget` ASK_REPLY_MAX at first. */
bool ask_append(json_t *list, json_t *item, size_t *budget);
/* All of an array in that way; NULL for NULL. */
json_t *ask_list(const GArray *array, json_t *(*item_json)(const void *item));

typedef struct Asker Asker;

Asker *asker_new(const AskPaths *paths); /* strings are the caller's */
void asker_free(Asker *asker);           /* calls still waiting fail */
/* Answers `call`, at once or later. `frozen`: no disk may be touched. */
void ask(Asker *asker, const Question *question, Call *call, bool frozen);
/* Asks for the sake of what is remembered. */
void ask_ahead(Asker *asker, const Question *question);
