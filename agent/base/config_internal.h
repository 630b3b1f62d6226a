/*
 * config_internal: the table of keys, shared by the config_*.c files and their tests only.
 *
 * One row per key says where its value is kept, what it may be and what it is by default; reading,
 * option names, errors and the dump all follow from it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "base/config_read.h"
#include <stddef.h>

#define CONFIG_CHANNEL_GROUP    "channel" /* [channel NAME] */
#define CONFIG_CHANNEL_NAME_MAX 32u       /* it stands in log lines and error texts */
#define CONFIG_SHOWN_MAX        64        /* bytes of a wrong value that its error quotes */
#define CONFIG_TIME_MAX_US      (INT64_C(24) * 3600 * 1000000) /* longer is a slip of the unit */

typedef enum {
    CONFIG_TIME,   /* int64_t, microseconds */
    CONFIG_REPLY,  /* the same or CONFIG_REPLY_AUTO */
    CONFIG_FLAG,   /* bool: words[0] is false, words[1] true */
    CONFIG_CHOICE, /* enum: the index in words */
    CONFIG_WORD,   /* char *: one of words */
    CONFIG_PATH,   /* char *: absolute */
    CONFIG_TEXT,   /* char *: anything */
    CONFIG_LIST,   /* char **: anything */
    CONFIG_PATHS,  /* char **: absolute */
    CONFIG_NAMES,  /* char **: letters, digits, '-', '_' */
} ConfigKind;

typedef struct {
    const char *group, *key;
    ConfigKind kind;
    size_t offset;        /* in Config, in ConfigChannel for CONFIG_CHANNEL_GROUP */
    const char *fallback; /* the default as a file would say it; NULL: an empty value is NULL */
    const char *const *words;
    int64_t min_us;
    const char *reason; /* why a time under min_us, or an empty list, is refused */
} ConfigKey;

extern const ConfigKey config_keys[];
extern const unsigned config_keys_count;

/* What config.h promises plus where values came from, for the errors of config_finish(). */
typedef struct {
    Config config;
    char **origins; /* by index in config_keys; NULL: not set */
} ConfigStore;

typedef struct {
    ConfigChannel channel;
    char *origin;
} ConfigChannelStore;

/* `base`: Config or ConfigChannel. Errors say what is wrong with the value and what to write. */
bool config_value_set(const ConfigKey *key, void *base, const char *value, GError **error);
char *config_value_format(const ConfigKey *key, const void *base);
void config_value_clear(const ConfigKey *key, void *base);
char *config_format_time(int64_t time_us); /* what config_parse_time() reads back */
bool config_is_name(const char *text, size_t max);

/* Always false: the errors for names that do not exist, with those that come near. */
bool config_unknown_group(const char *group, GError **error);
bool config_unknown_key(const char *group, const char *key, GError **error);
