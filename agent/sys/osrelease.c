/*
 * osrelease: see osrelease.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/osrelease.h"

#include "sys/procfile.h"

#include <string.h>

char *osrelease_read(void)
{
    const char *only = g_getenv("QGA_OS_RELEASE");
    char *text = NULL;

    if (only)
        return procfile_whole(only, OSRELEASE_BYTES_MAX, NULL);
    text = procfile_whole("/etc/os-release", OSRELEASE_BYTES_MAX, NULL);
    return text ? text : procfile_whole("/usr/lib/os-release", OSRELEASE_BYTES_MAX, NULL);
}

/* In double quotes a backslash is one, except before these; the single quote is not the shell's,
 * but the stock agent's. */
static bool escapes(char quote, char next)
{
    return next != '\0' && (quote == '\0' || (quote == '"' && strchr("\"$`\\'", next)));
}

/* The word that `value`, up to `end`, begins with: quoted and unquoted parts put together. */
static char *unquote(const char *value, const char *end)
{
    GString *word = g_string_new(NULL);
    char quote = '\0';

    for (; value < end; value++) {
        if (!quote && strchr(" \t;", *value))
            break;
        if (*value == quote) {
            quote = '\0';
        } else if (!quote && (*value == '"' || *value == '\'')) {
            quote = *value;
        } else if (*value == '\\' && value + 1 < end && escapes(quote, value[1])) {
            value++;
            g_string_append_c(word, *value);
        } else {
            g_string_append_c(word, *value);
        }
    }
    return g_string_free(word, FALSE);
}

char *osrelease_value(const char *text, const char *key)
{
    size_t length = strlen(key);
    char *value = NULL;

    while (*text) {
        const char *end = strchrnul(text, '\n');
        const char *last = end;
        const char *line = text + strspn(text, " \t");

        while (last > line && strchr(" \t\r", last[-1]))
            last--;
        if (strncmp(line, key, length) == 0 && line[length] == '=') {
            g_free(value);
            value = unquote(line + length + 1, last);
        }
        text = *end ? end + 1 : end;
    }
    return value;
}
