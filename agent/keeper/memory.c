/*
 * memory: see memory.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "keeper/memory.h"

#include <errno.h>
#include <link.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

/* A signal handler has no other way to know; set before the handler can run. */
static struct {
    char *start;
    size_t size;
} guarded;

void *memory_new(size_t size)
{
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        return NULL;
    memset(memory, 0, size);
    return memory;
}

void memory_free(void *memory, size_t size)
{
    if (memory)
        (void)munmap(memory, size);
}

/* Code that was never run may sit on a disk that cannot be read when it is needed. */
static int read_ahead(struct dl_phdr_info *info, size_t size, void *data)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

    (void)size;
    (void)data;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uintptr_t start = (info->dlpi_addr + header->p_vaddr) & ~(page - 1);
        uintptr_t end = info->dlpi_addr + header->p_vaddr + header->p_memsz;

        if (header->p_type == PT_LOAD && !(header->p_flags & PF_W))
            (void)madvise((void *)start, end - start, MADV_POPULATE_READ);
    }
    return 0;
}

void memory_lock(void)
{
    (void)mlockall(MCL_CURRENT | MCL_ONFAULT);
    (void)dl_iterate_phdr(read_ahead, NULL);
}

void memory_unlock(void)
{
    (void)munlockall();
}

static void on_bus_error(int signal_number, siginfo_t *info, void *context)
{
    char *at = info->si_addr;

    (void)context;
    if (guarded.start && at >= guarded.start && at < guarded.start + guarded.size &&
        mmap(guarded.start, guarded.size, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED)
        return;
    (void)signal(signal_number, SIG_DFL);
}

static int check_ledger(const KeeperLedgerHeader *ledger, uint32_t count)
{
    if (ledger->magic != KEEPER_LEDGER_MAGIC)
        return EINVAL;
    if (ledger->version != KEEPER_VERSION)
        return EPROTO;
    return ledger->n_filesystems < count ? ERANGE : 0;
}

int memory_ledger(int fd, uint32_t count, KeeperLedgerHeader **ret_ledger)
{
    const struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};
    size_t size = sizeof(KeeperLedgerHeader) + count * sizeof(KeeperLedgerFilesystem);
    struct stat status;
    void *memory;
    int error_number;

    if (fstat(fd, &status) != 0)
        return errno;
    if (!S_ISREG(status.st_mode) || status.st_size < (off_t)size)
        return EINVAL;
    memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        return errno;
    guarded.start = memory;
    guarded.size = size;
    (void)sigaction(SIGBUS, &action, NULL);
    error_number = check_ledger(memory, count);
    if (error_number) {
        memory_ledger_end();
        return error_number;
    }
    *ret_ledger = memory;
    return 0;
}

void memory_ledger_end(void)
{
    if (guarded.start)
        (void)munmap(guarded.start, guarded.size);
    guarded.start = NULL;
}

KeeperLedgerFilesystem *memory_ledger_filesystems(KeeperLedgerHeader *ledger)
{
    return (KeeperLedgerFilesystem *)(void *)(ledger + 1);
}
