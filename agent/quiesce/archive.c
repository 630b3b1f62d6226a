/*
 * archive: see archive.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/archive.h"

#include "base/deadline.h"
#include "quiesce/json.h"
#include "sys/offload.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC  "quiesced-history"
#define FORMAT 1

struct Archive {
    char *directory;
    Log *log;
    History *history;
    Metrics *metrics;
    Offload *work; /* reading or writing */
    bool loaded, dirty, permitted, warned;
    GSource *flush;
    void (*flushed)(gpointer user_data);
    gpointer flushed_data;
};

/* What a thread works on, and what it found. */
typedef struct {
    char *directory;
    GString *text; /* to be written, or what was read */
    char *problem; /* NULL: fine */
} Job;

static void job_free(gpointer data)
{
    Job *job = data;

    g_free(job->directory);
    if (job->text)
        g_string_free(job->text, TRUE);
    g_free(job->problem);
    g_free(job);
}

static char *problem_with(const char *path)
{
    return g_strdup_printf("%s: %s", path, g_strerror(errno));
}

/* --- threads -----------------------------------------------------------------------------------
 */

/* False with errno. */
static bool read_all(int fd, GString *text)
{
    char bytes[4096];
    ssize_t count;

    while ((count = read(fd, bytes, sizeof bytes)) != 0) {
        if (count < 0)
            return false;
        g_string_append_len(text, bytes, count);
        if (text->len > ARCHIVE_BYTES_MAX) {
            errno = EFBIG;
            return false;
        }
    }
    return true;
}

static gpointer load_thread(gpointer data)
{
    const Job *input = data;
    Job *job = g_new0(Job, 1);
    g_autofree char *path = g_build_filename(input->directory, "history", NULL);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    job->text = g_string_new(NULL);
    if (fd < 0 && errno == ENOENT)
        return job;
    if (fd < 0 || !read_all(fd, job->text))
        job->problem = problem_with(path);
    if (fd >= 0)
        close(fd);
    return job;
}

static bool write_all(int fd, const GString *text)
{
    for (size_t done = 0; done < text->len;) {
        ssize_t count = write(fd, text->str + done, text->len - done);

        if (count < 0)
            return false;
        done += (size_t)count;
    }
    return fsync(fd) == 0;
}

static gpointer save_thread(gpointer data)
{
    const Job *input = data;
    Job *job = g_new0(Job, 1);
    g_autofree char *path = g_build_filename(input->directory, "history", NULL);
    g_autofree char *next = g_strconcat(path, ".new", NULL);
    int fd;

    (void)g_mkdir_with_parents(input->directory, 0700);
    (void)unlink(next);
    fd = open(next, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || !write_all(fd, input->text) || rename(next, path) < 0)
        job->problem = problem_with(next);
    if (fd >= 0)
        close(fd);
    return job;
}

/* --- the file's text ---------------------------------------------------------------------------
 */

static void append_line(GString *text, json_t *object)
{
    char *line = json_dumps(object, JSON_COMPACT);

    json_decref(object);
    if (line && text->len + strlen(line) + 1 <= ARCHIVE_BYTES_MAX) {
        g_string_append(text, line);
        g_string_append_c(text, '\n');
    }
    free(line);
}

static GString *make_text(const Archive *archive)
{
    GString *text = g_string_new(NULL);
    json_t *header =
        json_pack("{si so}", MAGIC, FORMAT, "metrics", metrics_to_json(archive->metrics));
    const Report *report = NULL;

    append_line(text, header);
    for (unsigned i = 0; (report = history_nth(archive->history, i)); i++) {
        size_t budget = ARCHIVE_REPORT_MAX;
        bool truncated = false;

        append_line(text, quiesce_one_report_json(report, &budget, &truncated));
    }
    return text;
}

/* False: not a line that was written here. */
static bool take_report(const char *line, History *history)
{
    json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
    const char *operation = json_string_value(json_object_get(object, "operation"));
    const char *result = json_string_value(json_object_get(object, "result"));
    bool fine = operation && g_uuid_string_is_valid(operation) && result;
    Report *known = fine ? history_find(history, operation) : NULL;
    bool told = json_is_true(json_object_get(object, "verdict-delivered"));

    /* The host may have been told since the line was written. */
    if (fine && !known)
        history_add_oldest(history, report_new_stored(operation, line, told));
    else if (fine && known->sketch && strcmp(report_result_name(known->result), result) == 0)
        history_replace(history, known,
                        report_new_stored(operation, line, told || known->verdict_delivered));
    json_decref(object);
    return fine;
}

static bool take_text(Archive *archive, const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    json_t *header = json_loads(lines[0], JSON_REJECT_DUPLICATES, NULL);
    bool fine = json_integer_value(json_object_get(header, MAGIC)) == FORMAT;
    Metrics metrics;

    fine = fine && metrics_from_json(&metrics, json_object_get(header, "metrics"));
    json_decref(header);
    if (!fine)
        return false;
    metrics_add(archive->metrics, &metrics);
    for (unsigned i = 1; lines[i] && *lines[i]; i++)
        if (!take_report(lines[i], archive->history))
            return false;
    return true;
}

/* --- main loop ---------------------------------------------------------------------------------
 */

static void write_if_due(Archive *archive);

static void warn(Archive *archive, const char *what, const char *problem)
{
    if (!archive->warned)
        log_warning(archive->log, "The history of earlier operations cannot be %s: %s", what,
                    problem);
    archive->warned = true;
}

static void end_flush(Archive *archive)
{
    void (*flushed)(gpointer) = g_steal_pointer(&archive->flushed);

    deadline_source_clear(&archive->flush);
    if (flushed)
        flushed(archive->flushed_data);
}

static void loaded(gpointer result, bool timed_out, gpointer user_data)
{
    Archive *archive = user_data;
    Job *job = result;

    archive->work = NULL;
    archive->loaded = true;
    if (timed_out || !job)
        warn(archive, "read", "the disk does not answer");
    else if (job->problem)
        warn(archive, "read", job->problem);
    else if (job->text->len > 0 && !take_text(archive, job->text->str))
        warn(archive, "read", "the file is damaged; begun anew");
    if (job)
        job_free(job);
    write_if_due(archive);
}

static void saved(gpointer result, bool timed_out, gpointer user_data)
{
    Archive *archive = user_data;
    Job *job = result;

    archive->work = NULL;
    if (timed_out || !job)
        warn(archive, "written", "the disk does not answer");
    else if (job->problem)
        warn(archive, "written", job->problem);
    if (job)
        job_free(job);
    write_if_due(archive);
    if (!archive->work)
        end_flush(archive);
}

static void start(Archive *archive, OffloadFunc func, GString *text, OffloadDone done)
{
    Job *input = g_new0(Job, 1);
    g_autoptr(GError) error = NULL;

    input->directory = g_strdup(archive->directory);
    input->text = text;
    archive->work = offload_run("archive", func, input, job_free, job_free,
                                deadline_in(ARCHIVE_WAIT_US), done, archive, &error);
    if (!archive->work)
        warn(archive, "kept", error->message);
}

/* Until the old ones are read nothing is written: they would be gone. */
static void write_if_due(Archive *archive)
{
    if (!archive->directory || !archive->loaded || archive->work || !archive->dirty ||
        (!archive->permitted && !archive->flushed))
        return;
    archive->dirty = false;
    start(archive, save_thread, make_text(archive), saved);
}

Archive *archive_new(const char *directory, Log *log, History *history, Metrics *metrics)
{
    Archive *archive = g_new0(Archive, 1);

    archive->directory = g_strdup(directory);
    archive->log = log;
    archive->history = history;
    archive->metrics = metrics;
    return archive;
}

void archive_free(Archive *archive)
{
    if (!archive)
        return;
    offload_cancel(archive->work);
    deadline_source_clear(&archive->flush);
    g_free(archive->directory);
    g_free(archive);
}

void archive_load(Archive *archive)
{
    if (!archive->directory || archive->loaded || archive->work)
        return;
    start(archive, load_thread, NULL, loaded);
    archive->loaded = archive->work == NULL;
}

void archive_touch(Archive *archive)
{
    archive->dirty = true;
    write_if_due(archive);
}

void archive_permit(Archive *archive, bool permitted)
{
    archive->permitted = permitted;
    write_if_due(archive);
}

static gboolean flush_over(gpointer user_data)
{
    end_flush(user_data);
    return G_SOURCE_REMOVE;
}

void archive_flush(Archive *archive, void (*done)(gpointer user_data), gpointer user_data)
{
    archive->flushed = done;
    archive->flushed_data = user_data;
    write_if_due(archive);
    if (archive->work)
        archive->flush = deadline_source_new(deadline_in(ARCHIVE_FLUSH_US), flush_over, archive);
    else
        end_flush(archive);
}
