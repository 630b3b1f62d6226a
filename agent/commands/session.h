/*
 * session: one host connection: bytes in, requests in order, replies in order.
 *
 * Requests are served one at a time, in the order in which they came; while one waits (a freeze),
 * later ones queue up to SESSION_QUEUE_REQUESTS and SESSION_QUEUE_BYTES. A sync or thaw whose bytes
 * arrived after a freeze began on this session says that nobody waits for that freeze any more. A
 * request left unfinished for SESSION_SILENCE_US is dropped with one error.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "commands/commands.h"

#define SESSION_QUEUE_REQUESTS 256u               /* no host pipelines more than two */
#define SESSION_QUEUE_BYTES    ((size_t)64 << 20) /* of waiting requests: one of the largest */
#define SESSION_TURN_US        (5 * USEC_PER_MSEC) /* a read may bring a hundred requests of some ms */
#define SESSION_SILENCE_US     (5 * USEC_PER_SEC) /* libvirt gives a sync 5 s, then it starts anew */

typedef struct Session Session;

typedef struct {
    const char *channel;
    bool observe;
    void (*send)(void *bytes, size_t count, gpointer user_data); /* takes over what was malloc'ed */
    /* After session_eof(): everything is answered, the connection may be closed. May be NULL. The
     * session must not be freed from within. */
    void (*finished)(gpointer user_data);
    gpointer user_data;
} SessionSpec;

Session *session_new(Commands *commands, const SessionSpec *spec);
void session_free(Session *session); /* the peer left; what runs is orphaned */
void session_data(Session *session, const uint8_t *bytes, size_t count);
bool session_is_idle(const Session *session); /* no request is under way, or half received */
/* The next host may be there: what is half received is dropped. True: answers are owed. */
bool session_parted(Session *session);
void session_eof(Session *session); /* no more requests will come; answers still go out */
