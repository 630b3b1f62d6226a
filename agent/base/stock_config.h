/*
 * stock_config: the options and the configuration file of the stock agent, qemu-ga.
 *
 * One table says each key of the file's group [general] and its option. What they say is laid over
 * a Config. Keys that the stock agent does not know are ignored as it does, but told; a value that
 * makes no sense, an unknown method and what cannot be a command's name are errors, where the stock
 * agent would run with less blocked than was written. Reading touches disks: at start and on
 * SIGHUP.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/config_read.h"

#define STOCK_CONFIG_PIDFILE "/var/run/qemu-ga.pid"

typedef enum { STOCK_FLAG, STOCK_TEXT, STOCK_LIST } StockKind;

typedef struct {
    const char *key;      /* in the file */
    const char *fallback; /* what --dump-conf shows when it is not set; NULL: nothing */
    size_t offset;        /* in StockConfig */
    StockKind kind;
    char letter;
    const char *option;
    const char *fixed; /* the value of the option without one; NULL: needs one */
    bool optional;     /* may have one, too */
} StockKey;

extern const StockKey stock_keys[];
extern const unsigned stock_keys_count;

typedef struct {
    char *text;   /* NULL: not set. Lists: as written, several joined by ','. Flags: "true" */
    char *origin; /* "FILE:LINE" or "--option" */
} StockValue;

typedef struct {
    StockValue daemonize, method, path, logfile, pidfile, hook, statedir, verbose, retry_path;
    StockValue block, allow;
    GPtrArray *ignored; /* char *: one line each on what was in the file in vain */
} StockConfig;

StockConfig *stock_config_new(void);
void stock_config_free(StockConfig *stock);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StockConfig, stock_config_free)

/* A missing file is an error when `required`. */
bool stock_config_read(StockConfig *stock, const char *path, bool required, GError **error);
/* Lists add up, everything else is replaced. */
bool stock_config_set(StockConfig *stock, const StockKey *key, const char *value,
                      const char *origin, GError **error);
bool stock_config_flag(const StockValue *value);
/* Before quiesced.conf is read: what qemu-ga does otherwise when it is told nothing. */
bool stock_config_prepare(Config *config, GError **error);
/* After it. With `activated` the channels come from the service manager. */
bool stock_config_apply(const StockConfig *stock, Config *config, bool activated, GError **error);
/* As qemu-ga --dump-conf prints it; an error when a path is missing. */
char *stock_config_dump(const StockConfig *stock, GError **error);
