/*
 * keeper_rig: drives quiesced-keeper-fake through a socket pair, as the service would.
 *
 * Included by the tests of the keeper only. "Filesystems" are directories (see
 * tests/fake/keeper_fake_ops.c); the ledger is a memfd that the test looks into. The program is
 * $QUIESCED_KEEPER_FAKE, or quiesced-keeper-fake in the working directory.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "keeper/message.h"

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

#define RIG_MAX      256u
#define RIG_WAIT_MS  10000
#define RIG_LIMIT_US (30 * G_USEC_PER_SEC)

typedef struct {
    char *top;
    pid_t pid;
    int socket;
    unsigned count;
    int fds[RIG_MAX];
    uint32_t ranks[RIG_MAX], flags[RIG_MAX];
    int ledger_fd;
    KeeperLedgerHeader *ledger;
    KeeperMessage seen[4 * RIG_MAX]; /* since the last rig_forget() */
    unsigned n_seen;
} Rig;

const char *rig_program(void);
/* `count` directories, all rank 0, and a ledger, but no keeper. */
Rig *rig_new_unkept(unsigned count);
Rig *rig_new(unsigned count);
void rig_start(Rig *rig);
void rig_hang_up(Rig *rig);
/* Its exit status, or -1 when it does not end. */
int rig_exit_status(Rig *rig, int ms);
void rig_free(Rig *rig);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Rig, rig_free)

int rig_listen(const char *path); /* a socket like the keeper's */
/* A message, without waiting for what it is answered with; `fd` -1: none. */
void rig_send_raw(int socket, const void *data, size_t size, const int *fds, unsigned n_fds);
void rig_send(Rig *rig, const KeeperMessage *message, int fd);
void rig_ask(Rig *rig, KeeperMessageType type);
void rig_ask_arm(Rig *rig);
void rig_ask_freeze(Rig *rig, int64_t limit_us);

/* A step, answer included. */
void rig_hello(Rig *rig);
void rig_arm(Rig *rig);
void rig_freeze(Rig *rig);
void rig_disarm(Rig *rig);

bool rig_receive(Rig *rig, KeeperMessage *message, int ms);
/* Reads on until a message of this type. */
KeeperMessage rig_expect(Rig *rig, KeeperMessageType type);
/* The last THAW_DONE: a first one, of a thaw that took its time, has some pending yet. */
KeeperMessage rig_expect_thawed(Rig *rig);
void rig_refused(Rig *rig, int error_number);
const KeeperMessage *rig_seen(const Rig *rig, KeeperMessageType type, unsigned index);
unsigned rig_count(const Rig *rig, KeeperMessageType type);
void rig_forget(Rig *rig);
