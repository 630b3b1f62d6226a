/*
 * registrar: all applications that registered on the bus, and the limits on them.
 *
 * Everything a caller controls is bounded here: how many there are, how long names and options are,
 * how many registrations may be under way. Whoever crosses a limit gets an error and nobody else
 * notices. One that is refused or dies leaves nothing behind.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/config.h"
#include "base/log.h"
#include "bus/authority.h"
#include <gio/gio.h>
#include <jansson.h>

#define REGISTRAR_MAX             256u /* as many fds and match rules; the bus daemon allows 512 rules */
#define REGISTRAR_USER_MAX        64u /* of one user but root: a quarter is left to others */
#define REGISTRAR_CONNECTION_MAX  16u /* one program has some databases, not hundreds */
#define REGISTRAR_NAME_MAX        64u /* letters; fits into error texts of 200 bytes */
#define REGISTRAR_MOUNTPOINTS_MAX 64u
#define REGISTRAR_TIMEOUT_MS_MAX  600000u /* ten minutes; the freeze budget is less */

typedef struct Registrar Registrar;

Registrar *registrar_new(Log *log, Authority *authority);
void registrar_free(Registrar *registrar); /* every guard hangs up; NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Registrar, registrar_free)

/* Answers the method Register in its time. */
void registrar_register(Registrar *registrar, GDBusMethodInvocation *invocation);
/* The bus went: who holds something stays until the operation is over, the others end. */
void registrar_bus_gone(Registrar *registrar);
unsigned registrar_count(const Registrar *registrar);
/* A ParticipantSource: one more Participant for each. */
void registrar_join(GPtrArray *participants, gpointer registrar);
json_t *registrar_json(Registrar *registrar, const Config *config); /* of ListParticipants */
