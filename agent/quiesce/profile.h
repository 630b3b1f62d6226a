/*
 * profile: what each kind of host allows, by the DMI strings it shows its guests.
 *
 * A data table; configuration beats it. `kubevirt` stands for KubeVirt, OpenShift Virtualization,
 * Harvester and Deckhouse.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    const char *name;
    int64_t reply_budget_us; /* a freeze request is answered within it, rollback included */
    bool lost_is_frozen;     /* LOST answers `frozen`: the host skips its thaw otherwise */
} HostProfile;

const HostProfile *profile_by_name(const char *name); /* NULL: no such profile */
/* By the contents of sys_vendor, product_name and product_family; the default for anything else. */
const HostProfile *profile_by_dmi(const char *vendor, const char *product, const char *family);
/* The one of that name, NULL: none; for "auto" by the three files below `dmi_directory`
 * ("/sys/class/dmi/id"; sysfs memory, no disk). */
const HostProfile *profile_choose(const char *host, const char *dmi_directory);
