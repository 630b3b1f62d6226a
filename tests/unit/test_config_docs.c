/*
 * test_config_docs: that the table of keys agrees with itself, with other modules' names, with the
 * example and with the manual.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "base/config_internal.h"
#include "quiesce/profile.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

/* Every default is a value that the key takes, and every word means what its layer knows. */
static void test_table(void)
{
    for (unsigned i = 0; i < config_keys_count; i++) {
        const ConfigKey *key = &config_keys[i];
        union {
            Config config;
            ConfigChannel channel;
        } base = {0};
        g_autoptr(GError) error = NULL;
        g_autofree char *value = NULL;

        config_value_set(key, &base, key->fallback ? key->fallback : "", &error);
        g_assert_no_error(error);
        value = config_value_format(key, &base);
        g_assert_cmpstr(value, ==, key->fallback ? key->fallback : "");
        config_value_clear(key, &base);
        if (strcmp(key->key, "level") == 0)
            for (LogLevel level = LOG_ERROR; level <= LOG_DEBUG; level++)
                g_assert_cmpstr(key->words[level], ==, log_level_name(level));
        if (strcmp(key->key, "host") == 0)
            for (unsigned w = 0; key->words[w]; w++)
                g_assert_true((profile_by_name(key->words[w]) != NULL) ==
                              (strcmp(key->words[w], "auto") != 0));
    }
}

/* Below the top of the source tree: as the test driver says, as automake says, or here. */
static char *read_document(const char *name)
{
    const char *driver = g_getenv("SRCDIR"), *automake = g_getenv("srcdir");
    const char *top = driver ? driver : automake ? automake : ".";
    g_autofree char *path = g_build_filename(top, name, NULL);
    g_autoptr(GError) error = NULL;
    char *text = NULL;

    g_file_get_contents(path, &text, NULL, &error);
    g_assert_no_error(error);
    return text;
}

/* Takes the '#' from "#[group]" and "#key=value"; prose starts with "# ". */
static char *uncomment(const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (char **line = lines; *line; line++)
        if (**line == '#' && ((*line)[1] == '[' || g_ascii_islower((*line)[1])))
            memmove(*line, *line + 1, strlen(*line));
    return g_strjoinv("\n", lines);
}

/* A Config that has read `text`. */
static Config *read_text(const char *text)
{
    g_autofree char *path = NULL;
    g_autoptr(GError) error = NULL;
    Config *config = config_new();
    int fd = g_file_open_tmp("config-XXXXXX", &path, NULL);

    g_assert_cmpint(fd, >=, 0);
    close(fd);
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    config_read(config, path, true, &error);
    g_unlink(path);
    g_assert_no_error(error);
    return config;
}

static void test_example(void)
{
    g_autofree char *text = read_document("docs/quiesced.conf.example");
    g_autofree char *plain = uncomment(text), *defaults = NULL, *read = NULL;
    g_auto(GStrv) lines = NULL;
    g_autoptr(Config) config = config_new();
    g_autoptr(Config) shipped = read_text(text);
    g_autoptr(Config) whole = read_text(plain);

    g_assert_true(config_finish(config, NULL));
    g_assert_true(config_finish(whole, NULL));
    g_assert_cmpuint(shipped->channels->len, ==, 0); /* it sets nothing */
    defaults = config_dump(config);
    read = config_dump(whole);
    g_assert_cmpstr(read, ==, defaults);
    /* And every key stands there, with the text of its default. */
    lines = g_strsplit(defaults, "\n", -1);
    for (char **line = lines; *line; line++) {
        g_autofree char *needle = g_strdup_printf("\n%s\n", *line);

        if (**line)
            g_assert_nonnull(strstr(plain, needle));
    }
}

/* Each key has its paragraph, in its group's section, with its default. */
static void test_manual(void)
{
    g_autofree char *source = read_document("docs/man/quiesced.conf.5");
    g_auto(GStrv) parts = g_strsplit(source, "\\-", -1);
    g_autofree char *text = g_strjoinv("-", parts);

    for (unsigned i = 0; i < config_keys_count; i++) {
        const ConfigKey *key = &config_keys[i];
        bool channel = strcmp(key->group, CONFIG_CHANNEL_GROUP) == 0;
        g_autofree char *section =
            g_strdup_printf(".SH \"GROUP [%s%s]\"\n", key->group, channel ? " NAME" : "");
        g_autofree char *entry = g_strdup_printf("\n.BR %s =", key->key);
        g_autofree char *fallback = g_strdup_printf(
            "(default %s", key->fallback && *key->fallback ? key->fallback : "empty");
        const char *start = strstr(text, section), *found = NULL, *end = NULL;
        g_autofree char *line = NULL;

        g_assert_nonnull(start);
        end = strstr(start + 1, "\n.SH ");
        found = g_strstr_len(start, end - start, entry);
        if (!found)
            g_error("%s is not in the section of [%s]", key->key, key->group);
        line = g_strndup(found + 1, strcspn(found + 1, "\n"));
        if (!channel && !strstr(line, fallback))
            g_error("'%s' does not say '%s'", line, fallback);
        for (unsigned w = 0; key->words && key->words[w]; w++)
            g_assert_nonnull(strstr(line, key->words[w]));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/config_docs/example_equals_the_defaults", test_example);
    g_test_add_func("/config_docs/manual_has_every_key", test_manual);
    g_test_add_func("/config_docs/table_agrees_with_itself_and_others", test_table);
    return g_test_run();
}
