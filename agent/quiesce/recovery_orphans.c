/*
 * recovery_orphans: see recovery_orphans.h.
 *
 * The ledger can be removed by hand, or set aside since the package before wrote another version of
 * it. The service manager's fds then are all that is known of what was frozen. A ledger is laid out
 * anew with every one of them as frozen, and recovery goes on as from any ledger; FITHAW of what is
 * not frozen changes nothing. The fds keep their indices: their names with the service manager are
 * made of them, and the next start may have to go on. Which participants were called nobody knows:
 * none gets an abort, and settings changed for the time being stay. The host may have been told
 * that the system is frozen, so it is told that this did not hold.
 *
 * Nothing here blocks: the fds are open, and their names are asked of /proc.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/recovery_orphans.h"

#include "quiesce/coordinator_internal.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#define UNKNOWN "unknown" /* a filesystem's type, and the channel that the freeze came from */

typedef struct {
    LedgerFilesystemSpec *filesystems; /* by the index of the stored fd */
    GPtrArray *texts;                  /* what they point to */
} Orphans;

static const char *own(Orphans *orphans, char *text)
{
    g_ptr_array_add(orphans->texts, text);
    return text;
}

/* An index without fd was never frozen, or was not to be. */
static LedgerFilesystemSpec describe(Orphans *orphans, int fd)
{
    g_autofree char *link = g_strdup_printf("/proc/self/fd/%d", fd);
    char *mountpoint = fd >= 0 ? g_file_read_link(link, NULL) : NULL;
    struct stat status = {0};
    unsigned device[2];

    if (fd >= 0)
        (void)fstat(fd, &status); /* left at 0:0 its fd is right all the same */
    device[0] = major(status.st_dev);
    device[1] = minor(status.st_dev);
    return (LedgerFilesystemSpec){
        .major = device[0],
        .minor = device[1],
        .mountpoint = mountpoint ? own(orphans, mountpoint) : UNKNOWN,
        .device = own(orphans, g_strdup_printf("%u:%u", device[0], device[1])),
        .type = UNKNOWN,
        .state = fd >= 0 ? KEEPER_FS_FROZEN : KEEPER_FS_INTENDED,
    };
}

static bool lay_out(Coordinator *coordinator, const Orphans *orphans)
{
    Ledger *ledger = coordinator->spec.ledger;
    unsigned count = coordinator->spec.n_stored_fds;
    g_autofree char *operation = g_uuid_string_random();
    g_autoptr(GError) error = NULL;

    if (!ledger_begin(ledger, operation, orphans->filesystems, count, NULL, 0, &error)) {
        log_error(coordinator->spec.log,
                  "The ledger is lost, and without one what a predecessor left frozen is not "
                  "thawed: %s; mend that and restart the service",
                  error->message);
        return false;
    }
    /* Without a channel it would have been a local program's, and no host's to be told of. */
    ledger_set_origin(ledger, UNKNOWN, g_get_real_time() / 1000);
    ledger_set_frozen_since(ledger, coordinator_boottime_us(),
                            (uint32_t)(coordinator_limit(coordinator, 0) / USEC_PER_SEC));
    log_warning(coordinator->spec.log,
                "The ledger is lost; thawing all that the service manager has fds of. Hooks that a "
                "predecessor called are not known and get no abort");
    return true;
}

Orphanage coordinator_adopt_orphans(Coordinator *coordinator)
{
    const CoordinatorSpec *spec = &coordinator->spec;
    Orphans orphans = {0};
    bool adopted = false;

    if (!ledger_is_unused(spec->ledger) || spec->n_stored_fds == 0)
        return ORPHANS_NONE;
    orphans.filesystems = g_new0(LedgerFilesystemSpec, spec->n_stored_fds);
    orphans.texts = g_ptr_array_new_with_free_func(g_free);
    for (unsigned i = 0; i < spec->n_stored_fds; i++)
        orphans.filesystems[i] = describe(&orphans, spec->stored_fds[i]);
    adopted = lay_out(coordinator, &orphans);
    g_ptr_array_unref(orphans.texts);
    g_free(orphans.filesystems);
    return adopted ? ORPHANS_ADOPTED : ORPHANS_FAILED;
}
