/*
 * mount_kind: see mount_kind.h.
 *
 * What a type can do was read off the kernel: FIFREEZE answers EOPNOTSUPP unless the type has
 * freeze_fs or freeze_super. A type that is in no table but has a block device is frozen; if it
 * cannot be, the kernel says so before anything was held.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/mount_kind.h"

#include <string.h>

static const char *const NETWORK[] = {
    "9p",    "acfs",  "afs",    "beegfs", "ceph",  "cifs",   "coda",     "davfs",  "glusterfs",
    "gpfs",  "kafs",  "lustre", "mvfs",   "ncp",   "ncpfs",  "nfs",      "nfs4",   "orangefs",
    "panfs", "pvfs2", "prl_fs", "smb3",   "smbfs", "vboxsf", "virtiofs", "vmhgfs", NULL,
};

static const char *const PSEUDO[] = {
    "anon_inodefs", "bdev",       "binder",     "binfmt_misc", "bpf",        "cgroup",
    "cgroup2",      "configfs",   "cpuset",     "debugfs",     "devfs",      "devpts",
    "devtmpfs",     "dmabuf",     "drm",        "efivarfs",    "fusectl",    "functionfs",
    "guest-memfd",  "hugetlbfs",  "ibmasmfs",   "ipathfs",     "mqueue",     "nfsd",
    "nsfs",         "openpromfs", "oprofilefs", "pidfs",       "pipefs",     "proc",
    "pstore",       "ramfs",      "resctrl",    "rootfs",      "rpc_pipefs", "secretmem",
    "securityfs",   "selinuxfs",  "smackfs",    "sockfs",      "spufs",      "sysfs",
    "tmpfs",        "tracefs",    "usbfs",      "xenfs",       NULL,
};

static const char *const ALWAYS_READ_ONLY[] = {
    "cramfs", "efs", "erofs", "iso9660", "qnx4", "qnx6", "romfs", "squashfs", "vxfs", NULL,
};

/* On a block device, writable, without freeze_fs. */
static const char *const NOT_FREEZABLE[] = {
    "adfs", "affs",  "befs",  "bfs",    "exfat", "fat",   "hfs",   "hfsplus",
    "hpfs", "jffs2", "minix", "msdos",  "ntfs",  "ntfs3", "ocfs2", "omfs",
    "sysv", "udf",   "ufs",   "umsdos", "v7",    "vfat",  NULL,
};

/* The device number is invented, but there are block devices below, and it can be frozen. */
static const char *const HIDES_DEVICE[] = {"bcachefs", "btrfs", NULL};

static bool listed(const char *const *table, const char *type)
{
    for (; *table; table++)
        if (strcmp(*table, type) == 0)
            return true;
    return false;
}

bool mount_kind_hides_device(const char *type)
{
    return listed(HIDES_DEVICE, type);
}

static bool is_fuse(const char *type)
{
    return strcmp(type, "fuse") == 0 || strcmp(type, "fuseblk") == 0 ||
           strncmp(type, "fuse.", 5) == 0;
}

bool mount_kind_is_served(const char *type)
{
    return listed(NETWORK, type) || is_fuse(type);
}

bool mount_kind_passes_on(const char *type)
{
    return strcmp(type, "overlay") == 0 || strcmp(type, "overlayfs") == 0;
}

bool mount_kind_is_noise(const char *type)
{
    return listed(PSEUDO, type) || mount_kind_passes_on(type) || strcmp(type, "autofs") == 0;
}

/* Why there is never anything to do for a type; NULL: there may be. */
static const char *skip_reason(const char *type)
{
    if (listed(PSEUDO, type))
        return "pseudo filesystem: on no disk";
    if (listed(NETWORK, type))
        return "network filesystem: its server holds the data";
    if (is_fuse(type))
        return "FUSE: served by a program, which the kernel cannot freeze";
    if (mount_kind_passes_on(type))
        return "overlay: its upper filesystem is frozen";
    if (strcmp(type, "aufs") == 0 || strcmp(type, "ecryptfs") == 0)
        return "stacked: the filesystem below is frozen";
    if (strcmp(type, "autofs") == 0)
        return "autofs: mounts others on demand, holds nothing";
    if (strcmp(type, "zfs") == 0)
        return "ZFS cannot be frozen: it has no FIFREEZE; take its own snapshot in a hook";
    if (listed(ALWAYS_READ_ONLY, type))
        return "read-only";
    return NULL;
}

MountAction mount_kind(const char *type, bool read_only, unsigned major, const char **ret_reason)
{
    *ret_reason = skip_reason(type);
    if (*ret_reason)
        return MOUNT_SKIP;
    if (read_only) {
        *ret_reason = "read-only";
        return MOUNT_SKIP;
    }
    if (listed(NOT_FREEZABLE, type)) {
        *ret_reason = "its type cannot be frozen";
        return MOUNT_SYNC_ONLY;
    }
    if (major == 0 && !mount_kind_hides_device(type)) {
        *ret_reason = "on no block device";
        return MOUNT_SKIP;
    }
    return MOUNT_FREEZE;
}
