/*
 * Tests of quiesce/archive: what is written when, read back, and what damage costs.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "loop_rig.h"

#include "quiesce/archive.h"
#include "quiesce/json.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    char *directory, *file;
    Log *log;
    History *history;
    Metrics metrics;
    Archive *archive;
} Fixture;

static void open_archive(Fixture *f)
{
    f->history = history_new();
    f->metrics = (Metrics){0};
    f->archive = archive_new(f->directory, f->log, f->history, &f->metrics);
}

static void close_archive(Fixture *f)
{
    archive_free(f->archive);
    history_free(f->history);
}

static void set_up(Fixture *f, gconstpointer data)
{
    (void)data;
    f->directory = g_dir_make_tmp("archive-XXXXXX", NULL);
    f->file = g_build_filename(f->directory, "history", NULL);
    open_archive(f);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    (void)data;
    close_archive(f);
    (void)g_unlink(f->file);
    g_assert_cmpint(g_rmdir(f->directory), ==, 0); /* nothing half-written is left */
    g_free(f->directory);
    g_free(f->file);
}

static void add(Fixture *f, unsigned number)
{
    g_autofree char *operation = g_strdup_printf("00000000-0000-4000-8000-%012u", number);
    Report *report = report_new(operation, false, "default");

    report->result = REPORT_OK;
    report->level = LEVEL_APPLICATION;
    history_add(f->history, report);
    metrics_count(&f->metrics, report);
    report_unref(report);
}

static void set_flag(gpointer user_data)
{
    *(bool *)user_data = true;
}

static void save(Fixture *f)
{
    bool done = false;

    archive_touch(f->archive);
    archive_flush(f->archive, set_flag, &done);
    loop_until(done);
}

static void load(Fixture *f)
{
    bool done = false;

    archive_load(f->archive);
    archive_flush(f->archive, set_flag, &done);
    loop_until(done);
}

static char *text_of(Fixture *f, unsigned index)
{
    size_t budget = ARCHIVE_REPORT_MAX;
    bool truncated = false;
    json_t *object = quiesce_one_report_json(history_nth(f->history, index), &budget, &truncated);
    char *text = json_dumps(object, JSON_SORT_KEYS);

    json_decref(object);
    return text;
}

static void test_kept(Fixture *f, gconstpointer data)
{
    char *before, *after;
    struct stat status;

    (void)data;
    load(f);
    for (unsigned i = 0; i < 3; i++)
        add(f, i);
    save(f);
    g_assert_cmpint(stat(f->file, &status), ==, 0);
    g_assert_cmpint(status.st_mode & 0777, ==, 0600);
    before = text_of(f, 1);
    close_archive(f);
    open_archive(f);
    add(f, 7);
    add(f, 2); /* also made of the ledger: once is enough */
    load(f);
    g_assert_nonnull(history_nth(f->history, 3));
    g_assert_null(history_nth(f->history, 4));
    g_assert_cmpint(f->metrics.results[0], ==, 5);
    after = text_of(f, 2);
    g_assert_cmpstr(before, ==, after);
    free(before);
    free(after);
    save(f); /* what was read is written again */
    close_archive(f);
    open_archive(f);
    load(f);
    g_assert_nonnull(history_nth(f->history, 3));
}

static void test_only_when_permitted(Fixture *f, gconstpointer data)
{
    (void)data;
    load(f);
    add(f, 1);
    archive_permit(f->archive, false);
    archive_touch(f->archive);
    (void)loop_for(MSEC(100));
    g_assert_cmpint(access(f->file, F_OK), !=, 0);
    archive_permit(f->archive, true);
    loop_until(access(f->file, F_OK) == 0);
}

/* Written before the old ones were read, they would be gone. */
static void test_not_before_it_is_read(Fixture *f, gconstpointer data)
{
    (void)data;
    archive_permit(f->archive, true);
    add(f, 1);
    archive_touch(f->archive);
    (void)loop_for(MSEC(100));
    g_assert_cmpint(access(f->file, F_OK), !=, 0);
    archive_load(f->archive);
    loop_until(access(f->file, F_OK) == 0);
}

static void test_damage(Fixture *f, gconstpointer data)
{
    static const char *const BAD[] = {
        "rubbish",
        "{}\n",
        "{\"quiesced-history\":2,\"metrics\":{}}\n",
        "{\"quiesced-history\":1,\"metrics\":{}}\n",
        "\xff\xfe",
        "\n\n\n",
    };

    (void)data;
    for (unsigned i = 0; i < G_N_ELEMENTS(BAD); i++) {
        g_assert_true(g_file_set_contents(f->file, BAD[i], -1, NULL));
        close_archive(f);
        open_archive(f);
        load(f);
        g_assert_null(history_nth(f->history, 0));
        add(f, i);
        save(f); /* begun anew */
        close_archive(f);
        open_archive(f);
        load(f);
        g_assert_nonnull(history_nth(f->history, 0));
    }
}

/* The counters and the lines before the damage are good. */
static void test_cut_off(Fixture *f, gconstpointer data)
{
    g_autofree char *text = NULL;
    gsize length = 0;

    (void)data;
    load(f);
    add(f, 1);
    add(f, 2);
    save(f);
    g_assert_true(g_file_get_contents(f->file, &text, &length, NULL));
    g_assert_true(g_file_set_contents(f->file, text, (gssize)length - 20, NULL));
    close_archive(f);
    open_archive(f);
    load(f);
    g_assert_nonnull(history_nth(f->history, 0));
    g_assert_null(history_nth(f->history, 1));
}

static void test_too_large(Fixture *f, gconstpointer data)
{
    g_autofree char *large = g_strnfill(ARCHIVE_BYTES_MAX + 1, ' ');
    g_autofree char *text = NULL;

    (void)data;
    g_assert_true(g_file_set_contents(f->file, large, -1, NULL));
    load(f);
    g_assert_null(history_nth(f->history, 0));
    add(f, 1);
    save(f);
    g_assert_true(g_file_get_contents(f->file, &text, NULL, NULL));
    g_assert_cmpint(text[0], ==, '{');
}

static void test_size_limits(Fixture *f, gconstpointer data)
{
    Participant participant = {.name = g_strnfill(1000, 'x')};
    struct stat status;

    (void)data;
    load(f);
    for (unsigned i = 0; i < REPORT_HISTORY; i++) {
        add(f, i);
        for (unsigned k = 0; k < 100; k++)
            (void)report_add_participant(history_nth(f->history, 0), &participant);
    }
    save(f);
    g_assert_cmpint(stat(f->file, &status), ==, 0);
    g_assert_cmpint(status.st_size, <=, (off_t)ARCHIVE_BYTES_MAX);
    g_assert_cmpint(status.st_size, >, (off_t)(ARCHIVE_BYTES_MAX - 2 * ARCHIVE_REPORT_MAX));
    close_archive(f);
    open_archive(f);
    load(f);
    g_assert_cmpstr(history_nth(f->history, 0)->operation, ==,
                    "00000000-0000-4000-8000-000000000099");
    g_free(participant.name);
}

static void test_cannot_be_written(Fixture *f, gconstpointer data)
{
    char *real = f->directory;

    (void)data;
    close_archive(f);
    f->directory = (char *)"/proc/nonexistent";
    open_archive(f);
    load(f);
    add(f, 1);
    save(f);
    save(f);
    f->directory = real;
    close_archive(f);
    open_archive(f);
}

static void test_nowhere(Fixture *f, gconstpointer data)
{
    char *real = f->directory;

    (void)data;
    close_archive(f);
    f->directory = NULL;
    open_archive(f);
    load(f);
    save(f);
    f->directory = real;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*func)(Fixture *f, gconstpointer data);
    } TESTS[] = {
        {"/archive/kept", test_kept},
        {"/archive/only_when_permitted", test_only_when_permitted},
        {"/archive/not_before_it_is_read", test_not_before_it_is_read},
        {"/archive/damage", test_damage},
        {"/archive/cut_off", test_cut_off},
        {"/archive/too_large", test_too_large},
        {"/archive/size_limits", test_size_limits},
        {"/archive/cannot_be_written", test_cannot_be_written},
        {"/archive/nowhere", test_nowhere},
    };

    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(TESTS); i++)
        g_test_add(TESTS[i].name, Fixture, NULL, set_up, TESTS[i].func, tear_down);
    return g_test_run();
}
