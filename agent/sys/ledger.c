/*
 * ledger: see ledger.h.
 *
 * Two open file descriptions of the one file. One holds the flock and nothing else; the other is
 * mapped and goes to the keeper. A mapping and a passed fd keep their description alive, as does a
 * dead process with a thread stuck in the kernel, and the lock would stay with it.
 *
 * Data is stored before the flag that makes it count (release order). The file only ever grows: the
 * keeper may have it mapped.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/ledger_internal.h"

#include "base/deadline.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SIZE_OF(n_filesystems, n_participants)                                                     \
    (sizeof(KeeperLedgerHeader) + (n_filesystems) * sizeof(KeeperLedgerFilesystem) +               \
     (n_participants) * sizeof(KeeperLedgerParticipant))
#define SIZE_MAX_  SIZE_OF((size_t)KEEPER_FILESYSTEMS_MAX, (size_t)KEEPER_PARTICIPANTS_MAX)
#define OPEN_TRIES 3u /* the file was set aside by another while it was being opened */
/* A child that was just forked closes its copy of the lock's fd within milliseconds. */
#define LOCK_WAIT_US USEC_PER_SEC
#define LOCK_LOOK_MS 20 /* repeated: the first alarm can come before the wait that it is to end */

#ifndef sigev_notify_thread_id /* not every glibc has a name for the member */
#define sigev_notify_thread_id _sigev_un._tid
#endif

/* Cut at a character: the text is shown to people. */
void ledger_copy_text(char *target, size_t size, const char *source)
{
    const char *end;

    if (g_strlcpy(target, source ? source : "", size) >= size &&
        !g_utf8_validate(target, -1, &end) && strlen(end) < 4)
        target[end - target] = '\0';
}

/* --- the file ----------------------------------------------------------------------------------
 */

/* tmpfs that is full is found out here, and not by a signal at the first store. */
static bool grow(int fd, size_t size, GError **error)
{
    struct stat status;

    if (fallocate(fd, 0, 0, (off_t)size) == 0)
        return true;
    if (errno == EOPNOTSUPP && fstat(fd, &status) == 0 &&
        (status.st_size >= (off_t)size || ftruncate(fd, (off_t)size) == 0))
        return true;
    return agent_error_errno(error, AGENT_ERROR_UNAVAILABLE, errno,
                             "cannot lay out the ledger (%zu bytes); is /run full?", size);
}

static bool same_file(int fd, int other_fd, const char *path)
{
    struct stat a, b;

    if (fstat(fd, &a) != 0 || (other_fd >= 0 ? fstat(other_fd, &b) : lstat(path, &b)) != 0)
        return false;
    return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static bool is_valid(int fd)
{
    KeeperLedgerHeader header;
    struct stat status;

    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_uid != geteuid())
        return false;
    if (status.st_size == 0)
        return true;
    if (pread(fd, &header, sizeof header, 0) != sizeof header)
        return false;
    return header.magic == KEEPER_LEDGER_MAGIC && header.version == KEEPER_VERSION &&
           header.n_filesystems <= KEEPER_FILESYSTEMS_MAX &&
           header.n_participants <= KEEPER_PARTICIPANTS_MAX &&
           status.st_size >=
               (off_t)SIZE_OF((size_t)header.n_filesystems, (size_t)header.n_participants);
}

static bool set_aside(const char *path, GError **error)
{
    g_autofree char *bad = g_strconcat(path, ".bad", NULL);

    if (g_rename(path, bad) == 0)
        return true;
    return agent_error_errno(error, AGENT_ERROR_UNAVAILABLE, errno,
                             "%s is not a ledger and cannot be moved to %s; remove it", path, bad);
}

static bool report_locked(int fd, const char *path, GError **error)
{
    KeeperLedgerHeader header;

    if (errno != EWOULDBLOCK)
        return agent_error_errno(error, AGENT_ERROR_UNAVAILABLE, errno, "cannot lock %s", path);
    if (pread(fd, &header, sizeof header, 0) != sizeof header)
        header.service_pid = 0;
    g_set_error(error, AGENT_ERROR, AGENT_ERROR_UNAVAILABLE,
                "%s is in use by process %u; stop that one first", path, header.service_pid);
    return false;
}

static void on_alarm(int signal_number)
{
    (void)signal_number; /* it only ends flock() */
}

/* SIGALRM for this thread from LOCK_WAIT_US on. */
static bool set_alarm(timer_t *ret_timer)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM};
    struct itimerspec times = {
        .it_value = {.tv_sec = LOCK_WAIT_US / USEC_PER_SEC},
        .it_interval = {.tv_nsec = LOCK_LOOK_MS * 1000 * 1000},
    };

    event.sigev_notify_thread_id = gettid();
    if (timer_create(CLOCK_MONOTONIC, &event, ret_timer) != 0)
        return false;
    if (timer_settime(*ret_timer, 0, &times, NULL) == 0)
        return true;
    (void)timer_delete(*ret_timer);
    return false;
}

static bool wait_for_lock(int fd)
{
    struct sigaction ends_waits = {.sa_handler = on_alarm}, before;
    sigset_t alarm_only, mask;
    const Deadline end = deadline_in(LOCK_WAIT_US);
    bool locked = false;
    timer_t timer;

    (void)sigemptyset(&alarm_only);
    (void)sigaddset(&alarm_only, SIGALRM);
    (void)sigaction(SIGALRM, &ends_waits, &before);
    (void)pthread_sigmask(SIG_UNBLOCK, &alarm_only, &mask);
    if (set_alarm(&timer)) {
        while (!(locked = flock(fd, LOCK_EX) == 0) && errno == EINTR && !deadline_passed(end))
            ;
        (void)timer_delete(timer);
    }
    (void)pthread_sigmask(SIG_SETMASK, &mask, NULL);
    (void)sigaction(SIGALRM, &before, NULL);
    errno = EWOULDBLOCK;
    return locked;
}

/* A child that a killed service had just forked, and a thread that has just copied the fd table,
 * have the lock's fd until they close it: gone in a moment, and no reason to refuse freezes for the
 * whole life of the next service. May block LOCK_WAIT_US; there is no main loop yet. */
static bool lock(int fd)
{
    return flock(fd, LOCK_EX | LOCK_NB) == 0 || (errno == EWOULDBLOCK && wait_for_lock(fd));
}

typedef enum { OPENED, OPEN_AGAIN, OPEN_FAILED } OpenResult;

static OpenResult check_locked(int fd, const char *path, GError **error)
{
    if (!same_file(fd, -1, path))
        return OPEN_AGAIN;
    if (is_valid(fd))
        return OPENED;
    return set_aside(path, error) ? OPEN_AGAIN : OPEN_FAILED;
}

static OpenResult open_locked(const char *path, int *ret_fd, GError **error)
{
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
    OpenResult result = OPEN_FAILED;

    if (fd < 0) {
        agent_error_errno(error, AGENT_ERROR_UNAVAILABLE, errno, "cannot open the ledger %s", path);
        return OPEN_FAILED;
    }
    if (!lock(fd))
        report_locked(fd, path, error);
    else
        result = check_locked(fd, path, error);
    if (result == OPENED)
        *ret_fd = fd;
    else
        (void)close(fd);
    return result;
}

static void terminate_texts(Ledger *ledger)
{
    KeeperLedgerHeader *header = ledger->header;

    header->operation[KEEPER_OPERATION_SIZE - 1] = '\0';
    header->channel[KEEPER_WORD_SIZE - 1] = '\0';
    header->verdict_operation[KEEPER_OPERATION_SIZE - 1] = '\0';
    header->verdict_reason[KEEPER_REASON_SIZE - 1] = '\0';
    for (unsigned i = 0; i < header->n_filesystems; i++) {
        KeeperLedgerFilesystem *entry = ledger_filesystem_at(ledger, i);

        entry->mountpoint[KEEPER_NAME_SIZE - 1] = entry->device[KEEPER_NAME_SIZE - 1] = '\0';
        entry->type[KEEPER_WORD_SIZE - 1] = '\0';
    }
    for (unsigned i = 0; i < header->n_participants; i++) {
        ledger_participant_at(ledger, i)->name[KEEPER_NAME_SIZE - 1] = '\0';
        ledger_participant_at(ledger, i)->path[KEEPER_NAME_SIZE - 1] = '\0';
        ledger_participant_at(ledger, i)->user[KEEPER_USER_SIZE - 1] = '\0';
    }
}

static bool map(Ledger *ledger, const char *path, GError **error)
{
    KeeperLedgerHeader *header;

    ledger->fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (ledger->fd < 0 || !same_file(ledger->lock_fd, ledger->fd, NULL)) {
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_UNAVAILABLE,
                    "the ledger %s was replaced while it was opened; try again", path);
        return false;
    }
    if (!grow(ledger->fd, sizeof *header, error))
        return false;
    header = mmap(NULL, SIZE_MAX_, PROT_READ | PROT_WRITE, MAP_SHARED, ledger->fd, 0);
    if (header == MAP_FAILED)
        return agent_error_errno(error, AGENT_ERROR_UNAVAILABLE, errno, "cannot map the ledger %s",
                                 path);
    ledger->header = header;
    header->version = KEEPER_VERSION;
    header->service_pid = (uint32_t)getpid();
    header->magic = KEEPER_LEDGER_MAGIC;
    terminate_texts(ledger);
    return true;
}

Ledger *ledger_open(const char *path, GError **error)
{
    g_autofree char *directory = g_path_get_dirname(path);
    g_autoptr(Ledger) ledger = g_new0(Ledger, 1);
    OpenResult result = OPEN_AGAIN;

    ledger->lock_fd = ledger->fd = -1;
    (void)g_mkdir_with_parents(directory, 0755); /* open() says what is wrong with it */
    for (unsigned i = 0; i < OPEN_TRIES && result == OPEN_AGAIN; i++)
        result = open_locked(path, &ledger->lock_fd, error);
    if (result == OPEN_FAILED)
        return NULL;
    if (result == OPEN_AGAIN) {
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_UNAVAILABLE,
                    "the ledger %s is being replaced again and again; who else writes there?",
                    path);
        return NULL;
    }
    if (!map(ledger, path, error))
        return NULL;
    return g_steal_pointer(&ledger);
}

void ledger_close(Ledger *ledger)
{
    if (!ledger)
        return;
    if (ledger->header)
        (void)munmap(ledger->header, SIZE_MAX_);
    if (ledger->fd >= 0)
        (void)close(ledger->fd);
    if (ledger->lock_fd >= 0)
        (void)close(ledger->lock_fd);
    g_free(ledger);
}

int ledger_fd(const Ledger *ledger)
{
    return ledger->fd;
}

/* --- an operation ------------------------------------------------------------------------------
 */

static void lay_out(Ledger *ledger, const LedgerFilesystemSpec *filesystems,
                    const LedgerParticipantSpec *participants)
{
    for (unsigned i = 0; i < ledger->header->n_filesystems; i++) {
        KeeperLedgerFilesystem *entry = ledger_filesystem_at(ledger, i);

        memset(entry, 0, sizeof *entry);
        entry->major = filesystems[i].major;
        entry->minor = filesystems[i].minor;
        entry->rank = filesystems[i].rank;
        ledger_copy_text(entry->mountpoint, sizeof entry->mountpoint, filesystems[i].mountpoint);
        ledger_copy_text(entry->device, sizeof entry->device, filesystems[i].device);
        ledger_copy_text(entry->type, sizeof entry->type, filesystems[i].type);
        ledger_store(&entry->state, filesystems[i].state);
    }
    for (unsigned i = 0; i < ledger->header->n_participants; i++) {
        KeeperLedgerParticipant *entry = ledger_participant_at(ledger, i);

        memset(entry, 0, sizeof *entry);
        entry->kind = participants[i].kind;
        entry->verbs = participants[i].verbs;
        entry->order = participants[i].order;
        entry->on_failure = participants[i].on_failure;
        ledger_copy_text(entry->name, sizeof entry->name, participants[i].name);
        ledger_copy_text(entry->path, sizeof entry->path, participants[i].path);
        if (participants[i].user)
            ledger_copy_text(entry->user, sizeof entry->user, participants[i].user);
    }
}

static bool check_begin(const Ledger *ledger, unsigned n_filesystems, unsigned n_participants,
                        GError **error)
{
    if (ledger_active(ledger)) {
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_UNAVAILABLE,
                    "operation %s is still being released", ledger_operation(ledger));
        return false;
    }
    if (n_filesystems > KEEPER_FILESYSTEMS_MAX || n_participants > KEEPER_PARTICIPANTS_MAX) {
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_LIMIT,
                    "%u filesystems and %u participants are more than %u and %u; exclude some",
                    n_filesystems, n_participants, KEEPER_FILESYSTEMS_MAX, KEEPER_PARTICIPANTS_MAX);
        return false;
    }
    return true;
}

bool ledger_begin(Ledger *ledger, const char *operation, const LedgerFilesystemSpec *filesystems,
                  unsigned n_filesystems, const LedgerParticipantSpec *participants,
                  unsigned n_participants, GError **error)
{
    KeeperLedgerHeader *header = ledger->header;

    if (!check_begin(ledger, n_filesystems, n_participants, error) ||
        !grow(ledger->fd, SIZE_OF((size_t)n_filesystems, (size_t)n_participants), error))
        return false;
    header->n_filesystems = n_filesystems;
    header->n_participants = n_participants;
    header->keeper_pid = 0;
    header->thaw_cause = 0;
    header->frozen_since_us = 0;
    header->frozen_limit_s = 0;
    header->ended_by = 0;
    header->channel[0] = '\0';
    header->started_unix_ms = 0;
    lay_out(ledger, filesystems, participants);
    ledger_copy_text(header->operation, sizeof header->operation, operation);
    ledger_store(&header->active, 1);
    return true;
}

void ledger_end(Ledger *ledger)
{
    ledger_store(&ledger->header->active, 0);
    __atomic_store_n(&ledger->header->frozen_since_us, 0, __ATOMIC_RELEASE);
}

bool ledger_active(const Ledger *ledger)
{
    return ledger_load(&ledger->header->active) != 0;
}

const char *ledger_operation(const Ledger *ledger)
{
    return ledger_active(ledger) ? ledger->header->operation : "";
}

uint32_t ledger_keeper_pid(const Ledger *ledger)
{
    return ledger_load(&ledger->header->keeper_pid);
}

unsigned ledger_filesystems(const Ledger *ledger)
{
    return ledger_active(ledger) ? ledger->header->n_filesystems : 0;
}

const KeeperLedgerFilesystem *ledger_filesystem(const Ledger *ledger, unsigned index)
{
    return index < ledger->header->n_filesystems ? ledger_filesystem_at(ledger, index) : NULL;
}

void ledger_set_filesystem(Ledger *ledger, unsigned index, KeeperFilesystemState state)
{
    if (index >= ledger->header->n_filesystems)
        return;
    if (state == KEEPER_FS_THAWED)
        ledger_filesystem_at(ledger, index)->thawed_us = g_get_monotonic_time();
    ledger_store(&ledger_filesystem_at(ledger, index)->state, (uint32_t)state);
}

unsigned ledger_participants(const Ledger *ledger)
{
    return ledger_active(ledger) ? ledger->header->n_participants : 0;
}

const KeeperLedgerParticipant *ledger_participant(const Ledger *ledger, unsigned index)
{
    return index < ledger->header->n_participants ? ledger_participant_at(ledger, index) : NULL;
}

void ledger_participant_called(Ledger *ledger, unsigned index, uint32_t verb)
{
    KeeperLedgerParticipant *entry;

    if (index >= ledger->header->n_participants)
        return;
    entry = ledger_participant_at(ledger, index);
    ledger_store(&entry->last_verb, verb);
    ledger_store(&entry->held, 1);
}

void ledger_participant_session(Ledger *ledger, unsigned index, uint32_t pid, int64_t started_us)
{
    KeeperLedgerParticipant *entry;

    if (index >= ledger->header->n_participants)
        return;
    entry = ledger_participant_at(ledger, index);
    entry->session_started_us = started_us;
    ledger_store(&entry->session_pid, pid);
}

void ledger_participant_released(Ledger *ledger, unsigned index)
{
    if (index < ledger->header->n_participants)
        ledger_store(&ledger_participant_at(ledger, index)->held, 0);
}

void ledger_participant_result(Ledger *ledger, unsigned index, uint32_t result)
{
    if (index < ledger->header->n_participants)
        ledger_store(&ledger_participant_at(ledger, index)->result, result);
}

void ledger_set_frozen_since(Ledger *ledger, int64_t boottime, uint32_t limit_s)
{
    ledger->header->frozen_limit_s = limit_s;
    __atomic_store_n(&ledger->header->frozen_since_us, boottime, __ATOMIC_RELEASE);
}

int64_t ledger_frozen_since(const Ledger *ledger, uint32_t *ret_limit_s)
{
    int64_t since = __atomic_load_n(&ledger->header->frozen_since_us, __ATOMIC_ACQUIRE);

    if (ret_limit_s)
        *ret_limit_s = ledger->header->frozen_limit_s;
    return since;
}
