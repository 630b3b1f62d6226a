/*
 * reply: one answer to one line of bytes.
 *
 * Plain C11 and jansson. Compact enough for every host: one line, ends in "}\n", never an embedded
 * newline. Spaces after ':' and ',' as the stock agent writes them; hosts match on them. Beyond
 * ASCII everything is escaped (\u00E9), as the stock agent does.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "proto/request.h"

/* Largest reply, its newline and 0xFF included: libvirt drops the agent when 10 MiB, less the
 * 1 KiB by which its buffer grows, hold no newline. */
#define REPLY_SIZE_MAX (((size_t)10 << 20) - 1024)

/* Return malloc'ed bytes (not NUL terminated; length in `*ret_length`) or NULL when memory is out.
 * `value` NULL means {}. `id` may be NULL. `delimited` puts 0xFF in front. References are borrowed.
 * A value that would make the reply larger than REPLY_SIZE_MAX becomes an error reply saying so; an
 * id that does is left out. */
char *reply_success(json_t *value, json_t *id, bool delimited, size_t *ret_length);
char *reply_error(const ProtoError *error, json_t *id, size_t *ret_length);

/* What a reply to a success begins with, for values written by others: those for whom the host
 * itself set the size (guest-file-read, guest-exec-status), which may be larger than
 * REPLY_SIZE_MAX. They write ASCII without line breaks behind it. */
#define REPLY_BEGIN "{\"return\": "
/* Adds id and end to such a reply. `begun` is malloc'ed and taken over; NULL when memory is out. */
char *reply_finish(char *begun, size_t length, json_t *id, size_t *ret_length);
