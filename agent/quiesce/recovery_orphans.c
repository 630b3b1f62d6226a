/*
 * recovery_orphans: fds of a predecessor whose ledger is lost.
 *
 * The ledger can be removed by hand, or set aside since the package before wrote another version of
 * it. The service manager's fds then are all that is known of what was frozen. A ledger is laid out
 * anew with every one of them as frozen, and recovery goes on as from any ledger; FITHAW of what is
 * not frozen changes nothing. Which participants were called nobody knows: none gets an abort. The
 * host may have been told that the system is frozen, so it is told that this did not hold.
 *
 * Nothing here blocks: the fds are open, and their names are asked of /proc.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/coordinator_internal.h"

#include "sys/ledger_kept.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#define UNKNOWN "unknown" /* a filesystem's type, and the channel of who had asked for the freeze  \
                           */

typedef struct {
    LedgerFilesystemSpec *filesystems; /* `count` of them */
    GPtrArray *texts;                  /* what they point to */
    unsigned count;
} Orphans;

static const char *own(Orphans *orphans, char *text)
{
    g_ptr_array_add(orphans->texts, text);
    return text;
}

static void add(Orphans *orphans, int fd)
{
    g_autofree char *link = g_strdup_printf("/proc/self/fd/%d", fd);
    char *mountpoint = g_file_read_link(link, NULL);
    struct stat status = {0};

    (void)fstat(fd, &status); /* of zeros it has the device 0:0, and its fd is right all the same */
    orphans->filesystems[orphans->count++] = (LedgerFilesystemSpec){
        .major = major(status.st_dev),
        .minor = minor(status.st_dev),
        .mountpoint = own(orphans, mountpoint ? mountpoint : g_steal_pointer(&link)),
        .device =
            own(orphans, g_strdup_printf("%u:%u", major(status.st_dev), minor(status.st_dev))),
        .type = UNKNOWN,
    };
}

/* The fds move up to the indices that the new ledger gives them. */
static void collect(Orphans *orphans, int *fds, unsigned n_fds)
{
    for (unsigned i = 0; i < n_fds && orphans->count < KEEPER_FILESYSTEMS_MAX; i++) {
        const unsigned index = orphans->count;
        const int fd = fds[i];

        if (fd < 0)
            continue;
        add(orphans, fd);
        fds[i] = -1;
        fds[index] = fd;
    }
}

static void lay_out(Coordinator *coordinator, const Orphans *orphans)
{
    Ledger *ledger = coordinator->spec.ledger;
    g_autofree char *operation = g_uuid_string_random();
    g_autoptr(GError) error = NULL;

    if (!ledger_begin(ledger, operation, orphans->filesystems, orphans->count, NULL, 0, &error)) {
        log_error(coordinator->spec.log,
                  "The ledger is lost, and of what a predecessor may have left frozen none can be "
                  "made: %s",
                  error->message);
        return;
    }
    for (unsigned i = 0; i < orphans->count; i++)
        ledger_set_filesystem(ledger, i, KEEPER_FS_FROZEN);
    /* Without a channel it would have been a local program's, and no host's to be told of. */
    ledger_set_origin(ledger, UNKNOWN, g_get_real_time() / 1000);
    ledger_set_frozen_since(
        ledger, coordinator_boottime_us(),
        (uint32_t)(coordinator->spec.config->quiesce.frozen_limit_us / USEC_PER_SEC));
    log_warning(coordinator->spec.log,
                "The ledger is lost; thawing all %u filesystems that the service manager has fds "
                "of. Hooks that a predecessor called are not known and get no abort",
                orphans->count);
}

void coordinator_adopt_orphans(Coordinator *coordinator)
{
    const CoordinatorSpec *spec = &coordinator->spec;
    Orphans orphans = {0};
    LedgerOperation last = {0};

    ledger_last(spec->ledger, &last);
    if (last.operation[0] || spec->n_stored_fds == 0)
        return;
    orphans.filesystems = g_new0(LedgerFilesystemSpec, spec->n_stored_fds);
    orphans.texts = g_ptr_array_new_with_free_func(g_free);
    collect(&orphans, spec->stored_fds, spec->n_stored_fds);
    if (orphans.count > 0)
        lay_out(coordinator, &orphans);
    g_ptr_array_unref(orphans.texts);
    g_free(orphans.filesystems);
}
