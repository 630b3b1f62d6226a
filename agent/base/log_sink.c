/*
 * log_sink: see log_sink.h.
 *
 * The journal's native protocol: one datagram a record of "FIELD=value" lines; a value with line
 * breaks is sent as "FIELD", line break, its length as 64 bits little-endian, value, line break.
 * The address is given with each datagram, so that a restarted journald is found again.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "base/log_sink.h"
#include "base/text.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#define JOURNAL_PATH "/run/systemd/journal/socket"

/* "IDENTIFIER: warning: " and the line break; identifiers are program names. */
#define PREFIX_MAX 64u
G_STATIC_ASSERT(LOG_RECORD_MAX + PREFIX_MAX < PIPE_BUF);

struct LogSink {
    char *identifier;
    int fd; /* the journal's socket; -1: standard error */
    struct sockaddr_un address;
};

/* systemd sets JOURNAL_STREAM to the device and inode of the stream it made. A shell that sends
 * standard error elsewhere leaves the variable set, so the numbers must match. */
static bool stderr_is_journal(void)
{
    const char *stream = g_getenv("JOURNAL_STREAM");
    g_autofree char *own = NULL;
    struct stat status;

    if (!stream || fstat(STDERR_FILENO, &status) < 0)
        return false;
    own = g_strdup_printf("%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
    return strcmp(own, stream) == 0;
}

/* The units send standard error to /dev/null: a stream to the journal blocks while / is frozen.
 * What is logged then goes to the journal's own socket, which does not. */
static bool stderr_is_no_place(void)
{
    struct stat status;

    return g_getenv("INVOCATION_ID") && fstat(STDERR_FILENO, &status) == 0 &&
           S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3);
}

LogSink *log_sink_new(const char *identifier, const char *journal_path)
{
    LogSink *sink = g_new0(LogSink, 1);

    sink->identifier = g_strdup(identifier);
    sink->fd = -1;
    if (!journal_path && (stderr_is_journal() || stderr_is_no_place()))
        journal_path = JOURNAL_PATH;
    if (!journal_path || strlen(journal_path) >= sizeof sink->address.sun_path)
        return sink;
    sink->address.sun_family = AF_UNIX;
    memcpy(sink->address.sun_path, journal_path, strlen(journal_path) + 1);
    sink->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return sink;
}

void log_sink_free(LogSink *sink)
{
    if (!sink)
        return;
    if (sink->fd >= 0)
        close(sink->fd);
    g_free(sink->identifier);
    g_free(sink);
}

bool log_sink_is_journal(const LogSink *sink)
{
    return sink->fd >= 0;
}

static void append_field(GString *datagram, const char *name, const char *value)
{
    size_t length = strlen(value);
    uint64_t framed = GUINT64_TO_LE((uint64_t)length);

    if (!strchr(value, '\n')) {
        g_string_append_printf(datagram, "%s=%s\n", name, value);
        return;
    }
    g_string_append_printf(datagram, "%s\n", name);
    g_string_append_len(datagram, (const char *)&framed, sizeof framed);
    g_string_append_len(datagram, value, (gssize)length);
    g_string_append_c(datagram, '\n');
}

static int priority_of(LogLevel level)
{
    static const int priorities[] = {3, 4, 5, 6, 7}; /* syslog.h's err to debug */

    return priorities[level];
}

static LogSinkResult write_journal(const LogSink *sink, const LogRecord *record, int64_t held_us)
{
    g_autoptr(GString) datagram = g_string_sized_new(256);

    append_field(datagram, "MESSAGE", record->message);
    g_string_append_printf(datagram, "PRIORITY=%d\n", priority_of(record->level));
    append_field(datagram, "SYSLOG_IDENTIFIER", sink->identifier);
    if (*record->message_id)
        append_field(datagram, "MESSAGE_ID", record->message_id);
    if (record->fields)
        g_string_append(datagram, record->fields);
    /* The journal stamps what it receives when it receives it. */
    if (held_us > 0)
        g_string_append_printf(datagram, "HELD_USEC=%" G_GINT64_FORMAT "\n", held_us);
    if (sendto(sink->fd, datagram->str, datagram->len, MSG_NOSIGNAL,
               (const struct sockaddr *)&sink->address, sizeof sink->address) >= 0)
        return LOG_SINK_WRITTEN;
    /* A journald that restarts is gone for a moment; only a record it refuses is lost. */
    return errno == EMSGSIZE ? LOG_SINK_GONE : LOG_SINK_BUSY;
}

static LogSinkResult write_stderr(const LogSink *sink, const LogRecord *record)
{
    struct pollfd stream = {STDERR_FILENO, POLLOUT, 0};
    char text[LOG_RECORD_MAX + 1], line[LOG_RECORD_MAX + PREFIX_MAX + 1];
    int length = 0;

    text_line(text, sizeof text, record->message, (size_t)-1);
    length = g_snprintf(line, sizeof line, "%.32s: %s: %s\n", sink->identifier,
                        log_level_name(record->level), text);
    if (poll(&stream, 1, 0) <= 0)
        return LOG_SINK_BUSY;
    if (stream.revents & (POLLERR | POLLHUP | POLLNVAL))
        return LOG_SINK_GONE;
    /* A socket takes part of a line and would wait for the rest; MSG_DONTWAIT does not. */
    if (send(STDERR_FILENO, line, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
        return LOG_SINK_WRITTEN;
    if (errno != ENOTSOCK)
        return errno == EAGAIN ? LOG_SINK_BUSY : LOG_SINK_GONE;
    /* A pipe that polls writable has room for PIPE_BUF bytes, which is more than a line. */
    if (write(STDERR_FILENO, line, (size_t)length) >= 0)
        return LOG_SINK_WRITTEN;
    return errno == EAGAIN || errno == EINTR ? LOG_SINK_BUSY : LOG_SINK_GONE;
}

LogSinkResult log_sink_write(LogSink *sink, const LogRecord *record, int64_t held_us)
{
    return sink->fd >= 0 ? write_journal(sink, record, held_us) : write_stderr(sink, record);
}
