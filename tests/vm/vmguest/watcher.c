/*
 * watcher: tells from inside the machine when a filesystem could be written to and when not.
 *
 *   watcher run FILE DIRECTORY...        writes 4 KiB into DIRECTORY/watched every 12 ms
 *   watcher thawed FILE WHICH SINCE MS   waits until no write under way at SINCE is left
 *   watcher frozen FILE WHICH MS         waits until a write is held up everywhere
 *   watcher held FILE WHICH SINCE MS     waits until what was held up at SINCE is seen still to be
 *   watcher longest FILE WHICH SINCE     the longest that was held up and ended after SINCE
 *   watcher writable FILE WHICH MS       waits until a write that begins now has ended
 *
 * FILE is on tmpfs and mapped by both sides: a Record for each directory. WHICH has a digit for
 * each directory that is asked about ("013"). Times are CLOCK_MONOTONIC in microseconds. The last
 * five print a line of two numbers a directory: when the write held up began, and when it ended (0:
 * there was none, or it has not ended); they exit 1 when the time ran out or the answer is no.
 * Memory is locked: the watcher must not wait for pages.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BLOCK       4096
#define FILE_SIZE   (1 << 18)
#define DIRECTORIES 8
#define STALLS      62
#define STALL_US    30000 /* shorter ones are the scheduler's */
#define PAUSE_US                                                                                   \
    12000 /* four threads that write more often take half a processor under emulation */
#define HELD_UP_US    200000       /* under way for so long: it is not the scheduler */
#define BEGAN_SLOP_US PAUSE_US * 6 /* the write held up may begin so long after the freeze */

typedef struct {
    int64_t began, ended;
} Stall;

typedef struct {
    int64_t writes, last_end, began, stalls; /* began: 0 between writes */
    Stall stall[STALLS];
} Record;

typedef struct {
    int fd;
    volatile Record *record;
} Watch;

static int64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void pause_us(long us)
{
    struct timespec time = {us / 1000000, us % 1000000 * 1000};

    nanosleep(&time, NULL);
}

static void *watch(void *data)
{
    static char block[BLOCK];
    Watch *self = data;
    volatile Record *record = self->record;

    for (off_t at = 0;; at = (at + BLOCK) % FILE_SIZE) {
        int64_t began = now_us(), ended;

        record->began = began;
        if (pwrite(self->fd, block, BLOCK, at) != BLOCK)
            return NULL; /* read-only or broken: counts as never writable again */
        ended = now_us();
        if (ended - began >= STALL_US) {
            volatile Stall *stall = &record->stall[record->stalls % STALLS];

            stall->began = began;
            stall->ended = ended;
            record->stalls++;
        }
        record->last_end = ended;
        record->writes++;
        record->began = 0;
        pause_us(PAUSE_US);
    }
}

static Record *map(const char *path, int flags)
{
    int fd = open(path, flags, 0600);
    void *memory = MAP_FAILED;

    if (fd >= 0 && (!(flags & O_CREAT) || ftruncate(fd, sizeof(Record) * DIRECTORIES) == 0))
        memory =
            mmap(NULL, sizeof(Record) * DIRECTORIES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) {
        perror(path);
        exit(2);
    }
    return memory;
}

static int run(const char *file, int count, char **directories)
{
    static Watch watches[DIRECTORIES];
    Record *records = map(file, O_RDWR | O_CREAT | O_TRUNC);
    pthread_t thread;

    if (count > DIRECTORIES)
        return 2;
    for (int i = 0; i < count; i++) {
        char path[512];

        snprintf(path, sizeof path, "%s/watched", directories[i]);
        watches[i] = (Watch){open(path, O_RDWR | O_CREAT, 0600), &records[i]};
        if (watches[i].fd < 0 || ftruncate(watches[i].fd, FILE_SIZE) != 0) {
            perror(path);
            return 2;
        }
    }
    mlockall(MCL_CURRENT | MCL_FUTURE);
    for (int i = 0; i < count; i++)
        if (pthread_create(&thread, NULL, watch, &watches[i]) != 0)
            return 2;
    for (;;)
        pause();
}

/* The write that was under way at `since`, or began right after it: its begin and end. */
static Stall held_up(const volatile Record *record, int64_t since)
{
    int64_t began = record->began;
    int64_t first = record->stalls > STALLS ? record->stalls - STALLS : 0;

    for (int64_t i = first; i < record->stalls; i++) {
        volatile const Stall *stall = &record->stall[i % STALLS];

        if (stall->began <= since + BEGAN_SLOP_US && stall->ended > since)
            return (Stall){stall->began, stall->ended};
    }
    if (began && began <= since + BEGAN_SLOP_US && now_us() - began > STALL_US)
        return (Stall){began, 0};
    return (Stall){0, 0};
}

static Stall longest(const volatile Record *record, int64_t since)
{
    int64_t first = record->stalls > STALLS ? record->stalls - STALLS : 0;
    Stall best = {since, since};

    for (int64_t i = first; i < record->stalls; i++) {
        volatile const Stall *stall = &record->stall[i % STALLS];

        if (stall->ended > since && stall->ended - stall->began > best.ended - best.began)
            best = (Stall){stall->began, stall->ended};
    }
    return best;
}

typedef struct {
    const char *verb;
    int64_t since;
    int64_t writes[DIRECTORIES]; /* at the beginning */
} Question;

static bool answered(const Question *question, const volatile Record *record, int index)
{
    int64_t began = record->began, now = now_us();
    Stall stall = held_up(record, question->since);

    switch (question->verb[0]) {
    case 't':
        /* A write of the time before must have ended, or a later one have begun. */
        return now > question->since + BEGAN_SLOP_US + STALL_US && (!stall.began || stall.ended);
    case 'f':
        return began && now - began > HELD_UP_US;
    case 'h':
        /* None has ended since, and one is under way: it may have begun late. */
        return began && now - began > STALL_US &&
               (record->last_end <= question->since || (stall.began && !stall.ended));
    case 'l':
        return true;
    default:
        /* One may have been under way before; the second began after the question. */
        return record->writes >= question->writes[index] + 2;
    }
}

static int ask(const Question *question, const Record *records, const char *which, long wait_ms)
{
    int64_t until = now_us() + wait_ms * 1000;
    bool all = false;

    for (;;) {
        all = true;
        for (const char *at = which; *at; at++)
            all = all && answered(question, &records[*at - '0'], *at - '0');
        if (all || now_us() >= until)
            break;
        pause_us(2000);
    }
    for (const char *at = which; *at; at++) {
        const volatile Record *record = &records[*at - '0'];
        Stall stall = held_up(record, question->since);

        if (question->verb[0] == 'f')
            stall = (Stall){record->began, 0};
        if (question->verb[0] == 'l')
            stall = longest(record, question->since);
        printf("%lld %lld\n", (long long)stall.began, (long long)stall.ended);
    }
    return all ? 0 : 1;
}

int main(int argc, char **argv)
{
    Question question = {0};
    Record *records = NULL;

    if (argc < 4)
        return 2;
    if (strcmp(argv[1], "run") == 0)
        return run(argv[2], argc - 3, argv + 3);
    records = map(argv[2], O_RDWR);
    question.verb = argv[1];
    question.since = now_us();
    for (int i = 0; i < DIRECTORIES; i++)
        question.writes[i] = records[i].writes;
    if (strchr("thl", argv[1][0]) && argc > 4)
        question.since = atoll(argv[4]);
    return ask(&question, records, argv[3],
               argc > 4 && argv[1][0] != 'l' ? atol(argv[argc - 1]) : 0);
}
