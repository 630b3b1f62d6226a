/*
 * profile: see profile.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "quiesce/profile.h"

#include <glib.h>
#include <string.h>

#define SECONDS(n) ((n)*INT64_C(1000000))

/* kubevirt: virt-api gives a freeze 10 s, but the status that precedes a retry only 5 s.
 * cloudstack: 10 s for each agent command. default: Nova's RPC and Velero's hooks end at 60 s. */
static const HostProfile PROFILES[] = {
    {"default", SECONDS(50), false},
    {"kubevirt", SECONDS(4), true},
    {"cloudstack", SECONDS(8), false},
};

/* Prefixes; NULL matches anything. */
static const struct {
    const char *vendor, *product, *family, *profile;
} HOSTS[] = {
    {"KubeVirt", NULL, NULL, "kubevirt"},
    {NULL, NULL, "KubeVirt", "kubevirt"},
    {"Red Hat", "OpenShift Virtualization", NULL, "kubevirt"},
    {"Red Hat", "Container-native virtualization", NULL, "kubevirt"},
    {NULL, "DeckhouseVirtualizationPlatform", NULL, "kubevirt"},
    {"Apache Software Foundation", NULL, NULL, "cloudstack"},
    {NULL, "CloudStack", NULL, "cloudstack"},
};

const HostProfile *profile_by_name(const char *name)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(PROFILES); i++)
        if (strcmp(PROFILES[i].name, name) == 0)
            return &PROFILES[i];
    return NULL;
}

static bool matches(const char *prefix, const char *value)
{
    return !prefix || (value && g_str_has_prefix(value, prefix));
}

const HostProfile *profile_by_dmi(const char *vendor, const char *product, const char *family)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(HOSTS); i++)
        if (matches(HOSTS[i].vendor, vendor) && matches(HOSTS[i].product, product) &&
            matches(HOSTS[i].family, family))
            return profile_by_name(HOSTS[i].profile);
    return &PROFILES[0];
}

static char *read_dmi(const char *directory, const char *name)
{
    g_autofree char *path = g_build_filename(directory, name, NULL);
    char *text = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return NULL;
    return g_strstrip(text);
}

static const HostProfile *detect(const char *dmi_directory)
{
    g_autofree char *vendor = read_dmi(dmi_directory, "sys_vendor");
    g_autofree char *product = read_dmi(dmi_directory, "product_name");
    g_autofree char *family = read_dmi(dmi_directory, "product_family");

    return profile_by_dmi(vendor, product, family);
}

const HostProfile *profile_choose(const char *host, const char *dmi_directory)
{
    return g_strcmp0(host, "auto") == 0 ? detect(dmi_directory) : profile_by_name(host);
}
