/*
 * port_reader: one dispatch's reading: a small buffer until there is evidence of more.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PORT_READS 4u /* reads per dispatch, then the others' turn */

typedef struct {
    uint8_t small[4096];
    uint8_t *large;
    unsigned reads;
    bool filled;
} PortReader;
/* Bytes read, 0 at the end, or a negative errno; -EINPROGRESS when this dispatch has had enough. */
ssize_t port_reader_next(PortReader *reader, int fd, const uint8_t **ret_bytes);
void port_reader_clear(PortReader *reader);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(PortReader, port_reader_clear)
