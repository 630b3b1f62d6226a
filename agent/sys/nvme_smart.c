/*
 * nvme_smart: see nvme_smart.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/nvme_smart.h"

#include <fcntl.h>
#include <linux/nvme_ioctl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define OPCODE_GET_LOG_PAGE 0x02u
#define ALL_NAMESPACES      0xffffffffu
#define LOG_SMART           0x02u
#define RETAIN_EVENT        (1u << 15) /* whoever watches the disk still gets its alarm */
#define DWORDS              (NVME_SMART_SIZE / 4 - 1)

bool nvme_smart_ask(const char *node, void *answer)
{
    NvmeSmart *smart = answer;
    struct nvme_admin_cmd command = {
        .opcode = OPCODE_GET_LOG_PAGE,
        .nsid = ALL_NAMESPACES,
        .addr = (uintptr_t)smart->bytes,
        .data_len = NVME_SMART_SIZE,
        .cdw10 = LOG_SMART | RETAIN_EVENT | DWORDS << 16,
    };
    int fd = open(node, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int status = -1;

    if (fd < 0)
        return false;
    status = ioctl(fd, NVME_IOCTL_ADMIN_CMD, &command);
    (void)close(fd);
    return status == 0;
}

uint64_t nvme_smart_number(const NvmeSmart *smart, size_t offset, size_t size)
{
    uint64_t number = 0;

    while (size-- > 0)
        number = number << 8 | smart->bytes[offset + size];
    return number;
}
