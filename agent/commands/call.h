/*
 * call: one request being served, from its arguments to its answer.
 *
 * A command gets a Call and answers it exactly once, at once or later, with call_return() or
 * call_fail(), which free it. A call whose peer left is orphaned: its answer is dropped.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "commands/commands.h"
#include "proto/request.h"
#include <glib.h>

typedef struct Call Call;
typedef struct Command Command;

struct Command {
    const char *name;
    const ArgSpec *arguments;
    unsigned n_arguments;
    bool silent;       /* success-response false: no reply on success */
    bool while_frozen; /* touches no disk: answered while filesystems are frozen */
    bool changes;      /* refused on a channel with commands=observe */
    bool delimited;    /* 0xFF before the answer (guest-sync-delimited) */
    bool cancels;      /* arriving behind a freeze on its channel: nobody waits for that any more */
    bool waits;        /* the coordinator answers it: told when the peer leaves */
    void (*run)(Call *call);
};

typedef void (*CallAnswered)(Call *call, char *bytes, size_t length, gpointer user_data);

/* `request` is taken over (cleared in the caller). `answered` is called once with the reply line
 * (malloc'ed, taken over), or with NULL for a silent success; not after call_orphan(). */
Call *call_new(Commands *commands, const Command *command, Request *request, const char *channel,
               CallAnswered answered, gpointer user_data);
void call_run(Call *call);
void call_orphan(Call *call); /* the peer left; waiting calls are freed, others when they answer */
void call_cancel(Call *call); /* nobody waits; the coordinator answers it soon */

void call_return(Call *call, json_t *value); /* steals `value`; NULL: {} */
/* The same with a reply that was begun elsewhere, as large ones are: see reply_finish(). Steals
 * `bytes`. */
void call_return_begun(Call *call, char *bytes, size_t length);
void call_fail(Call *call, ProtoClass class, const char *format, ...) G_GNUC_PRINTF(3, 4);

Commands *call_commands(const Call *call);
const Command *call_command(const Call *call);
const char *call_channel(const Call *call);
/* Arguments, already checked against the command's specs. */
bool call_has(const Call *call, const char *name);
int64_t call_integer(const Call *call, const char *name, int64_t otherwise);
const char *call_string(const Call *call, const char *name); /* NULL: absent */
char **call_strings(const Call *call, const char *name);     /* new vector; NULL: absent */
bool call_flag(const Call *call, const char *name);          /* false: absent */
json_t *call_value(const Call *call, const char *name);      /* borrowed; NULL: absent */
json_t *call_take(Call *call, const char *name);             /* out of the request; NULL: absent */
