/*
 * stock_options: the command line of a program that was started under the name qemu-ga.
 *
 * Takes what the stock agent takes, with its exit status: 0 for what only prints, 1 for what is
 * wrong. quiesced.conf is read as well; what qemu-ga's file and options say goes over it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/stock_config.h"

typedef struct StockOptions StockOptions;

bool stock_options_wanted(const char *program); /* whether argv[0] is qemu-ga */

/* NULL: everything has been said, `*ret_status` is the exit status. `default_file` may be NULL:
 * none. Reads the file too, so that a mistake shows at once. */
StockOptions *stock_options_new(int argc, char **argv, const char *default_file, int *ret_status);
void stock_options_free(StockOptions *options);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StockOptions, stock_options_free)

/* Lays what files and options say now over quiesced.conf, which is read first (it need not be
 * there); again on SIGHUP, in a
 * thread. */
Config *stock_options_load(const StockOptions *options, const char *config_file, GError **error);
/* Adds the files that stock_options_settle() will write; owned by `options`. */
void stock_options_writes(const StockOptions *options, GPtrArray *files);
/* Log file, and with --daemonize a process of its own; before anything has a thread. */
bool stock_options_settle(StockOptions *options, GError **error);
void stock_options_end(
    StockOptions *options); /* removes the pid file; frees nothing that is read */
/* The agent is about to serve; in the background whoever started it learns that. */
void stock_options_serving(StockOptions *options);
